// A client that costs little: it writes prepared bytes and looks at no more of what it gets than it must. Runs in a process of
// its own, beside the broker's.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { emptyFieldTable, type FieldTable, type FieldValue } from '../../codec/field-table.ts';
import { FrameParser, type FrameSink } from '../../codec/frame-parser.ts';
import { encodeContentFrames, encodeMethodFrame, PROTOCOL_HEADER } from '../../codec/frame-writer.ts';
import * as methods from '../../codec/generated/methods.ts';
import { readSafeUInt64, readUInt32 } from '../../codec/integers.ts';
import { type BasicProperties, encodeProperties } from '../../codec/properties.ts';

/** The largest frame that the client agrees to. */
export const FRAME_MAX = 131_072;
const CHANNEL = 1;
const CAPABILITIES: FieldTable = new Map<string, FieldValue>([['publisher_confirms', { type: 't', value: true }]]);
/** What one read takes at most. */
const READ_BYTES = 65_536;
/** How much of a body in several pieces `onMessage` gets to see. */
const HEAD_BYTES = 64;
const ACK_SLAB_BYTES = 16_384;

const NOTHING = Buffer.alloc(0);
/** An acknowledgement without its delivery tag. */
const ACK = encodeMethodFrame(CHANNEL, { id: methods.BASIC_ACK, deliveryTag: 0, multiple: false });
const ACK_TAG_AT = 11;
const ACK_MULTIPLE_AT = 19;

interface Awaited {
  readonly id: number;
  resolve(method: methods.Method): void;
  reject(error: Error): void;
}

