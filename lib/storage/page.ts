// A page that is on disk, and the ranges of it: what each queue has in it and how much of that is alive.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { PageRun } from './page-index.ts';
import { indexOfPosition } from './placed-messages.ts';
import type { PositionSet } from './position-set.ts';

/** Where a range stands in its page, and what is known of its messages. */
export type RangePlace = Pick<PageRun, 'offset' | 'bytes' | 'count' | 'firstDeadlineMs' | 'transient'>;

/** Messages of one level of a queue, side by side in a page. */
export class PageRange {
  readonly queue: DiskQueue;
  readonly first: number;
  readonly last: number;
  /** Positions from first to last that are no living message of this range: settled, elsewhere, or never here. */
  readonly dead: PositionSet;
  /** Positions of living messages that a restart ends; null when there are none. */
  transient: PositionSet | null = null;
  /** Null while it is being written; then `held` has its messages, unless they were wanted back. */
  page: Page | null = null;
  offset = 0;
  bytes = 0;
  /** How many messages stand in those bytes. */
  count = 0;
  /** The earliest deadline of a message; 0 when none expires. */
  firstDeadlineMs = 0;
  /** Its queue was not told yet of deadlines in it, since a restart. */
  hidesDeadlines = false;
  held: PlacedMessages | null = null;
  /** Messages from this position on are not in memory; Infinity when all are. */
  nextPosition = Infinity;
  /** Where to go on reading. */
  nextOffset = 0;
  /** Living messages that are not in memory. */
  unloaded = 0;
  /** Messages that were on disk alone went, so what is being read or written may hold dead ones. */
  hasDropped = false;
  /** It is being copied to another page. Whoever reads it meanwhile says false. */
  isMerging = false;
  /** Somebody reads what comes next. */
  isReading = false;

  constructor(queue: DiskQueue, first: number, last: number, dead: PositionSet) {
    this.queue = queue;
    this.first = first;
    this.last = last;
    this.dead = dead;
  }

  /** Messages that are alive. */
  get live(): number {
    return this.last - this.first + 1 - this.dead.size;
  }

  holds(position: number): boolean {
    return position >= this.first && position <= this.last && !this.dead.has(position);
  }

  /** Whether a living message is at this position that is on disk alone, or held while it is written. */
  isPagedOut(position: number): boolean {
    return position >= this.nextPosition && this.holds(position);
  }

  /** Some of its messages are in memory, or with consumers. */
  get isPartlyLoaded(): boolean {
    return this.live > this.unloaded;
  }

  overlaps(other: PageRange): boolean {
    return this.first <= other.last && this.last >= other.first;
  }

  /** The message that is held for this position; undefined when there is none. */
  heldAt(position: number): Message | undefined {
    const { held } = this;
    return held === null ? undefined : held.messages[indexOfPosition(held.positions, position)];
  }

  /** Whether the log knows of the living message at this position. */
  isPersistent(position: number): boolean {
    return this.heldAt(position)?.persistent ?? this.transient?.has(position) !== true;
  }

  /** Whether every position from first to last is alive. */
  holdsAll(first: number, last: number): boolean {
    const { dead } = this;
    if (first < this.first || last > this.last) return false;
    return dead.isEmpty || dead.last < first || dead.first > last || dead.cut(first, last).isEmpty;
  }

  /** All that is alive is on disk alone. */
  leaveMemory(nextPosition: number, nextOffset: number, unloaded: number): void {
    this.nextPosition = nextPosition;
    this.nextOffset = nextOffset;
    this.unloaded = unloaded;
  }

  /** What is dead for somebody who comes after a restart. */
  deadAfterRestart(): PositionSet {
    const { dead, transient } = this;
    if (transient === null) return dead;
    const all = dead.clone();
    all.addAll(transient);
    return all;
  }

  /** It stands in a page. */
  placeIn(page: Page, { offset, bytes, count, firstDeadlineMs, transient }: RangePlace): void {
    this.page = page;
    this.offset = this.nextOffset = offset;
    this.bytes = bytes;
    this.count = count;
    this.firstDeadlineMs = firstDeadlineMs;
    this.transient = transient;
    page.ranges.add(this);
  }

  /** So many messages of what came next are in memory now. */
  wasRead(messages: number, nextPosition: number, nextOffset: number): void {
    this.unloaded -= messages;
    this.nextPosition = nextPosition;
    this.nextOffset = nextOffset;
    if (this.unloaded <= 0 || nextPosition === Infinity) this.endLoading();
  }

  /** Nothing of it is on disk alone any more. */
  endLoading(): void {
    this.nextPosition = Infinity;
    this.unloaded = 0;
  }
}

export class Page {
  readonly number: number;
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly isTransient: boolean;
  /** Those in which something is alive. */
  readonly ranges = new Set<PageRange>();

  constructor(number: number, path: string, bytes: number, isTransient: boolean) {
    this.number = number;
    this.path = path;
    this.bytes = bytes;
    this.isTransient = isTransient;
  }

  /** About how many of its bytes are those of living messages. */
  liveBytes(): number {
    let bytes = 0;
    for (const range of this.ranges) bytes += (range.bytes * range.live) / range.count;
    return bytes;
  }
}
