// The opening of a connection, method by method, without a socket.
import t from 'tap';
import { decodeFieldTable, type FieldTable } from '../../../codec/field-table.ts';
import {
  CONNECTION_CLOSE_OK,
  CONNECTION_OPEN,
  CONNECTION_OPEN_OK,
  CONNECTION_START,
  CONNECTION_START_OK,
  CONNECTION_TUNE,
  CONNECTION_TUNE_OK,
  decodeMethod,
  type Method,
} from '../../../codec/generated/methods.ts';
import { createSaslMechanisms } from '../../../lib/auth/sasl.ts';
import { UserStore } from '../../../lib/auth/users.ts';
import { Alarms } from '../../../lib/core/alarms.ts';
import { MemoryAccount } from '../../../lib/core/memory-account.ts';
import type { Logger } from '../../../lib/core/ports.ts';
import { PublishFlow } from '../../../lib/core/publish-flow.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../../lib/core/turn.ts';
import type { AmqpContext } from '../../../lib/protocols/amqp/amqp-context.ts';
import { Handshake, HandshakeError, startFrame } from '../../../lib/protocols/amqp/handshake.ts';
import { TestClock, table } from '../../core/helper.ts';
import { createVirtualHost } from '../../core/virtual-host-helper.ts';
import { amqpError } from './helper.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const clock = new TestClock();
const virtualHost = createVirtualHost();

const context: AmqpContext = {
  serverProperties: table({ product: 'RabbitMQ' }),
  frameMaxBytes: 131_072,
  channelMax: 2047,
  heartbeatSeconds: 60,
  handshakeTimeoutMs: 10_000,
  maxMessageSizeBytes: 1000,
  consumerTimeoutMs: 0,
  users: new UserStore([
    { name: 'guest', password: 'guest', tags: [], permissions: { '/': ALL } },
    { name: 'ann', password: 'secret', tags: [], permissions: { '/': ALL } },
  ]),
  saslMechanisms: createSaslMechanisms({ decodeTable }),
  loopbackUsers: ['guest'],
  virtualHosts: new Map([
    ['/', virtualHost],
    ['closed', virtualHost],
  ]),
  memory: new MemoryAccount(1000, 1000),
  alarms: new Alarms(),
  flow: new PublishFlow(),
  turn: new TurnScheduler(clock),
  slab: new RetentionSlab(),
  clock,
  logger: silent,
};

/** AMQPLAIN sends the fields of a table without its length. */
function decodeTable(fields: Buffer): FieldTable {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(fields.length);
  return decodeFieldTable(Buffer.concat([length, fields]), 0, 4 + fields.length);
}

interface StartOk {
  readonly mechanism?: string;
  readonly response?: string;
  readonly capabilities?: readonly string[];
}

function startOk({ mechanism = 'PLAIN', response = '\0ann\0secret', capabilities = [] }: StartOk = {}): Method {
  const enabled = table(Object.fromEntries(capabilities.map((name) => [name, { type: 't', value: true }])));
  const clientProperties = table({ capabilities: { type: 'F', value: enabled } });
  return { id: CONNECTION_START_OK, clientProperties, mechanism, response, locale: 'en_US' };
}

function tuneOk(options: { channelMax?: number; frameMax?: number; heartbeat?: number } = {}): Method {
  return { id: CONNECTION_TUNE_OK, channelMax: 2047, frameMax: 131_072, heartbeat: 60, ...options };
}

function open(name = '/'): Method {
  return { id: CONNECTION_OPEN, virtualHost: name };
}

/** A handshake that took these methods. */
function after(...methods: Method[]): Handshake {
  const handshake = new Handshake(context, '127.0.0.1');
  for (const method of methods) handshake.handle(method);
  return handshake;
}

function handshakeError(run: () => unknown): HandshakeError {
  try {
    run();
  } catch (error) {
    if (error instanceof HandshakeError) return error;
    throw error;
  }
  t.fail('expected a HandshakeError');
  throw new Error('expected a HandshakeError');
}

t.test('a handshake goes from start to open-ok', async (t) => {
  const handshake = new Handshake(context, '127.0.0.1');
  const start = startFrame(context);
  t.same(decodeMethod(start, 7, start.length - 1), {
    id: CONNECTION_START,
    versionMajor: 0,
    versionMinor: 9,
    serverProperties: context.serverProperties,
    mechanisms: 'PLAIN AMQPLAIN',
    locales: 'en_US',
  });
  t.same(handshake.handle(startOk()), { id: CONNECTION_TUNE, channelMax: 2047, frameMax: 131_072, heartbeat: 60 });
  t.equal(handshake.frameMax, 4096, 'until tune-ok the least that every peer takes');
  t.equal(handshake.handle(tuneOk({ frameMax: 8192, channelMax: 10, heartbeat: 5 })), undefined);
  t.equal(handshake.frameMax, 8192);
  t.equal(handshake.session, undefined);
  t.same(handshake.handle(open()), { id: CONNECTION_OPEN_OK });
  t.equal(handshake.step, 'done');
  t.match(handshake.session, { frameMax: 8192, channelMax: 10, heartbeatSeconds: 5, maxMessageSizeBytes: 1000 });
  t.equal(handshake.session?.user.name, 'ann');
  t.equal(handshake.session?.virtualHost, virtualHost);
});

