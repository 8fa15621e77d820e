// Buffers for what is copied out of received chunks. Messages that stay behind share slabs of 16 KiB, so that one of them
// pins at most that much; larger pieces get a buffer of their own.

const SLAB_BYTES = 16 * 1024;
const LARGEST_SHARED_BYTES = 4 * 1024;

export class RetentionSlab {
  #slab = Buffer.alloc(0);
  #used = 0;
  /** The buffer that the last `reserve` gave room in. */
  buffer = this.#slab;

  /** Makes room for `size` bytes in `buffer` and returns their offset. */
  reserve(size: number): number {
    if (size > LARGEST_SHARED_BYTES) {
      this.buffer = Buffer.allocUnsafeSlow(size);
      return 0;
    }
    if (this.#used + size > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    this.buffer = this.#slab;
    const offset = this.#used;
    this.#used += size;
    return offset;
  }
}
