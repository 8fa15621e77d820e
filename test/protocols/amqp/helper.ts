// Streams that are slow, and a reader of what was written, for the tests of the AMQP protocol's parts.
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import t from 'tap';
import type { CodecError } from '../../../codec/errors.ts';
import { FrameParser, type FrameSink } from '../../../codec/frame-parser.ts';
import { decodeMethod, type Method } from '../../../codec/generated/methods.ts';
import { AmqpError } from '../../../lib/protocols/amqp/amqp-error.ts';

/**
 * The broker's end of a connection. While `open` it takes what is written at once, as a TCP socket whose peer reads;
 * otherwise not before `drain`.
 */
export class TestStream extends Duplex {
  open = true;
  /** What was taken, as it was written: the very buffers, whose bytes must never change. */
  readonly written: Buffer[] = [];
  /** What was taken, copied when it was. */
  readonly copies: Buffer[] = [];
  #waiting: (() => void) | undefined;

  constructor(highWaterMark = 64 * 1024) {
    super({ writableHighWaterMark: highWaterMark });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.copies);
  }

  override _read(): void {
    // Nothing comes.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#take([chunk], callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  /** Takes all that waits, at once. */
  drain(): void {
    const { open } = this;
    this.open = true;
    for (let waiting = this.#waiting; waiting !== undefined; waiting = this.#waiting) {
      this.#waiting = undefined;
      waiting();
    }
    this.open = open;
  }

  #take(chunks: readonly Buffer[], callback: () => void): void {
    const take = (): void => {
      for (const chunk of chunks) {
        this.written.push(chunk);
        this.copies.push(Buffer.from(chunk));
      }
      callback();
    };
    if (this.open) take();
    else this.#waiting = take;
  }
}

export interface Content {
  propertyBytes: Buffer;
  bodySize: number;
  body: Buffer;
}

/** Frames read back: methods, each with the content that followed it. */
export class FrameReader implements FrameSink {
  readonly methods: { channel: number; method: Method; content?: Content }[] = [];
  /** Payload sizes of body frames. */
  readonly bodyFrameSizes: number[] = [];
  #bodyFrame = 0;

  static read(bytes: Buffer, frameMax: number): FrameReader {
    const reader = new FrameReader();
    new FrameParser(reader, frameMax).push(bytes);
    return reader;
  }

  onMethod(channel: number, buffer: Buffer, start: number, end: number): void {
    this.methods.push({ channel, method: decodeMethod(buffer, start, end) });
  }

  onHeader(channel: number, buffer: Buffer, start: number, end: number): void {
    const last = this.methods[this.methods.length - 1];
    assert.equal(channel, last.channel);
    assert.equal(buffer.readUInt16BE(start), 60);
    assert.equal(buffer.readUInt16BE(start + 2), 0);
    const bodySize = Number(buffer.readBigUInt64BE(start + 4));
    last.content = { propertyBytes: buffer.subarray(start + 12, end), bodySize, body: Buffer.alloc(0) };
  }

  onBody(channel: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    const { content, channel: expected } = this.methods[this.methods.length - 1];
    assert.equal(channel, expected);
    assert.ok(content !== undefined);
    content.body = Buffer.concat([content.body, buffer.subarray(start, end)]);
    this.#bodyFrame += end - start;
    if (!last) return;
    this.bodyFrameSizes.push(this.#bodyFrame);
    this.#bodyFrame = 0;
  }

  onHeartbeat(): void {
    assert.fail('no heartbeats here');
  }

  onRefusedFrame(error: CodecError): void {
    throw error;
  }
}

/** The AmqpError that `run` throws; fails the test when it throws nothing or something else. */
export function amqpError(run: () => unknown): AmqpError {
  try {
    run();
  } catch (error) {
    if (error instanceof AmqpError) return error;
    throw error;
  }
  t.fail('expected an AmqpError');
  throw new Error('expected an AmqpError');
}
