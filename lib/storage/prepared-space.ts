// Zeros behind the newest record, for the records to come: a durable write over bytes that the file has already costs two thirds of
// one that makes the file longer, since nothing but the bytes changes. What prepares them is the write of a record, which
// takes them along. Only where a log grows by small records they are worth being written twice.
import type { Segment } from './segment.ts';

/** When space is prepared, and how much. */
export interface Preparing {
  /** So much at once. */
  readonly aheadBytes: number;
  /** Records up to this many bytes are small. */
  readonly smallBytes: number;
  /** So many of them, one after the other, have to come first. */
  readonly smallRecords: number;
}

/** Up to 8 KiB the syncs that it saves cost more than the zeros. */
export const PREPARING: Preparing = { aheadBytes: 256 * 1024, smallBytes: 8 * 1024, smallRecords: 8 };

export class PreparedSpace {
  readonly #preparing: Preparing;
  readonly #segmentBytes: number;
  #zeros: Buffer | null = null;
  /** Small records in a row. */
  #smallRecords = 0;
  /** There was no room for more in this one; the next one may find some. */
  #full: Segment | null = null;

  /** @param segmentBytes a segment is not made longer than this by what is prepared */
  constructor(preparing: Preparing, segmentBytes: number) {
    this.#preparing = preparing;
    this.#segmentBytes = segmentBytes;
  }

  /** A record of so many bytes is about to be written; returns the zeros to write behind it, or null for none. */
  behind(segment: Segment, bytes: number): Buffer | null {
    const { aheadBytes, smallBytes, smallRecords } = this.#preparing;
    if (bytes > smallBytes) {
      this.#smallRecords = 0;
      return null;
    }
    if (this.#smallRecords < smallRecords) this.#smallRecords++;
    const end = segment.size + bytes;
    if (end <= segment.fileBytes || this.#smallRecords < smallRecords || this.#full === segment) return null;
    const ahead = Math.min(aheadBytes, this.#segmentBytes - end);
    if (ahead <= 0) return null;
    this.#zeros ??= Buffer.alloc(aheadBytes);
    return this.#zeros.subarray(0, ahead);
  }

  /** There was no room for what was to be prepared in a segment. */
  noRoom(segment: Segment): void {
    this.#full = segment;
  }
}
