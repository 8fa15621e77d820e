// The ranges of one queue: which messages are in pages, which of these are on disk alone, and which are dead.
import type { PageRange } from './page.ts';

/** Hears of each range in which nothing is alive any more, or wanted. */
export interface EndedRanges {
  rangeEnded(range: PageRange): void;
}

export class DiskRanges {
  readonly #context: EndedRanges;
  readonly #list: PageRange[] = [];
  /** The range that was found last. */
  #lastHome: PageRange | null = null;
  /** Ranges that are being written: what is in them may be in an older one, too. */
  #writing = 0;
  /** Messages that are on disk alone. */
  pagedCount = 0;
  /** None of them comes before this position; Infinity when there are none. */
  nextPaged = Infinity;

  constructor(context: EndedRanges) {
    this.#context = context;
  }

  get all(): readonly PageRange[] {
    return this.#list;
  }

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  add(range: PageRange): void {
    this.#list.push(range);
    if (range.page === null) this.#writing++;
    this.refresh();
  }

  /** The range that a message is in; null when it is in none. */
  homeOf(position: number): PageRange | null {
    const last = this.#lastHome;
    if (last?.holds(position) === true) return last;
    for (const range of this.#list) {
      if (!range.holds(position)) continue;
      this.#lastHome = range;
      return range;
    }
    return null;
  }

  /** The range that has a message which is on disk alone; null when there is no such message. */
  pagedHomeOf(position: number): PageRange | null {
    const last = this.#lastHome;
    if (last?.isPagedOut(position) === true) return last;
    for (const range of this.#list) {
      if (!range.isPagedOut(position)) continue;
      this.#lastHome = range;
      return range;
    }
    return null;
  }

  /** Where to go on reading. Only when something is on disk alone. */
  next(): PageRange | undefined {
    return this.#list.find(({ nextPosition }) => nextPosition === this.nextPaged);
  }

  /** A message that was in memory is gone. */
  settle(home: PageRange, position: number): void {
    if (this.#writing > 0) {
      // What is being moved to another page has two homes until that is written.
      for (const range of [...this.#list]) if (range.holds(position)) this.#markDead(range, position);
    } else {
      this.#markDead(home, position);
    }
  }

  /** A message that was on disk alone is gone. */
  drop(home: PageRange, position: number): void {
    this.pagedCount--;
    home.unloaded--;
    home.hasDropped = true;
    if (home.unloaded === 0) {
      home.endLoading();
      // Where reading goes on is a lower bound, so it need not move with each message that goes.
      this.refresh();
    }
    this.settle(home, position);
  }

  /** What is on disk alone in a range is gone. */
  dropRest(range: PageRange): void {
    const { held, nextPosition, last } = range;
    if (held !== null) {
      // It may have another home: see `settle`.
      for (const older of [...this.#list]) {
        if (older !== range && older.isPartlyLoaded && older.overlaps(range)) this.#killIn(older, held.positions);
      }
    }
    range.dead.addRange(nextPosition, last);
    range.endLoading();
    if (range.live === 0) this.end(range);
  }

  /** A range has been written: it alone is now the home of what it holds. */
  written(range: PageRange, positions: readonly number[]): void {
    this.#writing--;
    for (const older of [...this.#list]) {
      // What is in both was in memory meanwhile, so a range with nothing in memory has nothing of it.
      if (older === range || !older.isPartlyLoaded || !older.overlaps(range)) continue;
      this.#killIn(older, positions);
    }
    if (range.live === 0) this.end(range);
  }

  /** Puts one range in the place of another, which held the same. */
  replace(old: PageRange, replacement: PageRange): void {
    const index = this.#list.indexOf(old);
    if (index < 0) throw new Error('a range that its queue does not have');
    this.#list[index] = replacement;
    if (this.#lastHome === old) this.#lastHome = null;
    this.refresh();
  }

  /** Nothing of a range is alive. */
  end(range: PageRange): void {
    const index = this.#list.indexOf(range);
    if (index >= 0) this.#list.splice(index, 1);
    if (this.#lastHome === range) this.#lastHome = null;
    this.#context.rangeEnded(range);
  }

  /** Nothing of the queue is wanted. */
  clear(): void {
    for (const range of this.#list) if (range.page !== null) this.#context.rangeEnded(range);
    this.#list.length = 0;
    this.#lastHome = null;
    this.refresh();
  }

  /** Counts anew what is on disk alone. */
  refresh(): void {
    let count = 0;
    let next = Infinity;
    for (const { unloaded, nextPosition } of this.#list) {
      count += unloaded;
      if (unloaded > 0 && nextPosition < next) next = nextPosition;
    }
    this.pagedCount = count;
    this.nextPaged = next;
  }

  #markDead(range: PageRange, position: number): void {
    range.dead.add(position);
    if (range.live === 0 && range.page !== null) this.end(range);
  }

  #killIn(range: PageRange, positions: readonly number[]): void {
    for (const position of positions) {
      if (position >= range.first && position <= range.last) range.dead.add(position);
    }
    if (range.live === 0 && range.page !== null) this.end(range);
  }
}
