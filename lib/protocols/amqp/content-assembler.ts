// Puts a content together: a method that carries one, its header, its body in pieces. It checks the order of frames and
// knows nothing of what the content is for.

import { BASIC_CLASS, CONTENT_HEADER_SIZE } from '../../../codec/frame-writer.ts';
import { BASIC_PUBLISH } from '../../../codec/generated/methods.ts';
import { joinUInt64, readUInt16, readUInt32 } from '../../../codec/integers.ts';
import { AmqpError } from './amqp-error.ts';
import type { PartialBodies } from './partial-bodies.ts';

/** A body up to this size that comes in pieces is put together; a larger one stays in its pieces. */
const CONTIGUOUS_BYTES = 64 * 1024;
/** Pieces smaller than this are copied together, so that a body in crumbs does not cost a buffer object a crumb. */
const SMALL_PIECE_BYTES = 4 * 1024;
const GATHER_BYTES = 16 * 1024;

const NO_BYTES: Buffer = Buffer.alloc(0);

type Stage = 'method' | 'header' | 'body';

export class ContentAssembler {
  readonly #memory: Pick<PartialBodies, 'adjust'>;
  readonly #maxSize: number;
  #stage: Stage = 'method';
  #received = 0;
  #gathered = 0;
  #gather: Buffer | null = null;
  #charged = 0;

  // The content, complete when `header` or `body` returned true.
  propertiesBuffer = NO_BYTES;
  propertiesStart = 0;
  propertiesEnd = 0;
  bodyBuffer = NO_BYTES;
  bodyStart = 0;
  bodySize = 0;
  pieces: Buffer[] | null = null;
  /** The body is over the limit, or nobody wants it: its bytes were dropped. */
  dropped = false;

  /** @param maxSize bodies over this many bytes are dropped as they come */
  constructor(memory: Pick<PartialBodies, 'adjust'>, maxSize: number) {
    this.#memory = memory;
    this.#maxSize = maxSize;
  }

  /** @throws {AmqpError} when a content is incomplete and a method frame came. */
  expectMethod(): void {
    if (this.#stage === 'header') throw notContentHeader();
    if (this.#stage === 'body') throw notContentBody();
  }

  /** A method that carries content came. */
  begin(): void {
    this.#stage = 'header';
  }

  /** Takes the content header frame. Returns true when the content is complete, its body being empty. */
  header(buffer: Buffer, start: number, end: number, drop: boolean): boolean {
    if (this.#stage === 'method') throw notMethod();
    if (this.#stage === 'body') throw notContentBody();
    const classId = readUInt16(buffer, start);
    if (readUInt16(buffer, start + 2) !== 0) throw notContentHeader();
    if (classId !== BASIC_CLASS) {
      throw new AmqpError(
        'UNEXPECTED_FRAME',
        `expected content header for class ${BASIC_CLASS}, got one for class ${classId} instead`,
        BASIC_PUBLISH,
      );
    }
    this.propertiesBuffer = buffer;
    this.propertiesStart = start + CONTENT_HEADER_SIZE;
    this.propertiesEnd = end;
    this.bodySize = joinUInt64(readUInt32(buffer, start + 4), readUInt32(buffer, start + 8));
    this.bodyBuffer = buffer;
    this.bodyStart = this.propertiesEnd;
    this.pieces = null;
    this.dropped = drop || this.bodySize > this.#maxSize;
    this.#received = 0;
    this.#stage = this.bodySize === 0 ? 'method' : 'body';
    return this.bodySize === 0;
  }

  /** Takes a piece of a body frame; `last` ends the frame. Returns true when the content is complete. */
  body(buffer: Buffer, start: number, end: number, last: boolean): boolean {
    if (this.#stage === 'method') throw notMethod();
    if (this.#stage === 'header') throw notContentHeader();
    const size = end - start;
    const received = this.#received + size;
    // As in RabbitMQ, a body that goes on beyond its announced size never completes: the next other frame is refused.
    if (received > this.bodySize) this.dropped = true;
    if (!this.dropped) {
      if (this.#received === 0 && received === this.bodySize) {
        this.bodyBuffer = buffer;
        this.bodyStart = start;
      } else if (size > 0) {
        this.#add(buffer, start, end);
      }
    }
    this.#received = received;
    if (!last || received !== this.bodySize) return false;
    this.#finish();
    return true;
  }

  /** Forgets an incomplete content. */
  reset(): void {
    this.#stage = 'method';
    this.#finish();
    this.forget();
  }

  /** Lets go of the last content. What its queues made of it is charged by now: the alarm does not flicker in between. */
  forget(): void {
    this.propertiesBuffer = this.bodyBuffer = NO_BYTES;
    this.pieces = null;
    if (this.#charged === 0) return;
    this.#memory.adjust(-this.#charged);
    this.#charged = 0;
  }

  #finish(): void {
    this.#stage = 'method';
    if (this.#gather !== null && this.#gathered > 0) this.pieces?.push(this.#gather.subarray(0, this.#gathered));
    this.#gather = null;
    this.#gathered = 0;
  }

  #add(buffer: Buffer, start: number, end: number): void {
    const size = end - start;
    if (this.#charged === 0) this.#keepProperties();
    if (this.bodySize <= CONTIGUOUS_BYTES) {
      if (this.#received === 0) {
        this.#charge(this.bodySize);
        this.bodyBuffer = Buffer.allocUnsafeSlow(this.bodySize);
        this.bodyStart = 0;
      }
      buffer.copy(this.bodyBuffer, this.#received, start, end);
      return;
    }
    this.#charge(size);
    this.pieces ??= [];
    if (size >= SMALL_PIECE_BYTES) {
      this.#closeGather(this.pieces);
      this.pieces.push(buffer.subarray(start, end));
      return;
    }
    if (this.#gather === null || this.#gathered + size > GATHER_BYTES) {
      this.#closeGather(this.pieces);
      this.#gather = Buffer.allocUnsafeSlow(GATHER_BYTES);
    }
    buffer.copy(this.#gather, this.#gathered, start, end);
    this.#gathered += size;
  }

  #charge(bytes: number): void {
    this.#charged += bytes;
    this.#memory.adjust(bytes);
  }

  /** The body takes its time: until it is there, the properties must not pin the chunk that they came in. */
  #keepProperties(): void {
    const { propertiesBuffer, propertiesStart, propertiesEnd } = this;
    this.propertiesBuffer = Buffer.from(propertiesBuffer.subarray(propertiesStart, propertiesEnd));
    this.propertiesStart = 0;
    this.propertiesEnd = propertiesEnd - propertiesStart;
  }

  #closeGather(pieces: Buffer[]): void {
    if (this.#gather !== null && this.#gathered > 0) pieces.push(this.#gather.subarray(0, this.#gathered));
    this.#gather = null;
    this.#gathered = 0;
  }
}

function notMethod(): AmqpError {
  return new AmqpError('UNEXPECTED_FRAME', 'expected method frame, got non method frame instead', 0);
}

function notContentHeader(): AmqpError {
  const text = `expected content header for class ${BASIC_CLASS}, got non content header frame instead`;
  return new AmqpError('UNEXPECTED_FRAME', text, BASIC_PUBLISH);
}

function notContentBody(): AmqpError {
  return new AmqpError('UNEXPECTED_FRAME', 'expected content body, got non content body frame instead', BASIC_PUBLISH);
}
