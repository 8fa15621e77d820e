// Connections that are kept from publishing, by alarms and by the flow of publishes, in memory and by a clock of the test's own.
import t, { type Test } from 'tap';
import { createSaslMechanisms } from '../../../lib/auth/sasl.ts';
import { UserStore } from '../../../lib/auth/users.ts';
import { Alarms } from '../../../lib/core/alarms.ts';
import { MemoryAccount } from '../../../lib/core/memory-account.ts';
import type { Clock, Logger, Timer } from '../../../lib/core/ports.ts';
import { CONGESTED_BY_MEMORY, PublishFlow } from '../../../lib/core/publish-flow.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../../lib/core/turn.ts';
import { AmqpListener } from '../../../lib/protocols/amqp/amqp-listener.ts';
import { createVirtualHost } from '../../core/virtual-host-helper.ts';
import {
  EmbedClient,
  heldUp,
  type OpenOptions,
  sharedQueueDeclare,
  TELL_BLOCKED,
  turnsUntil,
} from '../../helper/embed-client.ts';
import { createPair } from '../../helper/embed-pair.ts';
import { heartbeat, message, shortString } from '../../helper/wire-bytes.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const PEER = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 5672 };

/** Time goes by when the test says so; turns end as they do. */
class SteppedClock implements Clock {
  #now = 0;
  #everySecond: () => void = () => {};

  now(): number {
    return this.#now;
  }

  epochMs(): number {
    return this.#now;
  }

  after(): Timer {
    return { cancel() {} };
  }

  every(_periodMs: number, task: () => void): Timer {
    this.#everySecond = task;
    return {
      cancel: () => {
        this.#everySecond = () => {};
      },
    };
  }

  endOfTurn(task: () => void): void {
    setImmediate(task);
  }