export class BenchClient implements FrameSink {
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, 0);
  #awaited: Awaited | undefined;
  #failure: Error | undefined;
  #closing = false;
  /** Called with the tag of each delivery. */
  onDelivery: (deliveryTag: number) => void = () => {};
  /** Called with the tag of each confirm, and whether it stands for all before. */
  onConfirm: (deliveryTag: number, multiple: boolean) => void = () => {};
  /** Called with each frame of a body, and where in the buffer it begins; null when nobody asks. */
  onBodyPart: ((buffer: Buffer, start: number) => void) | null = null;
  /**
   * Called when a message has come whole, with the delivery tag, and with a buffer that holds the first bytes of its body (at least
   * `HEAD_BYTES`, or all) from `start` on. The buffer is written over afterwards.
   */
  onMessage: (deliveryTag: number, buffer: Buffer, start: number, bodySize: number) => void = () => {};
  /** Called with each content header; the properties begin at `start`. */
  onProperties: (buffer: Buffer, start: number, end: number) => void = () => {};
  /** Called when all that one read brought has been handled. */
  onReadEnd: () => void = () => {};
  /**
   * Called when the broker closes the connection or the channel, or refuses a message, and when one of the other functions throws;
   * but not when a `call` waits, which throws then.
   */
  onFailure: (error: Error) => void = (error) => {
    throw error;
  };
  /** Of a frame that came in several pieces. */
  #piece = NOTHING;
  #deliveryTag = 0;
  #bodySize = 0;
  #bodyLeft = 0;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headSize = 0;
  /** Acknowledgements that leave together after a read. The bytes before `#ackStart` may be on their way. */
  #acks = NOTHING;
  #ackStart = 0;
  #ackEnd = 0;

  private constructor(port: number, hostname: string) {
    // One buffer for all reads: whatever is kept of it is copied, here and in the parser.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (bytes: number): boolean => this.#received(buffer.subarray(0, bytes));
    this.#socket = connect({ port, host: hostname, onread: { buffer, callback } });
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the broker closed the socket')));
  }

  /** Connects, logs in and opens channel 1. */
  static async connect(url: string): Promise<BenchClient> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const client = new BenchClient(Number(port || 5672), hostname);
    const started = client.#await(methods.CONNECTION_START);
    client.#socket.write(PROTOCOL_HEADER);
    await started;
    const response = `\0${decodeURIComponent(username || 'guest')}\0${decodeURIComponent(password || 'guest')}`;
    const clientProperties: FieldTable = new Map<string, FieldValue>([
      ['capabilities', { type: 'F', value: CAPABILITIES }],
    ]);
    const login = { clientProperties, mechanism: 'PLAIN', response, locale: 'en_US' };
    await client.call({ id: methods.CONNECTION_START_OK, ...login }, methods.CONNECTION_TUNE, 0);
    client.send({ id: methods.CONNECTION_TUNE_OK, channelMax: 2047, frameMax: FRAME_MAX, heartbeat: 0 }, 0);
    const virtualHost = decodeURIComponent(pathname.slice(1)) || '/';
    await client.call({ id: methods.CONNECTION_OPEN, virtualHost }, methods.CONNECTION_OPEN_OK, 0);
    await client.call({ id: methods.CHANNEL_OPEN }, methods.CHANNEL_OPEN_OK);
    return client;
  }

  send(method: methods.Method, channel = CHANNEL): void {
    this.#socket.write(encodeMethodFrame(channel, method));
  }

  /** Sends a method and waits for its answer. @throws Error when the broker closes the channel or the connection instead */
  call(method: methods.Method, answerId: number, channel = CHANNEL): Promise<methods.Method> {
    const answer = this.#await(answerId);
    this.send(method, channel);
    return answer;
  }

  /** Declares a queue of a name that the broker makes up and returns that name. */
  async declareQueue(): Promise<string> {
    const flags = { passive: false, durable: false, exclusive: false, autoDelete: true, noWait: false };
    const method = { id: methods.QUEUE_DECLARE, queue: '', ...flags, arguments: emptyFieldTable } as const;
    const answer = await this.call(method, methods.QUEUE_DECLARE_OK);
    if (answer.id !== methods.QUEUE_DECLARE_OK) throw new Error('no declare-ok');
    return answer.queue;
  }

  async consume(queue: string, noAck: boolean, prefetchCount = 0): Promise<void> {
    await this.call({ id: methods.BASIC_QOS, prefetchSize: 0, prefetchCount, global: false }, methods.BASIC_QOS_OK);
    const options = { consumerTag: '', noLocal: false, noAck, exclusive: false, noWait: false };
    const method = { id: methods.BASIC_CONSUME, queue, ...options, arguments: emptyFieldTable } as const;
    await this.call(method, methods.BASIC_CONSUME_OK);
  }

  acknowledge(deliveryTag: number, multiple: boolean): void {
    this.send({ id: methods.BASIC_ACK, deliveryTag, multiple });
  }

  /** As `acknowledge`, called while a read is handled; what gathers leaves in one write when the read is done. */
  acknowledgeLater(deliveryTag: number, multiple: boolean): void {
    if (this.#ackEnd + ACK.length > this.#acks.length) {
      this.#flushAcks();
      this.#acks = Buffer.allocUnsafeSlow(ACK_SLAB_BYTES);
      this.#ackStart = this.#ackEnd = 0;
    }
    const at = this.#ackEnd;
    this.#acks.set(ACK, at);
    // The tag's upper half stays 0: nobody delivers four billion messages here.
    this.#acks.writeUInt32BE(deliveryTag, at + ACK_TAG_AT + 4);
    if (multiple) this.#acks[at + ACK_MULTIPLE_AT] = 1;
    this.#ackEnd = at + ACK.length;
  }

  /** Writes bytes and waits while the socket is full. */
  async write(bytes: Buffer): Promise<void> {
    if (!this.#socket.write(bytes)) await once(this.#socket, 'drain');
  }

  /** Writes bytes and waits until the system has them, so that they may be changed. */
  writeOut(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      // A socket that failed says so in its own way.
      this.#socket.write(bytes, () => resolve());
    });
  }

  /** Writes bytes that nobody changes before the broker has answered to them. */
  writeNow(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const close = { id: methods.CONNECTION_CLOSE, replyCode: 200, replyText: '', classId: 0, methodId: 0 } as const;
    await this.call(close, methods.CONNECTION_CLOSE_OK, 0);
    this.#socket.destroy();
  }

  /** Ends the connection without a word. */
  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  onMethod(_channel: number, buffer: Buffer, start: number, end: number): void {
    const id = readUInt32(buffer, start);
    if (id === methods.BASIC_DELIVER) {
      this.#deliveryTag = readSafeUInt64(buffer, start + 5 + buffer[start + 4]);
      this.onDelivery(this.#deliveryTag);
      return;
    }
    if (id === methods.BASIC_ACK) {
      this.onConfirm(readSafeUInt64(buffer, start + 4), buffer[start + 12] === 1);
      return;
    }
    const method = methods.decodeMethod(buffer, start, end);
    if (method.id === methods.CONNECTION_CLOSE || method.id === methods.CHANNEL_CLOSE) {
      this.#fail(new Error(`the broker closed: ${method.replyCode} ${method.replyText}`));
    } else if (method.id === methods.BASIC_NACK || method.id === methods.BASIC_CANCEL) {
      this.#fail(new Error(`the broker sent basic.${method.id === methods.BASIC_NACK ? 'nack' : 'cancel'}`));
    } else if (this.#awaited?.id === id) {
      const { resolve } = this.#awaited;
      this.#awaited = undefined;
      resolve(method);
    }
  }

  onHeader(_channel: number, buffer: Buffer, start: number, end: number): void {
    this.onProperties(buffer, start + 12, end);
    this.#bodySize = this.#bodyLeft = readSafeUInt64(buffer, start + 4);
    this.#headSize = 0;
    if (this.#bodySize === 0) this.onMessage(this.#deliveryTag, NOTHING, 0, 0);
  }

  onBody(_channel: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    const size = end - start;
    if (size === this.#bodySize && last) {
      this.onMessage(this.#deliveryTag, buffer, start, size);
    } else {
      if (this.#headSize < HEAD_BYTES) this.#headSize += buffer.copy(this.#head, this.#headSize, start, end);
      this.#bodyLeft -= size;
      if (this.#bodyLeft === 0 && last) this.onMessage(this.#deliveryTag, this.#head, 0, this.#bodySize);
    }
    if (this.onBodyPart !== null) this.#gather(this.onBodyPart, buffer.subarray(start, end), last);
  }

  onHeartbeat(): void {
    // Off.
  }

  onRefusedFrame(error: Error): void {
    throw error;
  }

  #received(bytes: Buffer): boolean {
    try {
      this.#parser.push(bytes);
      this.#flushAcks();
      this.onReadEnd();
    } catch (error) {
      this.#fail(error as Error);
    }
    return true;
  }

  #flushAcks(): void {
    if (this.#ackEnd === this.#ackStart) return;
    this.#socket.write(this.#acks.subarray(this.#ackStart, this.#ackEnd));
    this.#ackStart = this.#ackEnd;
  }

  #gather(onBodyPart: (buffer: Buffer, start: number) => void, piece: Buffer, last: boolean): void {
    if (last && this.#piece.length === 0) {
      onBodyPart(piece, 0);
      return;
    }
    this.#piece = Buffer.concat([this.#piece, piece]);
    if (!last) return;
    onBodyPart(this.#piece, 0);
    this.#piece = NOTHING;
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#closing) return;
    this.#failure = error;
    this.#socket.destroy();
    if (this.#awaited === undefined) {
      this.onFailure(error);
      return;
    }
    this.#awaited.reject(error);
    this.#awaited = undefined;
  }

  #await(id: number): Promise<methods.Method> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#awaited = { id, resolve, reject };
    });
  }
}

/** The bytes of one publish, to be written as often as wanted. */
export function publishBytes(
  exchange: string,
  routingKey: string,
  bodySize: number,
  properties: BasicProperties = {},
): Buffer {
  const publish = { id: methods.BASIC_PUBLISH, exchange, routingKey, mandatory: false, immediate: false } as const;
  const content = encodeContentFrames(CHANNEL, encodeProperties(properties), Buffer.alloc(bodySize, 'x'), FRAME_MAX);
  return Buffer.concat([encodeMethodFrame(CHANNEL, publish), content]);
}
