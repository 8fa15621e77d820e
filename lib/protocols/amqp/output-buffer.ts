// What a connection has to say, gathered and written once per turn of the event loop. Small frames are copied into one
// buffer; large bodies go out by reference. It knows bytes and the stream, not AMQP.
import type { Duplex } from 'node:stream';

const BUFFER_BYTES = 64 * 1024;
/** So much is copied for one connection in one turn; then others have theirs, and the peer a chance to read. */
const TURN_BYTES = 256 * 1024;
/**
 * Bytes that go out by reference cost an eighth of our time: 2 MiB of them are a turn's share. A shift, since a quotient is a floating-point
 * number (see joinUInt64).
 */
const REFERENCE_DISCOUNT_BITS = 3;
const MOST_POOLED = 16;
/** Buffers up to this size are copied when the stream is behind, rather than kept waiting in a whole output buffer. */
const SMALL_BYTES = 16 * 1024;

const NO_BUFFER: Buffer = Buffer.alloc(0);

/** What the outputs of a broker share: the buffers between turns, since an idle connection holds none. */
export class OutputPool {
  readonly #free: Buffer[] = [];
  /** True while a stream is being written to: what it answers at once must wait, whichever connection it is for. */
  writing = false;

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < MOST_POOLED && buffer.length === BUFFER_BYTES) this.#free.push(buffer);
  }
}

export class OutputBuffer {
  readonly #stream: Duplex;
  readonly #pool: OutputPool;
  /** Whether the stream is done with a buffer once `writableLength` is back to zero: true for a TCP socket. */
  readonly #reusable: boolean;
  #position = 0;
  /** Where the bytes begin that are not in `#parts` yet. */
  #partStart = 0;
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Those of them that were not copied. */
  #referencedBytes = 0;
  #turnBytes = 0;
  /** The buffer to write to, at the offset that `reserve` returned. */
  buffer = NO_BUFFER;
  /** All bytes given to the stream since the connection began. */
  bytesWritten = 0;
  /** True when the peer reads too slowly, or got its share of this turn: nothing that can wait should be added. */
  congested = false;

  constructor(stream: Duplex, pool: OutputPool, reusable: boolean) {
    this.#stream = stream;
    this.#pool = pool;
    this.#reusable = reusable;
  }

  /** True when nothing waits here for `flush`. */
  get isEmpty(): boolean {
    return this.#position === this.#partStart && this.#parts.length === 0;
  }

  /** Makes room for `size` bytes and returns their offset in `buffer`; the caller fills all of them at once. */
  reserve(size: number): number {
    if (this.#position + size > this.buffer.length) this.#renew(size);
    const offset = this.#position;
    this.#position += size;
    return offset;
  }

  /** Adds bytes. */
  write(bytes: Buffer): void {
    const offset = this.reserve(bytes.length);
    this.buffer.set(bytes, offset);
  }

  /** Adds bytes without copying: the caller never changes them again. */
  append(bytes: Buffer): void {
    this.#closePart();
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    this.#referencedBytes += bytes.length;
    if (this.#referencedBytes >= TURN_BYTES) this.flush();
  }

  /** Gives everything to the stream. */
  flush(): void {
    if (this.isEmpty) return;
    const stream = this.#stream;
    const behind = stream.writableLength > 0;
    if (this.#parts.length === 0) {
      const size = this.#position - this.#partStart;
      const bytes = this.buffer.subarray(this.#partStart, this.#position);
      this.#count(size, 0);
      if (behind && size <= SMALL_BYTES) {
        this.#give([Buffer.from(bytes)]);
        this.#position = this.#partStart = 0;
        this.congested = true;
        return;
      }
      this.#give([bytes]);
    } else {
      this.#closePart();
      const parts = this.#parts;
      this.#parts = [];
      this.#count(this.#partBytes, this.#referencedBytes);
      this.#partBytes = this.#referencedBytes = 0;
      this.#give(parts);
    }
    this.#reuse();
    this.congested = this.#turnBytes >= TURN_BYTES || stream.writableNeedDrain;
  }

  /** The turn is over: flushes and counts anew. */
  endTurn(): void {
    this.flush();
    this.#turnBytes = 0;
    this.congested = this.#stream.writableNeedDrain;
    if (this.buffer.length > 0 && this.#position === 0) {
      this.#pool.give(this.buffer);
      this.buffer = NO_BUFFER;
    }
  }

  #give(parts: readonly Buffer[]): void {
    const stream = this.#stream;
    this.#pool.writing = true;
    try {
      if (parts.length > 1) stream.cork();
      for (const part of parts) stream.write(part);
      if (parts.length > 1) stream.uncork();
    } finally {
      this.#pool.writing = false;
    }
  }

  #count(bytes: number, referenced: number): void {
    this.bytesWritten += bytes;
    this.#turnBytes += bytes - referenced + (referenced >>> REFERENCE_DISCOUNT_BITS);
  }

  #closePart(): void {
    if (this.#position === this.#partStart) return;
    this.#parts.push(this.buffer.subarray(this.#partStart, this.#position));
    this.#partBytes += this.#position - this.#partStart;
    this.#partStart = this.#position;
  }

  #renew(size: number): void {
    this.flush();
    if (size <= this.buffer.length) return;
    if (this.buffer.length > 0) this.#pool.give(this.buffer);
    this.buffer = size <= BUFFER_BYTES ? this.#pool.take() : Buffer.allocUnsafeSlow(size);
  }

  /** Saves a 64 KiB allocation per turn: once the kernel has taken all bytes the buffer is free again. */
  #reuse(): void {
    this.#position = this.#partStart = 0;
    if (!this.#reusable || this.#stream.writableLength > 0) this.buffer = NO_BUFFER;
  }
}
