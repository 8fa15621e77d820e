// A small, fast AMQP client on any stream, for tests that move many messages, stop reading, or have no socket at all.
// Like the raw-byte tests it builds its frames by hand. What it reads it hands on at once: nothing is kept but what nobody
// has asked for yet. It answers connection.close by itself.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import {
  basicPublish,
  bytes,
  channelClose,
  channelOpen,
  connectionCloseOk,
  connectionOpen,
  contentBody,
  contentHeader,
  FRAME_BODY,
  FRAME_END,
  FRAME_METHOD,
  method,
  octet,
  PROTOCOL_HEADER,
  type Publish,
  type StartOk,
  short,
  shortString,
  startOk,
  type Tuning,
  table,
  tuneOk,
} from './wire-bytes.ts';

export interface OpenOptions extends StartOk, Tuning {
  readonly vhost?: string;
}

/** Client properties of a client that wants to be told when it is blocked. */
export const TELL_BLOCKED = { clientProperties: { capabilities: { 'connection.blocked': true } } };

/** A message as it came, without its properties. */
export interface Received {
  readonly channel: number;
  /** Of basic.deliver or basic.get-ok; 0 for a returned message. */
  readonly deliveryTag: number;
  readonly body: Buffer;
}

interface Waiter {
  readonly what: string;
  resolve(args: Buffer): void;
  reject(error: Error): void;
}

const DELIVER = 60 * 65536 + 60;
const GET_OK = 60 * 65536 + 71;
const RETURN = 60 * 65536 + 50;
const CONTENT_METHODS = new Set([DELIVER, GET_OK, RETURN]);

/** A client that is told to go goes. */
const CONNECTION_CLOSE = '10.50 on 0';

/** Name of a method in error messages and as a key: `50.11 on 1`. */
const nameOf = (channel: number, classId: number, methodId: number): string => `${classId}.${methodId} on ${channel}`;

export class EmbedClient {
  readonly stream: Duplex;
  /** Called for each whole message. */
  onMessage: (message: Received) => void = () => {};
  /** Heartbeats that came so far. */
  heartbeats = 0;
  /** Resolves when the stream is closed, whoever closed it. */
  readonly closed: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;
  readonly #methods = new Map<string, Buffer[]>();
  readonly #waiters: Waiter[] = [];
  readonly #contents = new Map<number, { deliveryTag: number; size: number; pieces: Buffer[]; received: number }>();

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', (data: Buffer) => this.#take(data));
    stream.on('error', () => {});
    this.closed = new Promise((resolve) => stream.on('close', resolve));
    void this.closed.then(() => this.#end());
  }

  /** Connects a socket, which is destroyed when the test ends, and opens a connection on it. */
  static async connect(t: Test, port: number, options: OpenOptions = {}): Promise<EmbedClient> {
    const client = EmbedClient.dial(port);
    t.teardown(() => client.stream.destroy());
    return client.open(options);
  }

  /** Connects a socket that the test itself closes. */
  static dial(port: number): EmbedClient {
    return new EmbedClient(connect({ port, host: '127.0.0.1', noDelay: true }));
  }

  /** The stream as a socket, for tests that connected one. */
  get socket(): Socket {
    return this.stream as Socket;
  }

  /** Goes through the handshake. */
  async open(options: OpenOptions = {}): Promise<this> {
    this.send(PROTOCOL_HEADER);
    await this.expect(0, 10, 10);
    this.send(startOk(options));
    await this.expect(0, 10, 30);
    this.send(tuneOk(options), connectionOpen(options.vhost));
    await this.expect(0, 10, 41);
    return this;
  }

  async openChannel(channel = 1): Promise<this> {
    await this.call(channel, 20, 11, channelOpen(channel));
    return this;
  }

  async closeChannel(channel: number): Promise<void> {
    await this.call(channel, 20, 41, channelClose(channel));
  }

  /** Gives bytes to the stream; false when it wants a rest, as stream.write. */
  send(...pieces: (Buffer | string)[]): boolean {
    return this.stream.write(pieces.length === 1 ? pieces[0] : bytes(...pieces));
  }

