// Cuts a byte stream into frames (AMQP 0-9-1, 4.2.3) and hands them to a sink, resuming at any byte. It checks what can be
// checked of a frame by itself; it must not know what methods mean, nor in which order frames may come.
import type { CodecError } from './errors.ts';
import { badFrameEnd, frameTooLarge, SNIPPET_MAX, unexpectedFrame, unknownFrame } from './frame-errors.ts';
import { FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD } from './generated/constants.ts';
import { readUInt16, readUInt32 } from './integers.ts';

/**
 * Receives frames as offsets [start, end) into a buffer: the received chunk, or one made for a frame that came in pieces.
 * The parser never writes to a buffer after it handed it out; the sink may keep it, and keeping it keeps the whole chunk.
 */
export interface FrameSink {
  /** The payload begins with class id and method id, and has at least those. */
  onMethod(channel: number, buffer: Buffer, start: number, end: number): void;
  /** The payload is class id, weight, 64-bit body size and properties; the first three are there. Channel is not 0. */
  onHeader(channel: number, buffer: Buffer, start: number, end: number): void;
  /**
   * A piece of a body frame, as it came; possibly empty. `last` is true once the frame is complete and its end octet checked. A payload
   * whose end octet is not there yet is handed out with `last` false, and an empty piece follows. Channel is not 0.
   */
  onBody(channel: number, buffer: Buffer, start: number, end: number, last: boolean): void;
  onHeartbeat(): void;
  /** A frame that is sound but for its type, channel or size. What follows it is parsed all the same. */
  onRefusedFrame(error: CodecError): void;
}

const HEADER_SIZE = 7;
const METHOD_MIN_SIZE = 4;
const CONTENT_HEADER_MIN_SIZE = 12;
// What a peer announces is not allocated before it arrives, but for this much.
const ASSEMBLY_START_SIZE = 65_536;
const NO_BYTES = Buffer.alloc(0);

type Stage = 'header' | 'payload' | 'body' | 'refused';

export class FrameParser {
  /** Largest payload, as negotiated by connection.tune; 0 for no limit. Takes effect with the next frame. */
  frameMax: number;
  readonly #sink: FrameSink;
  #stage: Stage = 'header';
  #stopped = false;
  #parsing = false;
  #holding = false;

  // The frame that is not complete yet.
  readonly #header = Buffer.alloc(HEADER_SIZE);
  #headerSize = 0;
  #type = 0;
  #channel = 0;
  #size = 0;
  /** Octets of the payload and its end octet that came in so far. */
  #received = 0;
  /** Those octets, for a frame that is assembled. */
  #assembly = NO_BYTES;
  /** The first of them, for a frame that is passed on or refused. */
  readonly #snippet = Buffer.alloc(SNIPPET_MAX);

  /** @param frameMax see the field; before connection.tune, FRAME_MIN_SIZE. */
  constructor(sink: FrameSink, frameMax: number) {
    this.#sink = sink;
    this.frameMax = frameMax;
  }

  /**
   * Parses the next bytes of the stream. The chunk belongs to the parser and the sink from then on. After an error, whether
   * the parser's or one that the sink threw, and after `stop`, what is pushed is dropped.
   * @returns how many bytes were taken: all but after a `hold`; the rest is to be pushed again.
   * @throws CodecError with RabbitMQ's reply code and text when it can't be told where the next frame begins.
   * @throws Error when called from within a sink's callback.
   */
  push(chunk: Buffer): number {
    if (this.#parsing) throw new Error('FrameParser.push called from within a callback of its sink');
    if (this.#stopped) return chunk.length;
    this.#parsing = true;
    this.#holding = false;
    let completed = false;
    try {
      const taken = this.#parse(chunk);
      completed = true;
      return taken;
    } finally {
      this.#parsing = false;
      if (!completed) this.stop();
    }
  }

  /** Called from within a callback: nothing more of the chunk is parsed after this frame or piece. */
  hold(): void {
    this.#holding = true;
  }

  /** Ends parsing for good. Called from within a callback, no other follows it. */
  stop(): void {
    this.#stopped = true;
    this.#assembly = NO_BYTES;
  }

  #parse(chunk: Buffer): number {
    const length = chunk.length;
    let at = this.#stage === 'header' && this.#headerSize === 0 ? 0 : this.#resume(chunk);
    while (at < length && !this.#stopped && !this.#holding) {
      if (length - at < HEADER_SIZE) {
        this.#headerSize = chunk.copy(this.#header, 0, at);
        return length;
      }
      const size = readUInt32(chunk, at + 3);
      const payload = at + HEADER_SIZE;
      const end = payload + size;
      if (end >= length) {
        this.#begin(chunk, at);
        at = this.#proceed(chunk, payload);
        continue;
      }
      const type = chunk[at];
      if (size > this.frameMax && this.frameMax !== 0) throw frameTooLarge(type, size, this.frameMax);
      if (chunk[end] !== FRAME_END) throw badFrameEnd(type, size, chunk.subarray(payload, end), chunk[end]);
      this.#dispatch(type, readUInt16(chunk, at + 1), chunk, payload, end);
      at = end + 1;
    }
    return this.#stopped ? length : at;
  }

  /** A whole frame, its end octet checked. */
  #dispatch(type: number, channel: number, buffer: Buffer, start: number, end: number): void {
    const error = refusal(type, channel, end - start);
    if (error !== undefined) this.#sink.onRefusedFrame(error(type, end - start, buffer.subarray(start, end)));
    else if (type === FRAME_BODY) this.#sink.onBody(channel, buffer, start, end, true);
    else if (type === FRAME_METHOD) this.#sink.onMethod(channel, buffer, start, end);
    else if (type === FRAME_HEADER) this.#sink.onHeader(channel, buffer, start, end);
    else this.#sink.onHeartbeat();
  }

