// A client that does whatever a seed says: declares, binds, publishes, consumes, settles, closes channels, and vanishes. It keeps
// to the protocol, so that what ends badly is a mistake of the broker's.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { FrameParser, type FrameSink } from '../../codec/frame-parser.ts';
import { encodeContentFrames, encodeMethodFrame, PROTOCOL_HEADER } from '../../codec/frame-writer.ts';
import * as m from '../../codec/generated/methods.ts';
import { readUInt32 } from '../../codec/integers.ts';
import { encodeProperties } from '../../codec/properties.ts';

const QUEUES = ['q1', 'q2', 'q3'];
const EXCHANGES = ['', 'x1', 'x2', 'amq.direct', 'amq.topic', 'amq.headers', 'amq.fanout'];
const KEYS = ['a', 'a.b', '#', '*.b', '', ...QUEUES];
const FRAME_MAX = 4096;

export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number below `sides`. */
  roll(sides: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * sides);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.roll(values.length)];
  }

  /** True once in so many times. */
  once(sides: number): boolean {
    return this.roll(sides) === 0;
  }
}

export class RandomClient implements FrameSink {
  readonly #dice: Dice;
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, 0);
  /** Channels that wait for the broker's close-ok. */
  readonly #closing = new Set<number>();
  channelErrors = 0;
  deliveries = 0;

  constructor(port: number, dice: Dice) {
    this.#dice = dice;
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('error', () => undefined); // the broker may close first
    this.#socket.on('data', (chunk) => this.#parser.push(chunk));
  }

  /** Takes so many steps, then closes or vanishes; resolves when the socket is closed. */
  async run(steps: number): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#open();
    for (let i = 0; i < steps && !this.#socket.destroyed; i++) {
      this.#step(1 + this.#dice.roll(3));
      if (this.#dice.once(12)) await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.#dice.once(2)) this.#socket.destroy();
    else this.#send(0, { id: m.CONNECTION_CLOSE, replyCode: 200, replyText: '', classId: 0, methodId: 0 });
    await closed;
  }

  onMethod(channel: number, buffer: Buffer, start: number): void {
    const id = readUInt32(buffer, start);
    if (id === m.BASIC_DELIVER) this.deliveries++;
    else if (id === m.CONNECTION_CLOSE_OK || id === m.CONNECTION_CLOSE) this.#socket.destroy();
    else if (id === m.CHANNEL_CLOSE) this.#channelClosed(channel);
    else if (id === m.CHANNEL_CLOSE_OK && this.#closing.delete(channel)) this.#send(channel, { id: m.CHANNEL_OPEN });
  }

  onHeader(): void {}
  onBody(): void {}
  onHeartbeat(): void {}
  onRefusedFrame(error: Error): void {
    throw error;
  }

  #open(): void {
    const capabilities: FieldTable = new Map<string, FieldValue>([
      ['consumer_cancel_notify', { type: 't', value: true }],
      ['connection.blocked', { type: 't', value: true }],
    ]);
    const clientProperties: FieldTable = new Map<string, FieldValue>([
      ['capabilities', { type: 'F', value: capabilities }],
    ]);
    const login = { clientProperties, mechanism: 'PLAIN', response: '\0guest\0guest', locale: 'en_US' };
    this.#socket.write(PROTOCOL_HEADER);
    this.#send(0, { id: m.CONNECTION_START_OK, ...login });
    this.#send(0, { id: m.CONNECTION_TUNE_OK, channelMax: 3, frameMax: FRAME_MAX, heartbeat: 0 });
    this.#send(0, { id: m.CONNECTION_OPEN, virtualHost: '/' });
    for (const channel of [1, 2, 3]) this.#send(channel, { id: m.CHANNEL_OPEN });
  }

  #step(channel: number): void {
    if (this.#closing.has(channel)) return;
    if (this.#dice.once(3)) {
      this.#publish(channel);
      return;
    }
    const method = this.#method();
    if (method.id === m.CHANNEL_CLOSE) this.#closing.add(channel);
    this.#send(channel, method);
  }

  #publish(channel: number): void {
    const dice = this.#dice;
    const headers: FieldTable = new Map<string, FieldValue>([
      ['a', { type: 'I', value: dice.roll(3) }],
      ['CC', { type: 'A', value: [{ type: 'S', value: dice.pick(QUEUES) }] }],
    ]);
    const properties = encodeProperties(dice.once(2) ? { headers, messageId: 'id' } : {});
    const body = Buffer.alloc(dice.once(2) ? dice.roll(50) : dice.roll(30_000));
    const method = { id: m.BASIC_PUBLISH, exchange: dice.pick(EXCHANGES), routingKey: dice.pick(KEYS) } as const;
    const frame = encodeMethodFrame(channel, { ...method, mandatory: dice.once(3), immediate: false });
    const bytes = Buffer.concat([frame, encodeContentFrames(channel, properties, body, FRAME_MAX)]);
    const cut = dice.roll(bytes.length);
    this.#socket.write(bytes.subarray(0, cut));
    this.#socket.write(bytes.subarray(cut));
  }

  #method(): m.Method {
    const { roll, pick, once: maybe } = bound(this.#dice);
    const noWait = maybe(3);
    const queue = pick(QUEUES);
    const exchange = pick(EXCHANGES);
    const routingKey = pick(KEYS);
    const args = this.#arguments();
    const choices: (() => m.Method)[] = [
      () => ({
        id: m.QUEUE_DECLARE,
        queue,
        passive: maybe(4),
        durable: false,
        exclusive: maybe(3),
        autoDelete: maybe(3),
        noWait,
        arguments: args,
      }),
      () => ({
        id: m.EXCHANGE_DECLARE,
        exchange,
        type: pick(['direct', 'topic', 'fanout', 'headers']),
        passive: maybe(4),
        durable: false,
        autoDelete: maybe(3),
        internal: maybe(9),
        noWait,
        arguments: args,
      }),
      () => ({ id: m.QUEUE_BIND, queue, exchange, routingKey, noWait, arguments: args }),
      () => ({ id: m.QUEUE_UNBIND, queue, exchange, routingKey, arguments: args }),
      () => ({
        id: m.EXCHANGE_BIND,
        destination: pick(EXCHANGES),
        source: exchange,
        routingKey,
        noWait,
        arguments: args,
      }),
      () => ({ id: m.EXCHANGE_DELETE, exchange, ifUnused: maybe(2), noWait }),
      () => ({ id: m.QUEUE_DELETE, queue, ifUnused: maybe(2), ifEmpty: maybe(2), noWait }),
      () => ({
        id: m.BASIC_CONSUME,
        queue,
        consumerTag: '',
        noLocal: false,
        noAck: maybe(3),
        exclusive: maybe(9),
        noWait,
        arguments: args,
      }),
      () => ({ id: m.BASIC_CANCEL, consumerTag: 'none', noWait }),
      () => ({ id: m.BASIC_GET, queue, noAck: maybe(2) }),
      () => ({ id: m.BASIC_ACK, deliveryTag: roll(20), multiple: maybe(2) }),
      () => ({ id: m.BASIC_ACK, deliveryTag: 0, multiple: true }),
      () => ({ id: m.BASIC_NACK, deliveryTag: 0, multiple: true, requeue: maybe(2) }),
      () => ({ id: m.BASIC_RECOVER, requeue: true }),
      () => ({ id: m.BASIC_QOS, prefetchSize: 0, prefetchCount: roll(4), global: maybe(2) }),
      () => ({ id: pick([m.TX_SELECT, m.TX_COMMIT, m.TX_ROLLBACK]) }),
      () => ({ id: m.CONFIRM_SELECT, noWait }),
      () => ({ id: m.QUEUE_PURGE, queue, noWait }),
      () => ({ id: m.CHANNEL_CLOSE, replyCode: 0, replyText: '', classId: 0, methodId: 0 }),
    ];
    return pick(choices)();
  }

  #arguments(): FieldTable {
    const { roll, pick, once: maybe } = bound(this.#dice);
    const args = new Map<string, FieldValue>();
    if (maybe(6)) args.set('x-max-length', { type: 'I', value: roll(5) });
    if (maybe(6)) args.set('x-overflow', { type: 'S', value: pick(['reject-publish', 'drop-head']) });
    if (maybe(6)) args.set('alternate-exchange', { type: 'S', value: pick(EXCHANGES) });
    if (maybe(6)) args.set('x-match', { type: 'S', value: pick(['all', 'any']) });
    if (maybe(6)) args.set('a', { type: 'I', value: roll(3) });
    if (maybe(6)) args.set('x-priority', { type: 'I', value: roll(3) });
    return args;
  }

  #channelClosed(channel: number): void {
    this.channelErrors++;
    this.#send(channel, { id: m.CHANNEL_CLOSE_OK });
    // When both sides close at once, the broker's close-ok opens it again.
    if (!this.#closing.has(channel)) this.#send(channel, { id: m.CHANNEL_OPEN });
  }

  #send(channel: number, method: m.Method): void {
    this.#socket.write(encodeMethodFrame(channel, method));
  }
}

function bound(dice: Dice): Pick<Dice, 'roll' | 'pick' | 'once'> {
  return { roll: (sides) => dice.roll(sides), pick: (values) => dice.pick(values), once: (sides) => dice.once(sides) };
}
