// A queue's side of the disk: which of its messages are in which page, what of them is in memory, and what the log is still to
// be told. Its messages outside pages are kept by the log entries that they note.
import type { Message } from '../core/message.ts';
import type { PlacedMessages, QueueStore, StoredQueue } from '../core/message-store.ts';
import type { Durability } from '../core/ports.ts';
import { LEVEL_SPAN, levelOf } from '../core/positions.ts';
import type { Confirmation } from '../core/queue.ts';
import type { ByteWriter } from './byte-writer.ts';
import { tellDeadlines } from './deadline-scan.ts';
import { DiskRanges } from './disk-ranges.ts';
import { writeAcknowledged, writeDelivered, writeReturned } from './entries.ts';
import { LogEntry } from './log-entry.ts';
import type { PageRange } from './page.ts';
import type { RangeRead } from './page-reader.ts';
import { fetchPaged } from './paged-fetch.ts';
import { filterPlaced } from './placed-messages.ts';
import { PositionSet } from './position-set.ts';

/** What all queues of a store share. */
export interface DiskQueueContext {
  /** A message is to be written. */
  append(entry: LogEntry, bytes: number): void;
  /** The queue has something to write that nobody waits for. */
  touch(queue: DiskQueue): void;
  /** What was done must become durable: whoever did it may want to know when. */
  changed(): void;
  /** Calls `done` when all that was done so far is durable. */
  whenDurable(done: () => void): void;
  /** The queue is deleted. */
  deleted(queue: DiskQueue): void;
  /** Reads what comes next in a range that is in a page; `null` when that failed, which is the store's matter. */
  read(range: PageRange): Promise<RangeRead | null>;
  /** Reads the messages at some positions of a range that is in a page, in rising order; `null` as above. */
  fetch(range: PageRange, positions: readonly number[]): Promise<PlacedMessages | null>;
  /** Calls `task` when the current turn is over. */
  soon(task: () => void): void;
  /** Logs a defect of ours. */
  defect(error: unknown): void;
  retain(message: Message): void;
  release(message: Message): void;
  /** Nothing lives in a range any more. */
  rangeEnded(range: PageRange): void;
}

const NOTHING: PlacedMessages = { messages: [], positions: [] };

export class DiskQueue implements QueueStore {
  /** Names the queue in the data folder. */
  readonly id: number;
  virtualHost: string;
  /** Its persistent messages survive a restart. */
  readonly isLogged: boolean;
  readonly #context: DiskQueueContext;
  #host: StoredQueue | null = null;
  readonly #ranges: DiskRanges;
  #isLoading = false;
  /** Moves when what is being read is not wanted any more. */
  #epoch = 0;
  readonly #acknowledged = new PositionSet();
  /** Where messages came back, as far as the log was not told. */
  #returned: number[] = [];
  /** What the log was told of the first level, which most queues have alone. */
  #loggedDeliveredTo = 0;
  /** And of the others; null while nothing was. */
  #loggedLevels: Map<number, number> | null = null;
  #isDirty = false;
  /** The queue is gone: nothing of it needs to be kept. */
  deleted = false;

  constructor(id: number, virtualHost: string, isLogged: boolean, context: DiskQueueContext) {
    this.id = id;
    this.virtualHost = virtualHost;
    this.isLogged = isLogged;
    this.#context = context;
    this.#ranges = new DiskRanges(context);
  }

