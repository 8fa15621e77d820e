// A broker without sockets whose disk is as slow as the test says: what was to be made durable becomes so at `sync`, messages
// on disk are read at `read`, and a turn ends at `endTurn`.
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import { type Method, methodName } from '../../../codec/generated/methods.ts';
import { builtInExchangeTypes, ExchangeTypeRegistry } from '../../../exchanges/exchange-type-registry.ts';
import { createSaslMechanisms } from '../../../lib/auth/sasl.ts';
import { UserStore } from '../../../lib/auth/users.ts';
import { Alarms } from '../../../lib/core/alarms.ts';
import { MemoryAccount } from '../../../lib/core/memory-account.ts';
import type { Message } from '../../../lib/core/message.ts';
import type { MessageStore, PlacedMessages, QueueStore, StoredQueue } from '../../../lib/core/message-store.ts';
import type { Logger } from '../../../lib/core/ports.ts';
import { PublishFlow } from '../../../lib/core/publish-flow.ts';
import type { Confirmation } from '../../../lib/core/queue.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../../lib/core/turn.ts';
import { VirtualHost } from '../../../lib/core/virtual-host.ts';
import { AmqpListener } from '../../../lib/protocols/amqp/amqp-listener.ts';
import { TestClock } from '../../core/helper.ts';
import {
  basicPublish,
  bytes,
  channelOpen,
  connectionOpen,
  contentBody,
  contentHeader,
  method,
  octet,
  type Piece,
  PROTOCOL_HEADER,
  short,
  shortString,
  startOk,
  table,
  tuneOk,
} from '../../helper/wire-bytes.ts';
import { FrameReader, TestStream } from './helper.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const PEER = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 5672 };
const FRAME_MAX = 131_072;

/** A queue's part of the store: it remembers what it was asked for, and moves messages out of memory when it is told to. */
class SlowQueueStore implements QueueStore {
  readonly #store: SlowStore;
  readonly #queue: StoredQueue;
  #paged: PlacedMessages = { messages: [], positions: [] };
  /** The queue asked for messages that are on disk. */
  wanted = false;

  constructor(store: SlowStore, queue: StoredQueue) {
    this.#store = store;
    this.#queue = queue;
  }

  get pagedCount(): number {
    return this.#paged.messages.length;
  }

  get nextPaged(): number {
    return this.#paged.positions[0] ?? Infinity;
  }

  add(message: Message, _position: number, confirmation: Confirmation | null): void {
    this.#store.stored.push(message);
    this.#store.sequence++;
    if (confirmation !== null) this.#store.whenDurable(() => confirmation.settled(true));
  }

