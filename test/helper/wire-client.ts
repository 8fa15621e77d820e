// A raw socket client: sends whatever bytes a test makes up and reads frames one by one. It waits for frames and for the
// end of the socket, never for time; the one timer only turns a broker that stays silent into a readable failure.
import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { Target } from './broker.ts';
import {
  bytes,
  channelCloseOk,
  channelOpen,
  connectionCloseOk,
  connectionOpen,
  FRAME_END,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  type Piece,
  PROTOCOL_HEADER,
  queueDeclare,
  type StartOk,
  startOk,
  type Tuning,
  tuneOk,
} from './wire-bytes.ts';

export interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

/** What a connection.close or channel.close says. */
export interface Close {
  readonly code: number;
  readonly text: string;
  readonly classId: number;
  readonly methodId: number;
}

/** Longest silence that a test bears. Longer than any of RabbitMQ's delays that the tests meet (handshake timeout 10 s). */
const PATIENCE_MS = 20_000;

const CONNECTION_CLOSE = 'method 10.50 on channel 0';

export class WireClient {
  readonly #t: Test;
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(t: Test, target: Target) {
    this.#t = t;
    this.#socket = connect(target.port, target.host);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      this.#wake();
    });
    // RabbitMQ resets sockets where others end them; 'close' follows either way.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    t.teardown(() => this.#socket.destroy());
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Bytes leave in one write. */
  send(...pieces: Piece[]): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes(...pieces));
  }

  /** Sends and waits until the socket took it, for more bytes than it holds at once. */
  async sendAll(...pieces: Piece[]): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(bytes(...pieces), () => resolve()));
  }

  /** Ends our side of the socket. */
  end(): void {
    this.#socket.end();
  }

  /** Waits for `size` bytes that are not a frame. */
  async read(size: number): Promise<Buffer> {
    await this.#until(() => this.#buffer.length >= size || this.#ended, `${size} bytes`);
    return this.#take(size);
  }

  /** The next frame; throws when the socket ends before it. */
  async nextFrame(what = 'a frame'): Promise<Frame> {
    const frame = await this.#frameOrEnd(what);
    if (frame === undefined) throw new Error(`the broker closed the socket instead of sending ${what}`);
    return frame;
  }

  /** Declares an exclusive queue that the broker names and gives that name. */
  async declareQueue(channel: number): Promise<string> {
    this.send(queueDeclare(channel));
    const declared = await this.expectMethod(channel, 50, 11);
    return declared.toString('utf8', 1, 1 + declared.readUInt8(0));
  }

  /** Waits for this method and gives its arguments. */
  async expectMethod(channel: number, classId: number, methodId: number): Promise<Buffer> {
    const what = `method ${classId}.${methodId} on channel ${channel}`;
    const frame = await this.nextFrame(what);
    const found = describe(frame);
    if (found !== what) throw new Error(`expected ${what}, got ${found}${closeText(frame)}`);
    return frame.payload.subarray(4);
  }

  /** Waits for connection.close with exactly this, answers close-ok and waits for the end of the socket. */
  async expectClose(code: number, text: string, classId: number, methodId: number): Promise<void> {
    this.#checkClose(await this.expectMethod(0, 10, 50), { code, text, classId, methodId });
    this.send(connectionCloseOk());
    await this.expectEnd();
  }

  /** As expectClose, but leaves the connection as it is: nothing is answered. */
  async expectCloseUnanswered(code: number, text: string, classId: number, methodId: number): Promise<void> {
    this.#checkClose(await this.expectMethod(0, 10, 50), { code, text, classId, methodId });
  }

  /** Waits for channel.close with exactly this and answers close-ok. */
  async expectChannelClose(
    channel: number,
    code: number,
    text: string,
    classId: number,
    methodId: number,
  ): Promise<void> {
    await this.expectChannelCloseUnanswered(channel, code, text, classId, methodId);
    this.send(channelCloseOk(channel));
  }

  /** As expectChannelClose, but leaves the channel waiting for close-ok. */
  async expectChannelCloseUnanswered(
    channel: number,
    code: number,
    text: string,
    classId: number,
    methodId: number,
  ): Promise<void> {
    this.#checkClose(await this.expectMethod(channel, 20, 40), { code, text, classId, methodId });
  }

  /** Waits until the broker closes the socket; a frame before that fails the test. */
  async expectEnd(): Promise<void> {
    const frame = await this.#frameOrEnd('the end of the socket');
    if (frame !== undefined) this.#t.fail(`expected the end of the socket, got ${describe(frame)}`);
    this.#t.equal(this.#buffer.length, 0, 'nothing was sent before the socket was closed');
  }

  /**
   * Waits until the broker closes the socket, without a word or after a connection.close with one of these codes: for input
   * at which RabbitMQ's reader crashes, which nobody can want imitated.
   */
  async expectEndWith(...codes: number[]): Promise<void> {
    const frame = await this.#frameOrEnd('the end of the connection');
    if (frame === undefined) return void this.#t.pass('the socket was closed');
    if (describe(frame) !== CONNECTION_CLOSE) throw new Error(`expected ${CONNECTION_CLOSE}, got ${describe(frame)}`);
    const { code, text } = parseClose(frame.payload.subarray(4));
    this.#t.ok(codes.includes(code), `${text} is one of ${codes.join(', ')}`);
    this.send(connectionCloseOk());
    await this.expectEnd();
  }

  /** Counts heartbeats until the broker closes the socket; anything else before that fails the test. */
  async heartbeatsUntilEnd(): Promise<number> {
    for (let count = 0; ; count++) {
      const frame = await this.#frameOrEnd('a heartbeat or the end of the socket');
      if (frame === undefined) return count;
      if (frame.type !== FRAME_HEARTBEAT) throw new Error(`expected heartbeats, got ${describe(frame)}`);
    }
  }

  /** Sends the protocol header and waits for connection.start. */
  async start(): Promise<Buffer> {
    this.send(PROTOCOL_HEADER);
    return this.expectMethod(0, 10, 10);
  }

  /** Goes on to connection.tune. */
  async authenticate(options: StartOk = {}): Promise<Buffer> {
    await this.start();
    this.send(startOk(options));
    return this.expectMethod(0, 10, 30);
  }

  /** Goes through the whole handshake. */
  async open(options: StartOk & Tuning & { readonly vhost?: string } = {}): Promise<this> {
    await this.authenticate(options);
    this.send(tuneOk(options), connectionOpen(options.vhost));
    await this.expectMethod(0, 10, 41);
    return this;
  }

  async openChannel(channel: number): Promise<this> {
    this.send(channelOpen(channel));
    await this.expectMethod(channel, 20, 11);
    return this;
  }

  #checkClose(args: Buffer, expected: Close): void {
    const close = parseClose(args);
    this.#t.same(close, expected, close.text);
  }

  async #frameOrEnd(what: string): Promise<Frame | undefined> {
    await this.#until(() => this.#wholeFrame() || this.#ended, what);
    if (!this.#wholeFrame()) return undefined;
    const size = this.#buffer.readUInt32BE(3);
    const raw = this.#take(size + 8);
    if (raw[size + 7] !== FRAME_END) throw new Error(`the broker sent a frame that ends with ${raw[size + 7]}`);
    return { type: raw.readUInt8(0), channel: raw.readUInt16BE(1), payload: raw.subarray(7, size + 7) };
  }

  #wholeFrame(): boolean {
    return this.#buffer.length >= 8 && this.#buffer.length >= this.#buffer.readUInt32BE(3) + 8;
  }

  #take(size: number): Buffer {
    const taken = this.#buffer.subarray(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return taken;
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

function parseClose(args: Buffer): Close {
  const length = args.readUInt8(2);
  return {
    code: args.readUInt16BE(0),
    text: args.toString('utf8', 3, 3 + length),
    classId: args.readUInt16BE(3 + length),
    methodId: args.readUInt16BE(5 + length),
  };
}

/** A frame as test messages name it. */
export function describe({ type, channel, payload }: Frame): string {
  if (type !== FRAME_METHOD) return `frame of type ${type} on channel ${channel}`;
  return `method ${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)} on channel ${channel}`;
}

/** What a close says, since that explains most failures. */
function closeText(frame: Frame): string {
  const isClose = / (?:10\.50|20\.40) /.test(describe(frame));
  return isClose ? `: ${parseClose(frame.payload.subarray(4)).text}` : '';
}
