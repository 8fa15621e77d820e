// How many connections and channels users and virtual hosts have: counted exactly, however connections begin and end, and
// limited by what the limits are when one more is opened.
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { createSaslMechanisms } from '../../../lib/auth/sasl.ts';
import { type User, UserStore } from '../../../lib/auth/users.ts';
import { Alarms } from '../../../lib/core/alarms.ts';
import { MemoryAccount } from '../../../lib/core/memory-account.ts';
import type { Logger } from '../../../lib/core/ports.ts';
import { PublishFlow } from '../../../lib/core/publish-flow.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../../lib/core/turn.ts';
import type { VirtualHost } from '../../../lib/core/virtual-host.ts';
import { AmqpListener } from '../../../lib/protocols/amqp/amqp-listener.ts';
import { type Step, sequenceOf, stepsOf, TestClock } from '../../core/helper.ts';
import { createVirtualHost } from '../../core/virtual-host-helper.ts';
import {
  basicGet,
  bytes,
  channelClose,
  channelCloseOk,
  channelOpen,
  connectionClose,
  connectionCloseOk,
  connectionOpen,
  method,
  PROTOCOL_HEADER,
  startOk,
  tuneOk,
} from '../../helper/wire-bytes.ts';
import { SlowClient } from './waiting-helper.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const USERS = ['ann', 'bob'];
const VHOSTS = ['one', 'two'];
const PEER = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 5672 };
const CHANNELS = [1, 2, 3];
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

interface Session {
  readonly client: SlowClient;
  readonly user: User;
  readonly virtualHost: VirtualHost;
  /** Open, or closed by the broker and not answered yet. */
  readonly channels: Map<number, 'open' | 'closing'>;
  isClosing: boolean;
}

class Model {
  readonly users = new UserStore();
  readonly virtualHosts = new Map<string, VirtualHost>();
  readonly #listener: AmqpListener;
  readonly #clock = new TestClock();
  #sessions: Session[] = [];

  constructor() {
    for (const name of USERS) this.renewUser(name);
    for (const name of VHOSTS) this.virtualHosts.set(name, createVirtualHost());
    this.#listener = new AmqpListener(
      {
        serverProperties: new Map(),
        frameMaxBytes: 131_072,
        channelMax: 2047,
        heartbeatSeconds: 0,
        handshakeTimeoutMs: 10_000,
        maxMessageSizeBytes: 2 ** 20,
        consumerTimeoutMs: 0,
        users: this.users,
        saslMechanisms: createSaslMechanisms({ decodeTable: () => new Map() }),
        loopbackUsers: [],
        virtualHosts: this.virtualHosts,
        memory: new MemoryAccount(2 ** 40, 2 ** 40),
        alarms: new Alarms(),
        flow: new PublishFlow(),
        turn: new TurnScheduler(this.#clock),
        slab: new RetentionSlab(),
        clock: this.#clock,
        logger: silent,
      },
      0,
    );
  }