  /** Lets seconds go by, each with time for what follows from it. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.#now += 1000;
      this.#everySecond();
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function setUp() {
  const [alarms, flow, clock] = [new Alarms(), new PublishFlow(), new SteppedClock()];
  const listener = new AmqpListener(
    {
      serverProperties: new Map(),
      frameMaxBytes: 131_072,
      channelMax: 2047,
      heartbeatSeconds: 60,
      handshakeTimeoutMs: 10_000,
      maxMessageSizeBytes: 2 ** 20,
      consumerTimeoutMs: 0,
      users: new UserStore([{ name: 'guest', password: 'guest', tags: [], permissions: { '/': ALL } }]),
      saslMechanisms: createSaslMechanisms({ decodeTable: () => new Map() }),
      loopbackUsers: [],
      virtualHosts: new Map([['/', createVirtualHost()]]),
      memory: new MemoryAccount(2 ** 40, 2 ** 40),
      alarms,
      flow,
      turn: new TurnScheduler(clock),
      slab: new RetentionSlab(),
      clock,
      logger: silent,
    },
    0,
  );
  const open = async (options: OpenOptions = TELL_BLOCKED): Promise<EmbedClient> => {
    const [ours, theirs] = createPair('next-turn');
    listener.accept(ours, PEER, false);
    const client = await (await new EmbedClient(theirs).open(options)).openChannel();
    await client.call(1, 50, 11, sharedQueueDeclare(1, 'kept'));
    return client;
  };
  return { alarms, flow, clock, listener, open };
}

/** A message that comes back, as no queue takes it: so its publisher sees that it was read. */
function unroutable(body: string): Buffer {
  return message(1, body, { routingKey: 'nowhere', mandatory: true });
}

/** A message that a queue keeps. */
const routable = message(1, 'kept', { routingKey: 'kept' });

/** The bodies that come back to a client. */
function returned(client: EmbedClient): string[] {
  const bodies: string[] = [];
  client.onMessage = ({ body }) => bodies.push(body.toString());
  return bodies;
}

function wasTold(client: EmbedClient): boolean {
  return client.has(0, 10, 60) || client.has(0, 10, 61);
}

/** A publisher that is held back by the flow, with what came back to it. */
async function openHeld(t: Test, world: ReturnType<typeof setUp>, options?: OpenOptions) {
  const publisher = await world.open(options);
  const bodies = returned(publisher);
  world.flow.hold(CONGESTED_BY_MEMORY);
  publisher.send(unroutable('unaffected'), routable, unroutable('waits'));
  await heldUp(publisher);
  t.same(bodies, ['unaffected'], 'nothing is read after what a queue got');
  return { publisher, bodies };
}

t.test('a publisher is told what is short when it is blocked, and of the end of the last alarm', async (t) => {
  const { alarms, open } = setUp();
  const publisher = await open();
  const bodies = returned(publisher);
  alarms.set('disk', true);
  await heldUp(publisher);
  t.notOk(wasTold(publisher), 'nothing before it publishes');
  publisher.send(unroutable('first'));
  t.same(await publisher.expect(0, 10, 60), shortString('low on disk'));

  alarms.set('memory', true);
  const second = await open();
  second.send(unroutable('second'));
  t.same(await second.expect(0, 10, 60), shortString('low on disk & memory'));

  alarms.set('disk', false);
  const third = await open();
  third.send(unroutable('third'));
  t.same(await third.expect(0, 10, 60), shortString('low on memory'));
  for (const client of [publisher, second]) t.notOk(wasTold(client), 'nothing of a second alarm, nor of its end');
  t.same(bodies, []);

  alarms.set('memory', false);
  for (const client of [publisher, second, third]) await client.expect(0, 10, 61);
  await turnsUntil(() => bodies.length === 1);
  t.same(bodies, ['first']);
});

t.test('while the flow is held publishers are not read from, without a word', async (t) => {
  const world = setUp();
  const { publisher, bodies } = await openHeld(t, world);
  const other = await world.open();
  await other.closeChannel(1);
  t.pass('who does not publish is read from');
  world.flow.release(CONGESTED_BY_MEMORY);
  await turnsUntil(() => bodies.length === 2);
  t.same(bodies, ['unaffected', 'waits']);
  t.notOk(wasTold(publisher));

  await t.test('as often as it is held', async (t) => {
    for (const body of ['once', 'more']) {
      bodies.length = 0;
      world.flow.hold(CONGESTED_BY_MEMORY);
      publisher.send(routable, unroutable(body));
      await heldUp(publisher);
      t.same(bodies, []);
      world.flow.release(CONGESTED_BY_MEMORY);
      await turnsUntil(() => bodies.length === 1);
      t.same(bodies, [body]);
    }
    t.notOk(wasTold(publisher));
  });
});

t.test('a publisher that is held by both goes on when both are over', async (t) => {
  for (const first of ['alarm', 'flow']) {
    const world = setUp();
    const { alarms, flow } = world;
    const publisher = await world.open();
    const bodies = returned(publisher);
    alarms.set('disk', true);
    flow.hold(CONGESTED_BY_MEMORY);
    publisher.send(routable, unroutable('waits'));
    await publisher.expect(0, 10, 60);
    const steps = [() => alarms.set('disk', false), () => flow.release(CONGESTED_BY_MEMORY)];
    if (first === 'flow') steps.reverse();
    steps[0]();
    await heldUp(publisher);
    t.same(bodies, [], `the ${first} is over, the other is not`);
    steps[1]();
    await turnsUntil(() => bodies.length === 1);
    t.ok(publisher.has(0, 10, 61));
  }
});

t.test('a publisher that is held by the flow gets heartbeats and is not missed for its own', async (t) => {
  const world = setUp();
  const { publisher } = await openHeld(t, world, { heartbeat: 1 });
  await world.clock.pass(10);
  t.ok(publisher.heartbeats >= 5, `${publisher.heartbeats} heartbeats came`);
  t.equal(world.listener.connectionCount, 1);

  await t.test('once it is read from again its silence counts', async (t) => {
    world.flow.release(CONGESTED_BY_MEMORY);
    publisher.send(heartbeat());
    await world.clock.pass(2);
    t.equal(world.listener.connectionCount, 1);
    await world.clock.pass(3);
    await publisher.closed;
    t.same([...world.listener.ends], [['heartbeat-timeout', 1]]);
  });
});

t.test('the end of a publisher that is held by the flow is noticed', async (t) => {
  for (const end of ['end', 'destroy'] as const) {
    const world = setUp();
    const { publisher } = await openHeld(t, world, { heartbeat: 60 });
    publisher.stream[end]();
    await world.clock.pass(3);
    t.same([...world.listener.ends], [['socket-closed', 1]], end);
    world.flow.release(CONGESTED_BY_MEMORY);
  }
});

t.test('a publisher that is held by the flow is closed in order with the broker', async (t) => {
  const world = setUp();
  const { publisher } = await openHeld(t, world);
  await world.listener.close(1000);
  await publisher.closed;
  t.equal((await publisher.expect(0, 10, 50)).readUInt16BE(0), 320);
  t.same([...world.listener.ends], [['shutdown', 1]]);
});
