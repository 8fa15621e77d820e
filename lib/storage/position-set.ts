// A set of positions, which are non-negative safe integers: what was acknowledged in a queue, what is dead in a page. Such
// sets are mostly long runs, so they are kept as intervals.

/** An interval that comes between more bounds than this on either side waits among the recent ones, until there are so many of them. */
const MANY_BOUNDS = 2048;
const MOST_RECENT = 1024;
/** So many unused bounds in front are no reason to move the others. */
const FEW_BOUNDS = 64;

export class PositionSet {
  /**
   * First position and end (the position behind the last) of each interval, in rising order. No two intervals touch, so all
   * numbers of it rise.
   */
  #bounds: number[] = [];
  /** Where the first interval stands in there, an even number: what grows together in front, or is added there, moves nothing. */
  #start = 0;
  #size = 0;
  /** Positions that are not among the intervals yet, since each would move many of them; null when there are none. */
  #recent: PositionSet | null = null;

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
    this.#settle();
    return (this.#bounds.length - this.#start) / 2;
  }

  /** The lowest position; -1 when empty. */
  get first(): number {
    this.#settle();
    return this.#size === 0 ? -1 : this.#bounds[this.#start];
  }

  /** The highest position; -1 when empty. */
  get last(): number {
    return this.#size === 0 ? -1 : this.#bounds[this.#bounds.length - 1] - 1;
  }

  /** First position of an interval, counted from 0 and there. Nothing was added since `intervalCount` was asked. */
  intervalFirst(index: number): number {
    return this.#bounds[this.#start + 2 * index];
  }

  /** Last position of an interval, as above. */
  intervalLast(index: number): number {
    return this.#bounds[this.#start + 2 * index + 1] - 1;
  }