  remove(message: Message): void {
    if (message.persistent && this.#queue.settings.durable) this.#store.sequence++;
  }

  moved(message: Message): void {
    this.remove(message);
  }

  delivered(): void {}

  returned(): void {}

  isPagedOut(position: number): boolean {
    return this.#paged.positions.includes(position);
  }

  drop(): void {
    throw new Error('no message of these tests leaves the disk unread');
  }

  fetch(): void {
    throw new Error('no message of these tests is dead-lettered');
  }

  load(): void {
    this.wanted = true;
  }

  purge(): number {
    const count = this.pagedCount;
    this.#paged = { messages: [], positions: [] };
    return count;
  }

  delete(): void {
    this.purge();
    if (this.#queue.settings.durable) this.#store.sequence++;
  }

  /** What is ready leaves memory. */
  page(): void {
    const { messages, positions } = this.#queue.giveUp(Number.MAX_SAFE_INTEGER);
    const all = [...this.#paged.messages, ...messages];
    const places = [...this.#paged.positions, ...positions];
    const order = [...places.keys()].sort((a, b) => places[a] - places[b]);
    this.#paged = { messages: order.map((i) => all[i]), positions: order.map((i) => places[i]) };
  }

  /** Reads what the queue asked for. */
  read(): void {
    if (!this.wanted) return;
    this.wanted = false;
    const loaded = this.#paged;
    this.#paged = { messages: [], positions: [] };
    this.#queue.loaded(loaded);
  }
}

class SlowStore implements MessageStore {
  sequence = 0;
  /** The messages that were to be stored. */
  readonly stored: Message[] = [];
  readonly queues: SlowQueueStore[] = [];
  #waiting: (() => void)[] = [];
  readonly #isPrompt: boolean;

  constructor(isPrompt: boolean) {
    this.#isPrompt = isPrompt;
  }

  /** How many wait for something to be durable. */
  get waiting(): number {
    return this.#waiting.length;
  }

  whenDurable(done: () => void): void {
    if (this.#isPrompt) done();
    else this.#waiting.push(done);
  }

  createQueue(_virtualHost: string, queue: StoredQueue): QueueStore {
    const store = new SlowQueueStore(this, queue);
    this.queues.push(store);
    if (queue.settings.durable && queue.settings.owner === null) this.sequence++;
    return store;
  }

  exchangeDeclared(): void {
    this.sequence++;
  }

  exchangeDeleted(): void {
    this.sequence++;
  }

  bound(): void {
    this.sequence++;
  }

  unbound(): void {
    this.sequence++;
  }

  parameterSet(): void {
    this.sequence++;
  }

  parameterCleared(): void {
    this.sequence++;
  }

  /** All that waits is durable now. @param count how many of them hear of it, the first ones first */
  sync(count = Infinity): void {
    for (const done of this.#waiting.splice(0, count)) done();
  }
}

/** One connection, from the client's side. */
export class SlowClient {
  readonly stream = new TestStream();
  readonly #endTurn: () => void;
  #seen = 0;

  constructor(endTurn: () => void) {
    this.#endTurn = endTurn;
  }

  /** Gives bytes to the broker in one chunk, and ends the turn. */
  send(...pieces: Piece[]): void {
    this.stream.emit('data', bytes(...pieces));
    this.#endTurn();
  }

  /** The same, and then the chunk is overwritten: nothing may hold on to it. */
  sendFleeting(...pieces: Piece[]): void {
    const chunk = bytes(...pieces);
    this.stream.emit('data', chunk);
    chunk.fill(0xee);
    this.#endTurn();
  }

  /** The methods that came since the last call, such as `1 queue.declare-ok`. */
  received(): string[] {
    return this.methods().map(({ channel, method: { id } }) => `${channel} ${methodName(id)}`);
  }

  /** The same, as they are. */
  methods(): { channel: number; method: Method; body: string | undefined }[] {
    const all = this.stream.bytes;
    const news = FrameReader.read(Buffer.from(all.subarray(this.#seen)), FRAME_MAX).methods;
    this.#seen = all.length;
    return news.map(({ channel, method: each, content }) => ({
      channel,
      method: each,
      body: content?.body.toString(),
    }));
  }
}

export class SlowBroker {
  readonly store: SlowStore;
  readonly clock = new TestClock();
  readonly memory = new MemoryAccount(2 ** 40, 2 ** 40);
  readonly virtualHost: VirtualHost;
  readonly listener: AmqpListener;
  /** What was logged as errors: defects of the broker. */
  readonly defects: object[] = [];

  /** @param isPrompt everything is durable at once */
  constructor(isPrompt = false) {
    this.store = new SlowStore(isPrompt);
    const logger: Logger = {
      debug() {},
      info() {},
      warn() {},
      error: (fields) => this.defects.push(fields),
      child: () => logger,
    };
    const { memory, clock, store } = this;
    const turn = new TurnScheduler(clock);
    const slab = new RetentionSlab();
    const exchangeTypes = new ExchangeTypeRegistry(builtInExchangeTypes);
    const defect = (err: unknown): void => logger.error({ err }, '');
    const context = { exchangeTypes, memory, turn, slab, clock, defect, durability: store };
    this.virtualHost = new VirtualHost('/', { ...context, store });
    // The exchanges that are there from the beginning.
    store.sequence = 0;
    this.listener = new AmqpListener(
      {
        serverProperties: new Map(),
        frameMaxBytes: FRAME_MAX,
        channelMax: 2047,
        heartbeatSeconds: 0,
        handshakeTimeoutMs: 10_000,
        maxMessageSizeBytes: 2 ** 24,
        consumerTimeoutMs: 0,
        users: new UserStore([{ name: 'guest', password: 'guest', tags: [], permissions: { '/': ALL } }]),
        saslMechanisms: createSaslMechanisms({ decodeTable: () => new Map() }),
        loopbackUsers: [],
        virtualHosts: new Map([['/', this.virtualHost]]),
        memory,
        alarms: new Alarms(),
        flow: new PublishFlow(),
        turn,
        slab,
        clock,
        logger,
      },
      0,
    );
  }

  /** A connection with these channels open. */
  connect(...channels: number[]): SlowClient {
    const client = new SlowClient(() => this.endTurn());
    this.listener.accept(client.stream as Duplex, PEER, false);
    const clientProperties = { capabilities: { consumer_cancel_notify: true } };
    for (const step of [PROTOCOL_HEADER, startOk({ clientProperties }), bytes(tuneOk(), connectionOpen())])
      client.send(step);
    for (const channel of channels) client.send(channelOpen(channel));
    client.received();
    return client;
  }

  /** Ends the turn, and those that follow from it. */
  endTurn(): void {
    while (this.clock.pendingTasks > 0) this.clock.endTurn();
  }

  /** What waits is durable now, and the turn ends. */
  sync(count?: number): void {
    this.store.sync(count);
    this.endTurn();
  }

  /** What queues asked for is read from disk, and the turn ends. */
  read(): void {
    for (const queue of this.store.queues) queue.read();
    this.endTurn();
  }
}

/** Fails the test when the broker logged a defect, and looks for bytes that are still counted. */
export function checkBroker(t: Test, broker: SlowBroker): void {
  t.same(broker.defects, [], 'no defects');
  t.equal(broker.memory.usedBytes, 0, 'nothing is left behind');
}

// Frames

export const declareDurable = (channel: number, queue: string, bits = 0b0010): Buffer =>
  method(channel, 50, 10, short(0), shortString(queue), octet(bits), table());

export const deleteQueue = (channel: number, queue: string): Buffer =>
  method(channel, 50, 40, short(0), shortString(queue), octet(0));

/** A persistent message to a queue, in one frame of body. */
export function persistentMessage(channel: number, queue: string, body: string, expiration?: string): Buffer {
  const expires = expiration === undefined ? '' : shortString(expiration);
  const flags = 0x1000 | (expiration === undefined ? 0 : 0x0100);
  const header = contentHeader(channel, body.length, { flags, properties: bytes(octet(2), expires) });
  return bytes(basicPublish(channel, { routingKey: queue }), header, contentBody(channel, body));
}

export const passive = (channel: number, queue: string): Buffer => declareDurable(channel, queue, 0b0001);

/** basic.get without acknowledgement. */
export const getNoAck = (queue: string): Buffer => method(1, 60, 70, short(0), shortString(queue), octet(1));

export const txSelect: Buffer = method(1, 90, 10);
export const txCommit: Buffer = method(1, 90, 20);

/** A broker with the durable queue `q`, and a client with channels 1 and 2. */
export function withQueue(...messages: string[]): { broker: SlowBroker; client: SlowClient } {
  const broker = new SlowBroker();
  const client = broker.connect(1, 2);
  client.send(declareDurable(1, 'q'));
  broker.sync();
  for (const body of messages) client.send(persistentMessage(1, 'q', body));
  broker.sync();
  client.received();
  return { broker, client };
}