  /** The queue itself. */
  get host(): StoredQueue {
    if (this.#host === null) throw new Error(`queue ${this.id} is not there yet`);
    return this.#host;
  }

  get ranges(): readonly PageRange[] {
    return this.#ranges.all;
  }

  get pagedCount(): number {
    return this.#ranges.pagedCount;
  }

  get nextPaged(): number {
    return this.#ranges.nextPaged;
  }

  /** Connects it with its queue. */
  attach(host: StoredQueue): void {
    this.#host = host;
    for (const { nextPosition, deliveredTo } of host.levels) this.#movesOn(levelOf(nextPosition), deliveredTo);
  }

  // What the queue asks

  add(message: Message, position: number, confirmation: Confirmation | null): void {
    const { stored } = message;
    if (stored instanceof LogEntry && stored.segment === null) {
      stored.addPlace(this, position);
      return;
    }
    const entry = new LogEntry(message, this, position, confirmation);
    message.stored = entry;
    this.#context.append(entry, message.size);
  }

  remove(message: Message, position: number): void {
    this.#leaves(message, position, null);
  }

  moved(message: Message, position: number): void {
    this.#leaves(message, position, this.#context);
  }

  delivered(): void {
    if (!this.#isDirty) this.#touch();
  }

  returned(position: number): void {
    this.#returned.push(position);
    if (!this.#isDirty) this.#touch();
  }

  load(): void {
    if (this.#isLoading || this.pagedCount === 0) return;
    const range = this.#ranges.next();
    if (range === undefined) throw new Error(`queue ${this.id} has messages on disk and no range with them`);
    this.#isLoading = true;
    const epoch = this.#epoch;
    if (range.held !== null) {
      this.#context.soon(() => this.#guard(() => this.#takeBack(range, epoch)));
      return;
    }
    range.isMerging = false;
    range.isReading = true;
    void this.#context.read(range).then((read) => {
      range.isReading = false;
      this.#guard(() => {
        if (read !== null) this.#wasRead(range, read, epoch);
        // All that was left was dropped, and the range with its page: go on with what follows.
        else if (epoch === this.#epoch && !this.ranges.includes(range)) this.#took(NOTHING);
      });
    });
  }

  purge(): number {
    const count = this.pagedCount;
    if (count === 0) return 0;
    this.#epoch++;
    this.#isLoading = false;
    for (const range of [...this.ranges]) {
      if (range.unloaded === 0) continue;
      if (this.isLogged) this.#acknowledgeFrom(range, range.nextPosition);
      this.#ranges.dropRest(range);
      this.#letGo(range);
    }
    this.#ranges.refresh();
    return count;
  }

  isPagedOut(position: number): boolean {
    return !this.#ranges.isEmpty && this.#ranges.pagedHomeOf(position) !== null;
  }

  drop(position: number): void {
    const home = this.#ranges.pagedHomeOf(position);
    if (home === null) throw new Error(`queue ${this.id} has no message at ${position} that is on disk alone`);
    const isPersistent = home.isPersistent(position);
    // Who reads or writes it meanwhile finds it dead, and lets go of it.
    this.#ranges.drop(home, position);
    if (this.isLogged && isPersistent) this.#acknowledge(position);
  }

  fetch(positions: readonly number[], done: (placed: PlacedMessages) => void): void {
    void fetchPaged(this, positions, this.#context, (placed) => this.#guard(() => done(placed)));
  }

  delete(): void {
    if (this.deleted) return;
    this.deleted = true;
    this.#epoch++;
    for (const range of this.ranges) this.#letGo(range);
    this.#ranges.clear();
    this.#context.deleted(this);
  }

  // What the store asks

  /** Writes what gathered since the last record. */
  writeState(writer: ByteWriter): void {
    this.#isDirty = false;
    if (this.deleted || !this.isLogged) return;
    if (!this.#acknowledged.isEmpty) {
      writeAcknowledged(writer, this.id, this.#acknowledged);
      this.#acknowledged.clear();
    }
    for (const { nextPosition, deliveredTo } of this.host.levels) {
      if (this.#movesOn(levelOf(nextPosition), deliveredTo)) writeDelivered(writer, this.id, deliveredTo);
    }
    if (this.#returned.length > 0) this.#writeReturned(writer);
  }

  /** Whether a page, or one being written, is the home of a position. */
  isPaged(position: number): boolean {
    return !this.#ranges.isEmpty && this.#ranges.homeOf(position) !== null;
  }

  /** The range of the first of some positions that are on disk alone; null when none is. */
  firstPagedHome(positions: readonly number[]): PageRange | null {
    for (const position of positions) {
      const home = this.#ranges.pagedHomeOf(position);
      if (home !== null) return home;
    }
    return null;
  }

  /** Whether one range holds every position from first to last. */
  isAllPaged(first: number, last: number): boolean {
    return this.ranges.some((range) => range.holdsAll(first, last));
  }

  /** Adds a range. The store tells its page, or that it is being written. */
  addRange(range: PageRange): void {
    if (!this.deleted) this.#ranges.add(range);
  }

  /** A range has been written: it alone is now the home of what it holds. */
  rangeWritten(range: PageRange, positions: readonly number[]): void {
    if (this.deleted) this.#context.rangeEnded(range);
    else this.#ranges.written(range, positions);
  }

  /** What is dead in a range has become known after a restart. */
  rangeRecovered(range: PageRange): void {
    if (range.live === 0) {
      this.#ranges.end(range);
    } else {
      range.leaveMemory(range.dead.nextGap(range.first), range.offset, range.live);
    }
    this.#ranges.refresh();
  }

  /** Puts one range in the place of another, which held the same. */
  replaceRange(old: PageRange, replacement: PageRange): void {
    this.#ranges.replace(old, replacement);
  }

  /** Nothing of a range is alive. */
  endRange(range: PageRange): void {
    this.#ranges.end(range);
  }

  /** What goes wrong where messages are delivered is a defect there: it must not end the process, nor stop the reading. */
  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#context.defect(error);
    }
  }

  /** @param durability tells when whoever waits for the message to be safe may hear of it; null for at once */
  #leaves(message: Message, position: number, durability: Pick<Durability, 'whenDurable'> | null): void {
    if (!this.#ranges.isEmpty) {
      const home = this.#ranges.homeOf(position);
      if (home !== null) {
        this.#ranges.settle(home, position);
        if (this.isLogged && message.persistent) this.#acknowledge(position);
        return;
      }
    }
    const { stored } = message;
    if (!(stored instanceof LogEntry)) return;
    const isWritten = stored.segment !== null;
    // That a queue was deleted says all about its messages.
    if (stored.drop(this, position, durability) && isWritten && !this.deleted) this.#acknowledge(position);
  }

  /** Not of what left since: it may never have been written, and then another message gets its position after a crash. */
  #writeReturned(writer: ByteWriter): void {
    const { deliveryCounts } = this.host;
    for (const position of this.#returned) {
      const count = deliveryCounts.get(position);
      if (count !== undefined) writeReturned(writer, this.id, position, count);
    }
    this.#returned = [];
  }

  #touch(): void {
    this.#isDirty = true;
    this.#context.touch(this);
  }