t.test('the client has what it announced, and nothing else', async (t) => {
  const wants = (...capabilities: string[]) => {
    const { session } = after(startOk({ capabilities }), tuneOk(), open());
    return [session?.wantsCancelNotify, session?.wantsBlockedNotify];
  };
  t.same(wants(), [false, false]);
  t.same(wants('consumer_cancel_notify'), [true, false]);
  t.same(wants('connection.blocked', 'consumer_cancel_notify'), [true, true]);
});

t.test('AMQPLAIN logs in, too', async (t) => {
  const response = '\x05LOGINS\0\0\0\x03ann\x08PASSWORDS\0\0\0\x06secret';
  t.equal(after(startOk({ mechanism: 'AMQPLAIN', response })).step, 'tune-ok');
});

t.test('a login that is refused says why to those who asked for it, and just ends for the others', async (t) => {
  const capabilities = ['authentication_failure_close'];
  for (const response of ['\0ann\0wrong', '\0nobody\0secret', '\0ann\0']) {
    const silently = handshakeError(() => after(startOk({ response })));
    t.equal(silently.reason, 'authentication-failed');
    t.equal(silently.notice, undefined);
    const { notice } = handshakeError(() => after(startOk({ response, capabilities })));
    t.match(notice, {
      replyCode: 403,
      methodId: 0,
      message: 'Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
    });
  }
});

t.test('what is no response to the mechanism, or to none, is refused', async (t) => {
  for (const attempt of [{ response: 'ann secret' }, { mechanism: 'EXTERNAL' }, { mechanism: 'AMQPLAIN' }]) {
    t.equal(handshakeError(() => after(startOk(attempt))).reason, 'authentication-failed');
  }
});

t.test('guest is at home on this machine only', async (t) => {
  const guest = startOk({ response: '\0guest\0guest' });
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    t.ok(new Handshake(context, address).handle(guest), address);
  }
  for (const address of ['10.0.0.1', undefined]) {
    const error = handshakeError(() => new Handshake(context, address).handle(guest));
    t.equal(error.message, "user 'guest' can only connect via localhost");
    t.ok(new Handshake(context, address).handle(startOk()), 'others may come from anywhere');
  }
});

t.test('the client may ask for less than was offered, not for more, nor for no limit', async (t) => {
  for (const options of [{ frameMax: 4096 }, { frameMax: 131_072 }, { channelMax: 1 }, { heartbeat: 0 }]) {
    t.equal(after(startOk(), tuneOk(options)).step, 'open', JSON.stringify(options));
  }
  t.equal(after(startOk(), tuneOk({ heartbeat: 1000 })).heartbeatSeconds, 1000, 'the heartbeat is as the client says');
  for (const options of [
    { frameMax: 4095 },
    { frameMax: 131_073 },
    { frameMax: 0 },
    { channelMax: 2048 },
    { channelMax: 0 },
  ]) {
    const error = handshakeError(() => after(startOk(), tuneOk(options)));
    t.equal(error.reason, 'handshake-failed', JSON.stringify(options));
  }
});

t.test('a virtual host that is unknown or closed to the user is refused', async (t) => {
  for (const [name, message] of [
    ['elsewhere', 'vhost elsewhere not found'],
    ['closed', "access to vhost 'closed' refused for user 'ann'"],
  ]) {
    const { reason, notice } = handshakeError(() => after(startOk(), tuneOk(), open(name)));
    t.equal(reason, 'virtual-host-refused');
    t.match(notice, { replyCode: 530, message, methodId: CONNECTION_OPEN });
  }
});

t.test('a step out of turn ends the handshake', async (t) => {
  const closeOk: Method = { id: CONNECTION_CLOSE_OK };
  const steps: [Method[], Method[]][] = [
    [[], [tuneOk(), open(), closeOk]],
    [[startOk()], [startOk(), open(), closeOk]],
  ];
  for (const [before, others] of steps) {
    for (const method of others) {
      t.equal(handshakeError(() => after(...before, method)).reason, 'handshake-failed');
    }
  }
  for (const method of [startOk(), tuneOk(), closeOk]) {
    const { replyCode, methodId } = amqpError(() => after(startOk(), tuneOk(), method));
    t.same([replyCode, methodId], [504, method.id]);
  }
});