  connect(userName: string, vhost: string): void {
    const user = this.user(userName);
    const virtualHost = this.virtualHost(vhost);
    const isFull =
      this.#count(virtualHost) >= virtualHost.limits.maxConnections ||
      this.#countOf(user) >= user.limits.maxConnections;
    const client = new SlowClient(() => this.#endTurn());
    this.#listener.accept(client.stream as Duplex, PEER, false);
    client.send(PROTOCOL_HEADER);
    client.send(startOk({ response: `\0${userName}\0secret` }));
    client.send(bytes(tuneOk(), connectionOpen(vhost)));
    const answer = client.received().at(-1);
    assert.equal(answer, isFull ? '0 connection.close' : '0 connection.open-ok');
    if (isFull) client.send(connectionCloseOk());
    else this.#sessions.push({ client, user, virtualHost, channels: new Map(), isClosing: false });
  }

  openChannel(session: Session, number: number): void {
    const { client, user, channels } = session;
    if (session.isClosing || channels.has(number)) return;
    const isFull = this.#channelsOf(user) >= user.limits.maxChannels;
    client.send(channelOpen(number));
    assert.equal(client.received().at(-1), isFull ? '0 connection.close' : `${number} channel.open-ok`);
    if (isFull) this.#closing(session);
    else channels.set(number, 'open');
  }

  /** A mistake closes the channel; it counts until the client has answered. */
  failChannel({ client, channels }: Session, number: number): void {
    if (channels.get(number) !== 'open') return;
    client.send(basicGet(number, 'no-such-queue'));
    assert.equal(client.received().at(-1), `${number} channel.close`);
    channels.set(number, 'closing');
  }

  closeChannel({ client, channels }: Session, number: number): void {
    const state = channels.get(number);
    if (state === undefined) return;
    client.send(state === 'open' ? channelClose(number) : channelCloseOk(number));
    channels.delete(number);
  }

  /** A mistake closes the connection; it counts until it is over. */
  fail(session: Session): void {
    if (session.isClosing) return;
    session.client.send(method(0, 10, 11));
    this.#closing(session);
  }

  /** The client says connection.close, and may leave its socket open. */
  close(session: Session): void {
    if (session.isClosing) return;
    session.client.send(connectionClose());
    assert.equal(session.client.received().at(-1), '0 connection.close-ok');
    this.#closing(session);
  }

  answer(session: Session): void {
    if (!session.isClosing) return;
    session.client.send(connectionCloseOk());
    this.#ended(session);
  }

  cut(session: Session, how: 'end' | 'close' | 'error'): void {
    session.client.stream.emit(how, how === 'error' ? new Error('reset') : undefined);
    this.#ended(session);
  }

  /** Deletes a user, as an operator does, and makes one of the same name. */
  renewUser(name: string): void {
    const user = this.users.get(name);
    if (user !== undefined) {
      this.users.remove(name);
      this.#listener.closeConnections((session) => session.user === user, 'deleted');
      for (const session of this.#sessions) if (session.user === user) this.#closing(session);
    }
    this.users.add({ name, password: 'secret', tags: [], permissions: { one: ALL, two: ALL } });
  }

  renewVirtualHost(name: string): void {
    const virtualHost = this.virtualHost(name);
    this.virtualHosts.set(name, createVirtualHost());
    this.#listener.closeConnections((session) => session.virtualHost === virtualHost, 'deleted');
    for (const session of this.#sessions) if (session.virtualHost === virtualHost) this.#closing(session);
  }

  user(name: string): User {
    const user = this.users.get(name);
    assert.ok(user);
    return user;
  }

  virtualHost(name: string): VirtualHost {
    const virtualHost = this.virtualHosts.get(name);
    assert.ok(virtualHost);
    return virtualHost;
  }

  pick(index: number): Session | undefined {
    return this.#sessions[index % Math.max(1, this.#sessions.length)];
  }

  check(): void {
    const users = new Set([...USERS.map((name) => this.user(name)), ...this.#sessions.map(({ user }) => user)]);
    for (const user of users) {
      assert.deepEqual(user.inUse, { connections: this.#countOf(user), channels: this.#channelsOf(user) });
    }
    const hosts = new Set([...this.virtualHosts.values(), ...this.#sessions.map((session) => session.virtualHost)]);
    for (const host of hosts) assert.equal(host.connectionCount, this.#count(host));
    assert.equal(this.#listener.connectionCount, this.#sessions.length);
  }

  /** All channels go at once, the connection when it is over. */
  #closing(session: Session): void {
    session.channels.clear();
    session.isClosing = true;
  }

  #ended(session: Session): void {
    session.channels.clear();
    this.#sessions = this.#sessions.filter((each) => each !== session);
  }

  #count(virtualHost: VirtualHost): number {
    return this.#sessions.filter((session) => session.virtualHost === virtualHost).length;
  }

  #countOf(user: User): number {
    return this.#sessions.filter((session) => session.user === user).length;
  }

  #channelsOf(user: User): number {
    let count = 0;
    for (const session of this.#sessions) if (session.user === user) count += session.channels.size;
    return count;
  }

  #endTurn(): void {
    while (this.#clock.pendingTasks > 0) this.#clock.endTurn();
  }
}

const step = stepsOf<Model>();
const userName = fc.constantFrom(...USERS);
const vhostName = fc.constantFrom(...VHOSTS);
const session = fc.nat({ max: 20 });
const onChannel = fc.tuple(session, fc.constantFrom(...CHANNELS));
const limit = fc.oneof(fc.nat({ max: 5 }), fc.constant(Infinity));

function onSession(name: string, run: (model: Model, session: Session) => void): fc.Arbitrary<Step<Model>> {
  return step(name, session, (model, index) => {
    const picked = model.pick(index);
    if (picked !== undefined) run(model, picked);
  });
}

function withChannel(name: string, run: (model: Model, session: Session, channel: number) => void) {
  return step(name, onChannel, (model, [index, channel]) => {
    const picked = model.pick(index);
    if (picked !== undefined) run(model, picked, channel);
  });
}

const connects = step('connect', fc.tuple(userName, vhostName), (model, [user, vhost]) => model.connect(user, vhost));
const opens = withChannel('open channel', (model, picked, number) => model.openChannel(picked, number));

const aStep: fc.Arbitrary<Step<Model>> = fc.oneof(
  connects,
  connects,
  connects,
  opens,
  opens,
  opens,
  withChannel('fail channel', (model, picked, number) => model.failChannel(picked, number)),
  withChannel('close channel', (model, picked, number) => model.closeChannel(picked, number)),
  onSession('fail', (model, picked) => model.fail(picked)),
  onSession('close', (model, picked) => model.close(picked)),
  onSession('answer', (model, picked) => model.answer(picked)),
  onSession('end', (model, picked) => model.cut(picked, 'end')),
  onSession('vanish', (model, picked) => model.cut(picked, 'close')),
  onSession('reset', (model, picked) => model.cut(picked, 'error')),
  step('renew user', userName, (model, name) => model.renewUser(name)),
  step('renew virtual host', vhostName, (model, name) => model.renewVirtualHost(name)),
  step('limit connections of a user', fc.tuple(userName, limit), (model, [name, count]) => {
    model.user(name).limits.maxConnections = count;
  }),
  step('limit channels of a user', fc.tuple(userName, limit), (model, [name, count]) => {
    model.user(name).limits.maxChannels = count;
  }),
  step('limit a virtual host', fc.tuple(vhostName, limit), (model, [name, count]) => {
    model.virtualHost(name).limits.maxConnections = count;
  }),
);

t.test('whatever connections do, they are counted and limited exactly', async () => {
  fc.assert(
    fc.property(sequenceOf(aStep, 80), (steps) => {
      const model = new Model();
      for (const each of steps) {
        each(model);
        model.check();
      }
    }),
    { numRuns: 150 },
  );
});
