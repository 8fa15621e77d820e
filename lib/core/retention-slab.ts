// Buffers for what is copied out of received chunks. The messages that one queue keeps from one turn share slabs of at most
// 16 KiB, made to measure; so one that stays longer pins little, and a queue with one message costs one small buffer.

const SLAB_BYTES = 16 * 1024;
const LARGEST_SHARED_BYTES = 4 * 1024;
const NO_BUFFER: Buffer = Buffer.alloc(0);

export class RetentionSlab {
  #slab = NO_BUFFER;
  #used = 0;
  #expected = 0;
  /** The buffer that the last `reserve` gave room in. */
  buffer = NO_BUFFER;

  /** Begins new slabs, for messages that shall share none with those before. `bytes`: how many will be reserved in all. */
  begin(bytes: number): void {
    this.#slab = NO_BUFFER;
    this.#used = 0;
    this.#expected = bytes;
  }

  /** Makes room for `size` bytes in `buffer` and returns their offset. */
  reserve(size: number): number {
    if (size > LARGEST_SHARED_BYTES) {
      this.#expected -= size;
      this.buffer = Buffer.allocUnsafeSlow(size);
      return 0;
    }
    if (this.#used + size > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(size, Math.min(SLAB_BYTES, this.#expected)));
      this.#used = 0;
    }
    this.#expected -= size;
    this.buffer = this.#slab;
    const offset = this.#used;
    this.#used += size;
    return offset;
  }
}