  /** Returns false when it was there already. */
  add(position: number): boolean {
    if (this.#recent?.has(position) === true) return false;
    const bounds = this.#bounds;
    const length = bounds.length;
    if (length === 0) {
      // A literal has room for two numbers; an array that is pushed to would have it for 17.
      this.#bounds = [position, position + 1];
    } else if (position === bounds[length - 1]) {
      bounds[length - 1] = position + 1;
    } else if (position > bounds[length - 1]) {
      bounds.push(position, position + 1);
    } else if (position === bounds[this.#start + 1]) {
      // What consumers finish out of order fills up from the front.
      if (position + 1 < bounds[this.#start + 2]) bounds[this.#start + 1] = position + 1;
      else this.#joinFirst(this.#start + 2);
    } else {
      return this.#insert(position);
    }
    this.#size++;
    return true;
  }

  /** Adds all positions of `first` to `last`; returns how many were not there before. */
  addRange(first: number, last: number): number {
    const end = last + 1;
    const added = end - first;
    if (added <= 0) return 0;
    if (added === 1) return this.add(first) ? 1 : 0;
    this.#settle();
    const bounds = this.#bounds;
    const length = bounds.length;
    if (length === 0) {
      this.#bounds = [first, end];
    } else if (first === bounds[length - 1]) {
      bounds[length - 1] = end;
    } else if (first > bounds[length - 1]) {
      bounds.push(first, end);
    } else {
      return this.#insertRange(first, end);
    }
    this.#size += added;
    return added;
  }

  /** Adds all positions of another set. */
  addAll(other: PositionSet): void {
    const count = other.intervalCount;
    this.#settle();
    if (count > FEW_BOUNDS && this.intervalCount > FEW_BOUNDS) {
      this.#merge(other);
      return;
    }
    for (let i = 0; i < count; i++) this.addRange(other.intervalFirst(i), other.intervalLast(i));
  }

  has(position: number): boolean {
    // An odd count of bounds at or below the position means that it stands within an interval.
    return (this.#countUpTo(position) & 1) === 1 || this.#recent?.has(position) === true;
  }

  /** The smallest position from `position` on that is not in the set. */
  nextGap(position: number): number {
    this.#settle();
    const count = this.#countUpTo(position);
    return (count & 1) === 1 ? this.#bounds[count] : position;
  }

  /** Visits the intervals in rising order; `last` is in the set. The set must not change meanwhile. */
  forEachInterval(visit: (first: number, last: number) => void): void {
    this.#settle();
    const bounds = this.#bounds;
    for (let i = this.#start; i < bounds.length; i += 2) visit(bounds[i], bounds[i + 1] - 1);
  }

  clear(): void {
    this.#bounds = [];
    this.#start = 0;
    this.#size = 0;
    this.#recent = null;
  }

  clone(): PositionSet {
    this.#settle();
    const copy = new PositionSet();
    copy.#bounds = this.#bounds.slice(this.#start);
    copy.#size = this.#size;
    return copy;
  }

  /** A new set with what both this one and the interval from `first` to `last` hold. */
  cut(first: number, last: number): PositionSet {
    const cut = new PositionSet();
    if (last < first) return cut;
    this.#settle();
    const bounds = this.#bounds;
    // Rounded down to even numbers: an interval that `first` stands in counts.
    for (let i = this.#countUpTo(first) & ~1; i < bounds.length && bounds[i] <= last; i += 2) {
      cut.addRange(Math.max(first, bounds[i]), Math.min(last, bounds[i + 1] - 1));
    }
    return cut;
  }

  /** The index of the first bound above a position. Odd when the position stands within an interval. */
  #countUpTo(position: number): number {
    const bounds = this.#bounds;
    let low = this.#start;
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
    this.#size++;
    if (count - this.#start > MANY_BOUNDS && bounds.length - count > MANY_BOUNDS) {
      this.#recent ??= new PositionSet();
      this.#recent.add(position);
      if (this.#recent.size >= MOST_RECENT) this.#settle();
      return true;
    }
    // Bound `count` is the first above the position, so it is the start of an interval, and there is one.
    const joinsBefore = count > this.#start && bounds[count - 1] === position;
    const joinsBehind = bounds[count] === position + 1;
    if (joinsBefore && joinsBehind) bounds.splice(count - 1, 2);
    else if (joinsBefore) bounds[count - 1] = position + 1;
    else if (joinsBehind) bounds[count] = position;
    else this.#insertBounds(count, position, position + 1);
    return true;
  }

  /** Adds what reaches from `first` to right before `end`, and starts below the end of the last interval. */
  #insertRange(first: number, end: number): number {
    const bounds = this.#bounds;
    // An interval that ends right at `first` is joined, so it counts as one that `first` stands in.
    const from = first === 0 ? this.#start : this.#countUpTo(first - 1);
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
    if (start === stop) {
      this.#insertBounds(start, mergedFirst, mergedEnd);
    } else if (stop - start === 2) {
      bounds[start] = mergedFirst;
      bounds[start + 1] = mergedEnd;
    } else if (start === this.#start) {
      bounds[start] = mergedFirst;
      bounds[stop - 1] = mergedEnd;
      this.#joinFirst(stop - 2);
    } else {
      bounds.splice(start, stop - start, mergedFirst, mergedEnd);
    }
    this.#size += added;
    return added;
  }

  /** Puts what is recent among the intervals. */
  #settle(): void {
    const recent = this.#recent;
    if (recent === null) return;
    this.#recent = null;
    this.#size -= recent.size;
    this.#merge(recent);
  }

  /** The first interval and all up to the one at an index become one. */
  #joinFirst(index: number): void {
    const bounds = this.#bounds;
    bounds[index] = bounds[this.#start];
    this.#start = index;
    if (index < FEW_BOUNDS || index < bounds.length / 2) return;
    bounds.splice(0, index);
    this.#start = 0;
  }

  /** Adds an interval at an index. Near the front it takes what is unused there, so that falling positions cost little as well. */
  #insertBounds(index: number, first: number, end: number): void {
    const used = this.#bounds.length - this.#start;
    if (index - this.#start >= used / 2) {
      this.#bounds.splice(index, 0, first, end);
      return;
    }
    let at = index;
    if (this.#start === 0) {
      if (used < FEW_BOUNDS) {
        this.#bounds.splice(index, 0, first, end);
        return;
      }
      const room = (used >> 1) & ~1;
      this.#bounds = new Array<number>(room).fill(0).concat(this.#bounds);
      this.#start = room;
      at += room;
    }
    const bounds = this.#bounds;
    // Measured on Node 20: a loop takes a fraction of the time of Array.copyWithin.
    for (let i = this.#start; i < at; i++) bounds[i - 2] = bounds[i];
    this.#start -= 2;
    bounds[at - 2] = first;
    bounds[at - 1] = end;
  }

  /** Adds another set, in one go over both. */
  #merge(other: PositionSet): void {
    const mine = this.clone();
    this.clear();
    const counts = [mine.intervalCount, other.intervalCount];
    for (let i = 0, j = 0; i < counts[0] || j < counts[1]; ) {
      const takesMine = j === counts[1] || (i < counts[0] && mine.intervalFirst(i) < other.intervalFirst(j));
      const from = takesMine ? mine : other;
      const index = takesMine ? i++ : j++;
      // What was added before begins earlier, so this is at the end, or within the last interval.
      this.addRange(from.intervalFirst(index), from.intervalLast(index));
    }
  }
}
