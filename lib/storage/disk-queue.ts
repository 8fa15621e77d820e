// A queue's side of the disk: which of its messages are in which page, what of them is in memory, and what the log is still to
// be told. Its messages outside pages are kept by the log entries that they note.
import type { Message } from '../core/message.ts';
import type { PlacedMessages, QueueStore, StoredQueue } from '../core/message-store.ts';
import type { Confirmation } from '../core/queue.ts';
import type { ByteWriter } from './byte-writer.ts';
import { writeAcknowledged, writeDelivered, writeReturned } from './entries.ts';
import { LogEntry } from './log-entry.ts';
import type { PageRange } from './page.ts';
import type { RangeRead } from './page-reader.ts';
import { PositionSet } from './position-set.ts';

/** What all queues of a store share. */
export interface DiskQueueContext {
  /** A message is to be written. */
  append(entry: LogEntry, bytes: number): void;
  /** The queue has something to write that nobody waits for. */
  touch(queue: DiskQueue): void;
  /** What was done must become durable: whoever did it may want to know when. */
  changed(): void;
  /** The queue is deleted. */
  deleted(queue: DiskQueue): void;
  /** Reads what comes next in a range that is in a page; `null` when that failed, which is the store's matter. */
  read(range: PageRange): Promise<RangeRead | null>;
  /** Calls `task` when the current turn is over. */
  soon(task: () => void): void;
  /** Logs a defect of ours. */
  defect(error: unknown): void;
  retain(message: Message): void;
  release(message: Message): void;
  /** Nothing lives in a range any more. */
  rangeEnded(range: PageRange): void;
}

export class DiskQueue implements QueueStore {
  /** Names the queue in the data folder. */
  readonly id: number;
  virtualHost: string;
  /** Its persistent messages survive a restart. */
  readonly isLogged: boolean;
  readonly #context: DiskQueueContext;
  #host: StoredQueue | null = null;
  readonly #ranges: PageRange[] = [];
  /** The range that was found last. */
  #lastHome: PageRange | null = null;
  /** Ranges that are being written: what is in them may be in an older one, too. */
  #writing = 0;
  #isLoading = false;
  /** Moves when what is being read is not wanted any more. */
  #epoch = 0;
  readonly #acknowledged = new PositionSet();
  #returned: [position: number, deliveryCount: number][] = [];
  #loggedDeliveredTo = 0;
  #isDirty = false;

  pagedCount = 0;
  nextPaged = Infinity;
  /** The queue is gone: nothing of it needs to be kept. */
  deleted = false;

  constructor(id: number, virtualHost: string, isLogged: boolean, context: DiskQueueContext) {
    this.id = id;
    this.virtualHost = virtualHost;
    this.isLogged = isLogged;
    this.#context = context;
  }

