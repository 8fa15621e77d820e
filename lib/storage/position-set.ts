// A set of positions, which are non-negative safe integers: what was acknowledged in a queue, what is dead in a page. Such
// sets are mostly long runs, so they are kept as intervals.

export class PositionSet {
  /**
   * First position and end (the position behind the last) of each interval, in rising order. No two intervals touch, so all
   * numbers of it rise.
   */
  #bounds: number[] = [];
  #size = 0;

  /** @param intervals first and last position of each, in any order; they may overlap */
  static of(intervals: Iterable<readonly [first: number, last: number]>): PositionSet {
    const set = new PositionSet();
    for (const [first, last] of intervals) set.addRange(first, last);
    return set;
  }

  /** How many positions are in the set. */
  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  get intervalCount(): number {
    return this.#bounds.length / 2;
  }

  /** The lowest position; -1 when empty. */
  get first(): number {
    return this.#size === 0 ? -1 : this.#bounds[0];
  }

  /** The highest position; -1 when empty. */
  get last(): number {
    return this.#size === 0 ? -1 : this.#bounds[this.#bounds.length - 1] - 1;
  }

  /** First position of an interval, counted from 0 and there. */
  intervalFirst(index: number): number {
    return this.#bounds[2 * index];
  }

  /** Last position of an interval, counted from 0 and there. */
  intervalLast(index: number): number {
    return this.#bounds[2 * index + 1] - 1;
  }

  /** Returns false when it was there already. */
  add(position: number): boolean {
    const bounds = this.#bounds;
    const length = bounds.length;
    if (length === 0) {
      // A literal has room for two numbers; an array that is pushed to would have it for 17.
      this.#bounds = [position, position + 1];
    } else if (position === bounds[length - 1]) {
      bounds[length - 1] = position + 1;
    } else if (position > bounds[length - 1]) {
      bounds.push(position, position + 1);
    } else if (position === bounds[1] && position + 1 < bounds[2]) {
      // What consumers finish out of order fills up from the front.
      bounds[1] = position + 1;
    } else {
      return this.#insert(position);
    }
    this.#size++;
    return true;
  }

  /** Adds all positions of `first` to `last`; returns how many were not there before. */
  addRange(first: number, last: number): number {
    const bounds = this.#bounds;
    const length = bounds.length;
    const end = last + 1;
    const added = end - first;
    if (added <= 0) return 0;
    if (length === 0) {
      this.#bounds = [first, end];
    } else if (first === bounds[length - 1]) {
      bounds[length - 1] = end;
    } else if (first > bounds[length - 1]) {
      bounds.push(first, end);
    } else {
      return this.#merge(first, end);
    }
    this.#size += added;
    return added;
  }

  has(position: number): boolean {
    // An odd count of bounds at or below the position means that it stands within an interval.
    return (this.#countUpTo(position) & 1) === 1;
  }

  /** The smallest position from `position` on that is not in the set. */
  nextGap(position: number): number {
    const count = this.#countUpTo(position);
    return (count & 1) === 1 ? this.#bounds[count] : position;
  }

  /** Visits the intervals in rising order; `last` is in the set. The set must not change meanwhile. */
  forEachInterval(visit: (first: number, last: number) => void): void {
    const bounds = this.#bounds;
    for (let i = 0; i < bounds.length; i += 2) visit(bounds[i], bounds[i + 1] - 1);
  }

  clear(): void {
    this.#bounds = [];
    this.#size = 0;
  }

  clone(): PositionSet {
    const copy = new PositionSet();
    copy.#bounds = this.#bounds.slice();
    copy.#size = this.#size;
    return copy;
  }

  /** A new set with what both this one and the interval from `first` to `last` hold. */
  cut(first: number, last: number): PositionSet {
    const cut = new PositionSet();
    if (last < first) return cut;
    const bounds = this.#bounds;
    // Rounded down to even numbers: an interval that `first` stands in counts.
    for (let i = this.#countUpTo(first) & ~1; i < bounds.length && bounds[i] <= last; i += 2) {
      cut.addRange(Math.max(first, bounds[i]), Math.min(last, bounds[i + 1] - 1));
    }
    return cut;
  }

  /** How many bounds are at or below a position. */
  #countUpTo(position: number): number {
    const bounds = this.#bounds;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bounds[middle] <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Adds one position that lies below the end of the last interval. */
  #insert(position: number): boolean {
    const bounds = this.#bounds;
    const count = this.#countUpTo(position);
    if ((count & 1) === 1) return false;
    // Bound `count` is the first above the position, so it is the start of an interval, and there is one.
    const joinsBefore = count > 0 && bounds[count - 1] === position;
    const joinsBehind = bounds[count] === position + 1;
    if (joinsBefore && joinsBehind) bounds.splice(count - 1, 2);
    else if (joinsBefore) bounds[count - 1] = position + 1;
    else if (joinsBehind) bounds[count] = position;
    else bounds.splice(count, 0, position, position + 1);
    this.#size++;
    return true;
  }

  /** Adds what reaches from `first` to right before `end`, and starts below the end of the last interval. */
  #merge(first: number, end: number): number {
    const bounds = this.#bounds;
    // An interval that ends right at `first` is joined, so it counts as one that `first` stands in.
    const from = first === 0 ? 0 : this.#countUpTo(first - 1);
    // One that starts right at `end` is joined too.
    const to = this.#countUpTo(end);
    const start = from & ~1;
    const stop = (to + 1) & ~1;
    let there = 0;
    for (let i = start; i < stop; i += 2) there += Math.min(bounds[i + 1], end) - Math.max(bounds[i], first);
    const added = end - first - there;
    if (added === 0) return 0;
    const mergedFirst = (from & 1) === 1 ? bounds[start] : first;
    const mergedEnd = (to & 1) === 1 ? bounds[stop - 1] : end;
    if (stop - start === 2) {
      bounds[start] = mergedFirst;
      bounds[start + 1] = mergedEnd;
    } else {
      bounds.splice(start, stop - start, mergedFirst, mergedEnd);
    }
    this.#size += added;
    return added;
  }
}
