// Positions by the time at which their messages expire: a binary heap of pairs of numbers, sixteen bytes each, so that millions of
// deadlines in any order cost O(log n) and no objects.

const FIRST_CAPACITY = 16;

export class DeadlineHeap {
  /** Deadline and position of each, one behind the other. */
  #pairs = new Float64Array(2 * FIRST_CAPACITY);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The earliest deadline; Infinity when there is none. */
  get firstMs(): number {
    return this.#size === 0 ? Infinity : this.#pairs[0];
  }

  /** The position with the earliest deadline, the lowest of those with the same. Only when there is one. */
  get firstPosition(): number {
    return this.#pairs[1];
  }

  add(deadlineMs: number, position: number): void {
    if (2 * this.#size === this.#pairs.length) this.#resize(4 * this.#size);
    const pairs = this.#pairs;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(deadlineMs, position, pairs[2 * parent], pairs[2 * parent + 1])) break;
      pairs[2 * at] = pairs[2 * parent];
      pairs[2 * at + 1] = pairs[2 * parent + 1];
      at = parent;
    }
    pairs[2 * at] = deadlineMs;
    pairs[2 * at + 1] = position;
  }

  /** Removes the earliest. */
  shift(): void {
    const size = --this.#size;
    this.#sink(0, this.#pairs[2 * size], this.#pairs[2 * size + 1]);
    if (this.#pairs.length > 4 * FIRST_CAPACITY && 8 * size < this.#pairs.length) this.#resize(4 * size);
  }

  /** Visits the positions of all deadlines up to a time, in no order, until `visit` returns false. */
  forEachUpTo(deadlineMs: number, visit: (position: number) => unknown): void {
    const stack = [0];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at >= this.#size || this.#pairs[2 * at] > deadlineMs) continue;
      if (visit(this.#pairs[2 * at + 1]) === false) return;
      stack.push(2 * at + 1, 2 * at + 2);
    }
  }

  /** Keeps only what `keep` says. */
  filter(keep: (position: number) => boolean): void {
    const pairs = this.#pairs;
    let kept = 0;
    for (let at = 0; at < this.#size; at++) {
      if (!keep(pairs[2 * at + 1])) continue;
      pairs[2 * kept] = pairs[2 * at];
      pairs[2 * kept + 1] = pairs[2 * at + 1];
      kept++;
    }
    this.#size = kept;
    for (let at = (kept >> 1) - 1; at >= 0; at--) this.#sink(at, pairs[2 * at], pairs[2 * at + 1]);
    if (8 * kept < pairs.length) this.#resize(4 * kept);
  }

  clear(): void {
    this.#size = 0;
    this.#pairs = new Float64Array(2 * FIRST_CAPACITY);
  }

  /** Puts a pair at `from`, or where it belongs below. */
  #sink(from: number, deadlineMs: number, position: number): void {
    const pairs = this.#pairs;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      const other = child + 1;
      if (
        other < this.#size &&
        isBefore(pairs[2 * other], pairs[2 * other + 1], pairs[2 * child], pairs[2 * child + 1])
      )
        child = other;
      if (!isBefore(pairs[2 * child], pairs[2 * child + 1], deadlineMs, position)) break;
      pairs[2 * at] = pairs[2 * child];
      pairs[2 * at + 1] = pairs[2 * child + 1];
      at = child;
    }
    pairs[2 * at] = deadlineMs;
    pairs[2 * at + 1] = position;
  }

  #resize(numbers: number): void {
    const pairs = new Float64Array(Math.max(numbers, 2 * FIRST_CAPACITY));
    pairs.set(this.#pairs.subarray(0, 2 * this.#size));
    this.#pairs = pairs;
  }
}

function isBefore(deadlineMs: number, position: number, otherMs: number, otherPosition: number): boolean {
  return deadlineMs < otherMs || (deadlineMs === otherMs && position < otherPosition);
}