  /** Gives bytes to the stream and waits while it wants a rest: for publishers that want to go as fast as they may. */
  async sendPaced(data: Buffer): Promise<void> {
    if (this.#ended) throw new Error('the connection ended');
    if (!this.stream.write(data)) await Promise.race([once(this.stream, 'drain'), this.closed]);
  }

  /** Sends frames and waits for a method. */
  call(channel: number, classId: number, methodId: number, ...pieces: Buffer[]): Promise<Buffer> {
    const answer = this.expect(channel, classId, methodId);
    this.send(...pieces);
    return answer;
  }

  /** Waits for a method, whatever else comes before it, and gives its arguments. Rejects when the stream ends first. */
  expect(channel: number, classId: number, methodId: number): Promise<Buffer> {
    const what = nameOf(channel, classId, methodId);
    const waiting = this.#methods.get(what);
    const args = waiting?.shift();
    if (waiting?.length === 0) this.#methods.delete(what);
    if (args !== undefined) return Promise.resolve(args);
    if (this.#ended) return Promise.reject(new Error(`the connection ended before ${what}`));
    return new Promise((resolve, reject) => this.#waiters.push({ what, resolve, reject }));
  }

  /** Whether a method came that nobody has waited for yet. */
  has(channel: number, classId: number, methodId: number): boolean {
    return this.#methods.has(nameOf(channel, classId, methodId));
  }

  /** Drops the methods that came and that nobody waited for. */
  forget(): void {
    this.#methods.clear();
  }

  /** Closes the connection in order, and its stream. */
  async close(): Promise<void> {
    await this.call(0, 10, 51, method(0, 10, 50, short(200), shortString('bye'), short(0), short(0)));
    this.stream.end();
    await this.closed;
  }

  #take(data: Buffer): void {
    let rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    while (rest.length >= 8) {
      const size = rest.readUInt32BE(3);
      if (rest.length < size + 8) break;
      if (rest[size + 7] !== FRAME_END) throw new Error(`a frame ends with ${rest[size + 7]}`);
      const payload = rest.subarray(7, size + 7);
      const [type, channel] = [rest[0], rest.readUInt16BE(1)];
      rest = rest.subarray(size + 8);
      // Before the handler: it may make the broker answer at once, on a stream in memory.
      this.#rest = rest;
      this.#frame(type, channel, payload);
      if (this.#rest !== rest) rest = this.#rest;
    }
    this.#rest = rest;
  }

  #frame(type: number, channel: number, payload: Buffer): void {
    if (type === FRAME_METHOD) this.#method(channel, payload);
    else if (channel === 0) this.heartbeats++;
    else this.#content(type, channel, payload);
  }

  #method(channel: number, payload: Buffer): void {
    const id = payload.readUInt32BE(0);
    if (CONTENT_METHODS.has(id)) {
      this.#contents.set(channel, { deliveryTag: deliveryTagOf(id, payload), size: -1, pieces: [], received: 0 });
      return;
    }
    const what = nameOf(channel, id >>> 16, id & 0xffff);
    const args = payload.subarray(4);
    if (what === CONNECTION_CLOSE) this.stream.end(connectionCloseOk());
    const index = this.#waiters.findIndex((waiter) => waiter.what === what);
    if (index >= 0) {
      this.#waiters.splice(index, 1)[0].resolve(args);
      return;
    }
    const waiting = this.#methods.get(what);
    if (waiting === undefined) this.#methods.set(what, [args]);
    else waiting.push(args);
  }

  #content(type: number, channel: number, payload: Buffer): void {
    const content = this.#contents.get(channel);
    if (content === undefined) throw new Error('content that belongs to no method');
    if (type === FRAME_BODY) {
      content.pieces.push(payload);
      content.received += payload.length;
    } else {
      content.size = Number(payload.readBigUInt64BE(4));
    }
    if (content.received < content.size) return;
    this.#contents.delete(channel);
    const [first] = content.pieces;
    const body = content.pieces.length === 1 ? first : Buffer.concat(content.pieces);
    this.onMessage({ channel, deliveryTag: content.deliveryTag, body });
  }

  #end(): void {
    this.#ended = true;
    for (const { what, reject } of this.#waiters.splice(0)) {
      reject(new Error(`the connection ended before ${what}`));
    }
  }
}

function deliveryTagOf(id: number, payload: Buffer): number {
  if (id === RETURN) return 0;
  return Number(payload.readBigUInt64BE(id === GET_OK ? 4 : 5 + payload[4]));
}

/** What a close or a blocked says: its first short string, after the reply code if there is one. */
export function closeText(args: Buffer): string {
  return args.toString('utf8', 3, 3 + args[2]);
}

/** queue.declare-ok: the ready messages. */
export function messageCountOf(declareOk: Buffer): number {
  return declareOk.readUInt32BE(1 + declareOk[0]);
}

/** A queue that any connection may use; its name must be given. */
export const sharedQueueDeclare = (channel: number, queue: string): Buffer =>
  method(channel, 50, 10, short(0), shortString(queue), octet(0), table());

/** A queue that is asked after, not made. */
export const passiveDeclare = (channel: number, queue: string): Buffer =>
  method(channel, 50, 10, short(0), shortString(queue), octet(1), table());

export const queueDelete = (channel: number, queue: string): Buffer =>
  method(channel, 50, 40, short(0), shortString(queue), octet(0));

/** A consumer that acknowledges. */
export const ackConsume = (channel: number, queue: string, tag = ''): Buffer =>
  method(channel, 60, 20, short(0), shortString(queue), shortString(tag), octet(0), table());

/** `count` messages with numbered bodies of `size` bytes, the number in the first four; `first` is the first number. */
export function numberedMessages(
  channel: number,
  options: Publish,
  { first = 0, count, size }: { first?: number; count: number; size: number },
): Buffer {
  const head = bytes(basicPublish(channel, options), contentHeader(channel, size));
  const one = bytes(head, contentBody(channel, Buffer.alloc(size)));
  const all = Buffer.alloc(one.length * count);
  for (let i = 0; i < count; i++) {
    all.set(one, i * one.length);
    all.writeUInt32BE(first + i, i * one.length + head.length + 7);
  }
  return all;
}

/** Resolves when `condition` holds, looked at on every turn of the event loop. For what no event tells. */
export async function turnsUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when the broker does not read from the client: its stream gave nothing away for many turns of the event loop. */
export async function heldUp({ stream }: EmbedClient): Promise<void> {
  for (let [turns, before] = [0, -1]; turns < 500; turns++) {
    if (stream.writableLength !== before) turns = 0;
    before = stream.writableLength;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Counts messages, checks that they come in order, each once, and tells when enough are there. */
export class NumberedInbox {
  received = 0;
  /** Numbers that were not the next one, to show in a failing test. */
  readonly misplaced: number[] = [];
  #wanted = Number.POSITIVE_INFINITY;
  #reached: () => void = () => {};

  readonly take = ({ body }: Received): void => {
    const number = body.readUInt32BE(0);
    if (number !== this.received && this.misplaced.length < 10) this.misplaced.push(number);
    if (++this.received >= this.#wanted) this.#reached();
  };

  /** Resolves when so many messages have come since the beginning. */
  count(wanted: number): Promise<void> {
    if (this.received >= wanted) return Promise.resolve();
    this.#wanted = wanted;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }
}