  /** The queue itself. */
  get host(): StoredQueue {
    if (this.#host === null) throw new Error(`queue ${this.id} is not there yet`);
    return this.#host;
  }

  get ranges(): readonly PageRange[] {
    return this.#ranges;
  }

  /** Connects it with its queue. */
  attach(host: StoredQueue): void {
    this.#host = host;
    this.#loggedDeliveredTo = host.deliveredTo;
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
    if (this.#ranges.length > 0) {
      const home = this.#homeOf(position);
      if (home !== null) {
        this.#settleIn(home, position);
        if (this.isLogged && message.persistent) this.#acknowledge(position);
        return;
      }
    }
    const { stored } = message;
    if (!(stored instanceof LogEntry)) return;
    const isWritten = stored.segment !== null;
    // That a queue was deleted says all about its messages.
    if (stored.drop(this, position) && isWritten && !this.deleted) this.#acknowledge(position);
  }

  delivered(): void {
    if (!this.#isDirty) this.#touch();
  }

  returned(_message: Message, position: number, deliveryCount: number): void {
    this.#returned.push([position, deliveryCount]);
    if (!this.#isDirty) this.#touch();
  }

  load(): void {
    if (this.#isLoading || this.pagedCount === 0) return;
    const range = this.#ranges.find(({ nextPosition }) => nextPosition === this.nextPaged);
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
      if (read !== null) this.#guard(() => this.#wasRead(range, read, epoch));
    });
  }

  purge(): number {
    const count = this.pagedCount;
    if (count === 0) return 0;
    this.#epoch++;
    this.#isLoading = false;
    for (const range of [...this.#ranges]) {
      if (range.unloaded === 0) continue;
      if (this.isLogged) this.#acknowledgeFrom(range, range.nextPosition);
      range.dead.addRange(range.nextPosition, range.last);
      this.#letGo(range);
      range.endLoading();
      if (range.live === 0) this.endRange(range);
    }
    this.#refresh();
    return count;
  }

  delete(): void {
    if (this.deleted) return;
    this.deleted = true;
    this.#epoch++;
    for (const range of this.#ranges) {
      this.#letGo(range);
      if (range.page !== null) this.#context.rangeEnded(range);
    }
    this.#ranges.length = 0;
    this.#lastHome = null;
    this.#refresh();
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
    const { deliveredTo } = this.host;
    if (deliveredTo > this.#loggedDeliveredTo) {
      this.#loggedDeliveredTo = deliveredTo;
      writeDelivered(writer, this.id, deliveredTo);
    }
    for (const [position, count] of this.#returned) writeReturned(writer, this.id, position, count);
    if (this.#returned.length > 0) this.#returned = [];
  }

  /** Whether a page, or one being written, is the home of a position. */
  isPaged(position: number): boolean {
    return this.#ranges.length > 0 && this.#homeOf(position) !== null;
  }

  /** Whether one range holds every position from first to last. */
  isAllPaged(first: number, last: number): boolean {
    return this.#ranges.some((range) => range.holdsAll(first, last));
  }

  /** Adds a range. The store tells its page, or that it is being written. */
  addRange(range: PageRange): void {
    if (this.deleted) return;
    this.#ranges.push(range);
    if (range.page === null) this.#writing++;
    this.#refresh();
  }

  /** A range has been written: it alone is now the home of what it holds. */
  rangeWritten(range: PageRange, positions: readonly number[]): void {
    if (this.deleted) {
      this.#context.rangeEnded(range);
      return;
    }
    this.#writing--;
    for (const older of [...this.#ranges]) {
      if (older === range || older.last < range.first || older.first > range.last) continue;
      for (const position of positions) {
        if (position >= older.first && position <= older.last) older.dead.add(position);
      }
      if (older.live === 0 && older.page !== null) this.endRange(older);
    }
    if (range.live === 0) this.endRange(range);
  }

  /** What is dead in a range has become known after a restart. */
  rangeRecovered(range: PageRange): void {
    if (range.live === 0) {
      this.endRange(range);
    } else {
      range.leaveMemory(range.dead.nextGap(range.first), range.offset, range.live);
    }
    this.#refresh();
  }

  /** Puts one range in the place of another, which held the same. */
  replaceRange(old: PageRange, replacement: PageRange): void {
    const index = this.#ranges.indexOf(old);
    if (index < 0) throw new Error(`a range that queue ${this.id} does not have`);
    this.#ranges[index] = replacement;
    if (this.#lastHome === old) this.#lastHome = null;
    this.#refresh();
  }

  /** What goes wrong where messages are delivered is a defect there: it must not end the process, nor stop the reading. */
  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#context.defect(error);
    }
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

  #homeOf(position: number): PageRange | null {
    const last = this.#lastHome;
    if (last?.holds(position) === true) return last;
    for (const range of this.#ranges) {
      if (!range.holds(position)) continue;
      this.#lastHome = range;
      return range;
    }
    return null;
  }

  #settleIn(home: PageRange, position: number): void {
    if (this.#writing > 0) {
      // What is being moved to another page has two homes until that is written.
      for (const range of [...this.#ranges]) if (range.holds(position)) this.#markDead(range, position);
    } else {
      this.#markDead(home, position);
    }
  }

  #markDead(range: PageRange, position: number): void {
    range.dead.add(position);
    if (range.live === 0 && range.page !== null) this.endRange(range);
  }

  /** Nothing of a range is alive. */
  endRange(range: PageRange): void {
    const index = this.#ranges.indexOf(range);
    if (index >= 0) this.#ranges.splice(index, 1);
    if (this.#lastHome === range) this.#lastHome = null;
    this.#context.rangeEnded(range);
  }

  /** Messages that are still being written are wanted back. */
  #takeBack(range: PageRange, epoch: number): void {
    const { held } = range;
    if (held === null) {
      // It was written meanwhile.
      if (epoch === this.#epoch) this.#isLoading = false;
      if (epoch === this.#epoch) this.load();
      return;
    }
    if (epoch !== this.#epoch) return;
    range.held = null;
    range.endLoading();
    this.#took(held);
  }

  /** Only here does the range move on, so that nobody meets messages that are neither on disk alone nor in memory. */
  #wasRead(range: PageRange, read: RangeRead, epoch: number): void {
    if (epoch !== this.#epoch) {
      for (const message of read.messages) this.#context.release(message);
      return;
    }
    range.wasRead(read.messages.length, read.nextPosition, read.nextOffset);
    this.#took(read);
  }

  #took(placed: PlacedMessages): void {
    this.#isLoading = false;
    this.#refresh();
    this.host.loaded(placed);
  }

  /** Gives up messages that are held in memory only while they are written. */
  #letGo(range: PageRange): void {
    const { held } = range;
    if (held === null) return;
    range.held = null;
    for (const message of held.messages) this.#context.release(message);
  }

  #refresh(): void {
    let count = 0;
    let next = Infinity;
    for (const { unloaded, nextPosition } of this.#ranges) {
      count += unloaded;
      if (unloaded > 0 && nextPosition < next) next = nextPosition;
    }
    this.pagedCount = count;
    this.nextPaged = next;
  }
}