  #acknowledge(position: number): void {
    this.#acknowledged.add(position);
    this.#context.changed();
    if (!this.#isDirty) this.#touch();
  }

  /** Acknowledges everything that is alive in a range from a position on. */
  #acknowledgeFrom(range: PageRange, from: number): void {
    let next = from;
    range.dead.cut(from, range.last).forEachInterval((first, last) => {
      if (first > next) this.#acknowledged.addRange(next, first - 1);
      next = last + 1;
    });
    if (next <= range.last) this.#acknowledged.addRange(next, range.last);
    this.#context.changed();
    if (!this.#isDirty) this.#touch();
  }

  /** Notes how far a level is; false when that was known. */
  #movesOn(level: number, deliveredTo: number): boolean {
    if (level === 0) {
      if (deliveredTo <= this.#loggedDeliveredTo) return false;
      this.#loggedDeliveredTo = deliveredTo;
      return true;
    }
    this.#loggedLevels ??= new Map();
    if (deliveredTo <= (this.#loggedLevels.get(level) ?? level * LEVEL_SPAN)) return false;
    this.#loggedLevels.set(level, deliveredTo);
    return true;
  }

  /** Messages that are still being written are wanted back. */
  #takeBack(range: PageRange, epoch: number): void {
    if (epoch !== this.#epoch) return;
    const { held } = range;
    if (held === null) {
      // It was written meanwhile.
      this.#isLoading = false;
      if (this.pagedCount > 0) this.load();
      else this.#took(NOTHING);
      return;
    }
    range.held = null;
    range.endLoading();
    this.#took(this.#withoutDropped(range, held));
  }

  /** Only here does the range move on, so that nobody meets messages that are neither on disk alone nor in memory. */
  #wasRead(range: PageRange, read: RangeRead, epoch: number): void {
    if (epoch !== this.#epoch) {
      for (const message of read.messages) this.#context.release(message);
      return;
    }
    const placed = this.#withoutDropped(range, read);
    range.wasRead(placed.messages.length, read.nextPosition, read.nextOffset);
    this.#took(placed);
    if (range.hidesDeadlines) tellDeadlines(this.host, placed);
  }

  /** Lets go of what was dropped after it was asked for. */
  #withoutDropped(range: PageRange, placed: PlacedMessages): PlacedMessages {
    if (!range.hasDropped) return placed;
    const { messages, positions } = placed;
    for (let i = 0; i < positions.length; i++) if (range.dead.has(positions[i])) this.#context.release(messages[i]);
    return filterPlaced(placed, (position) => !range.dead.has(position));
  }

  #took(placed: PlacedMessages): void {
    this.#isLoading = false;
    this.#ranges.refresh();
    this.host.loaded(placed);
  }

  /** Gives up messages that are held in memory only while they are written. */
  #letGo(range: PageRange): void {
    const { held } = range;
    if (held === null) return;
    range.held = null;
    for (const message of held.messages) this.#context.release(message);
  }
}
