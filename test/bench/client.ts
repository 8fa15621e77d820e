// A client that costs little: it writes prepared bytes and looks at no more of what it gets than it must. Runs in a process of
// its own, beside the broker's.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { emptyFieldTable, type FieldTable, type FieldValue } from '../../codec/field-table.ts';
import { FrameParser, type FrameSink } from '../../codec/frame-parser.ts';
import { encodeContentFrames, encodeMethodFrame, PROTOCOL_HEADER } from '../../codec/frame-writer.ts';
import * as methods from '../../codec/generated/methods.ts';
import { readSafeUInt64, readUInt32 } from '../../codec/integers.ts';
import { encodeProperties } from '../../codec/properties.ts';

const FRAME_MAX = 131_072;
const CHANNEL = 1;
const CAPABILITIES: FieldTable = new Map<string, FieldValue>([['publisher_confirms', { type: 't', value: true }]]);

const NOTHING = Buffer.alloc(0);

export class BenchClient implements FrameSink {
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, 0);
  #awaited: { readonly id: number; readonly resolve: (method: methods.Method) => void } | undefined;
  /** Called with the tag of each delivery. */
  onDelivery: (deliveryTag: number) => void = () => {};
  /** Called with the tag of each confirm, and whether it stands for all before. */
  onConfirm: (deliveryTag: number, multiple: boolean) => void = () => {};

  /** Called with each frame of a body, and where in the buffer it begins. */
  onBodyPart: (buffer: Buffer, start: number) => void = () => {};
  /** Of a frame that came in several pieces. */
  #piece = NOTHING;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#parser.push(chunk));
  }

  /** Connects, logs in and opens channel 1. */
  static async connect(url: string): Promise<BenchClient> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const socket = connect(Number(port || 5672), hostname);
    await once(socket, 'connect');
    const client = new BenchClient(socket);
    const started = client.#await(methods.CONNECTION_START);
    socket.write(PROTOCOL_HEADER);
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

  /** Sends a method and waits for its answer. */
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

  /** Writes bytes and waits while the socket is full. */
  async write(bytes: Buffer): Promise<void> {
    if (!this.#socket.write(bytes)) await once(this.#socket, 'drain');
  }

  async close(): Promise<void> {
    const close = { id: methods.CONNECTION_CLOSE, replyCode: 200, replyText: '', classId: 0, methodId: 0 } as const;
    await this.call(close, methods.CONNECTION_CLOSE_OK, 0);
    this.#socket.destroy();
  }

  onMethod(_channel: number, buffer: Buffer, start: number, end: number): void {
    const id = readUInt32(buffer, start);
    if (id === methods.BASIC_DELIVER) {
      this.onDelivery(readSafeUInt64(buffer, start + 5 + buffer[start + 4]));
      return;
    }
    if (id === methods.BASIC_ACK) {
      this.onConfirm(readSafeUInt64(buffer, start + 4), buffer[start + 12] === 1);
      return;
    }
    const method = methods.decodeMethod(buffer, start, end);
    if (method.id === methods.CONNECTION_CLOSE || method.id === methods.CHANNEL_CLOSE) {
      throw new Error(`the broker closed: ${method.replyText}`);
    }
    if (this.#awaited?.id !== id) return;
    const { resolve } = this.#awaited;
    this.#awaited = undefined;
    resolve(method);
  }

  onHeader(): void {
    // The size of what comes is known to whoever sent it.
  }

  onBody(_channel: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (last && this.#piece.length === 0) {
      this.onBodyPart(buffer, start);
      return;
    }
    this.#piece = Buffer.concat([this.#piece, buffer.subarray(start, end)]);
    if (!last) return;
    this.onBodyPart(this.#piece, 0);
    this.#piece = NOTHING;
  }

  onHeartbeat(): void {
    // Off.
  }

  onRefusedFrame(error: Error): void {
    throw error;
  }

  #await(id: number): Promise<methods.Method> {
    return new Promise((resolve) => {
      this.#awaited = { id, resolve };
    });
  }
}

/** The bytes of one publish, to be written as often as wanted. */
export function publishBytes(exchange: string, routingKey: string, bodySize: number): Buffer {
  const publish = { id: methods.BASIC_PUBLISH, exchange, routingKey, mandatory: false, immediate: false } as const;
  const content = encodeContentFrames(CHANNEL, encodeProperties({}), Buffer.alloc(bodySize, 'x'), FRAME_MAX);
  return Buffer.concat([encodeMethodFrame(CHANNEL, publish), content]);
}