  /** Goes on with the frame that the last chunk left incomplete; returns the offset of what follows it. */
  #resume(chunk: Buffer): number {
    if (this.#stage !== 'header') return this.#proceed(chunk, 0);
    const taken = chunk.copy(this.#header, this.#headerSize);
    this.#headerSize += taken;
    if (this.#headerSize < HEADER_SIZE) return taken;
    this.#begin(this.#header, 0);
    return this.#proceed(chunk, taken);
  }

  /** Notes the header of a frame whose rest is not all in the chunk. */
  #begin(header: Buffer, at: number): void {
    this.#headerSize = 0;
    this.#type = header[at];
    this.#channel = readUInt16(header, at + 1);
    this.#size = readUInt32(header, at + 3);
    this.#received = 0;
    if (this.#size > this.frameMax && this.frameMax !== 0) throw frameTooLarge(this.#type, this.#size, this.frameMax);
    if (refusal(this.#type, this.#channel, this.#size) !== undefined) this.#stage = 'refused';
    else if (this.#type === FRAME_BODY) this.#stage = 'body';
    else {
      this.#stage = 'payload';
      // Its own buffer: the sink may keep it.
      this.#assembly = Buffer.allocUnsafeSlow(Math.min(this.#size, ASSEMBLY_START_SIZE));
    }
  }

  /** Takes what the chunk has of the current frame from `at` on; returns the offset of what follows. */
  #proceed(chunk: Buffer, at: number): number {
    const payloadEnd = Math.min(chunk.length, at + this.#size - this.#received);
    if (this.#stage === 'payload') this.#assemble(chunk, at, payloadEnd);
    else if (this.#received < SNIPPET_MAX) chunk.copy(this.#snippet, this.#received, at, payloadEnd);
    this.#received += payloadEnd - at;
    const complete = payloadEnd < chunk.length;
    if (complete) this.#checkEnd(chunk[payloadEnd]);
    if (this.#stage === 'body') {
      if (complete) this.#stage = 'header';
      if (complete || payloadEnd > at) this.#sink.onBody(this.#channel, chunk, at, payloadEnd, complete);
    } else if (this.#stage === 'refused') {
      if (complete) this.#refuse();
    } else if (complete) {
      this.#stage = 'header';
      const buffer = this.#assembly;
      this.#assembly = NO_BYTES;
      this.#dispatch(this.#type, this.#channel, buffer, 0, this.#size);
    }
    return complete ? payloadEnd + 1 : payloadEnd;
  }

  #refuse(): void {
    this.#stage = 'header';
    // The stage was set by the same test, so there is an error.
    const error = refusal(this.#type, this.#channel, this.#size) ?? unknownFrame;
    this.#sink.onRefusedFrame(
      error(this.#type, this.#size, this.#snippet.subarray(0, Math.min(this.#size, SNIPPET_MAX))),
    );
  }

  #assemble(chunk: Buffer, start: number, end: number): void {
    const needed = this.#received + end - start;
    if (needed > this.#assembly.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#size, Math.max(needed, this.#assembly.length * 2)));
      this.#assembly.copy(grown, 0, 0, this.#received);
      this.#assembly = grown;
    }
    chunk.copy(this.#assembly, this.#received, start, end);
  }

  #checkEnd(octet: number): void {
    const first = this.#stage === 'payload' ? this.#assembly : this.#snippet;
    const snippet = first.subarray(0, Math.min(this.#size, SNIPPET_MAX));
    if (octet !== FRAME_END) throw badFrameEnd(this.#type, this.#size, snippet, octet);
  }
}

/** The error that RabbitMQ has for such a frame, undefined when it takes it. */
function refusal(type: number, channel: number, size: number): typeof unknownFrame | undefined {
  switch (type) {
    case FRAME_METHOD:
      return size < METHOD_MIN_SIZE ? unknownFrame : undefined;
    case FRAME_HEADER:
      if (size < CONTENT_HEADER_MIN_SIZE) return unknownFrame;
      return channel === 0 ? unexpectedFrame : undefined;
    case FRAME_BODY:
      return channel === 0 ? unexpectedFrame : undefined;
    case FRAME_HEARTBEAT:
      if (size > 0) return unknownFrame;
      return channel === 0 ? undefined : unexpectedFrame;
    default:
      return unknownFrame;
  }
}
