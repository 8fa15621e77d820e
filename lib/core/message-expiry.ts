// Makes the messages of a queue leave when they expire, wherever they stand: in memory, or on disk alone. What is with a consumer
// stays with it. RabbitMQ looks at the first message only; see https://www.rabbitmq.com/docs/ttl
import { DeadlineHeap } from './deadline-heap.ts';
import type { Departures } from './departures.ts';
import type { LengthLimit } from './length-limit.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { Message } from './message.ts';
import type { PlacedMessages, QueueStore } from './message-store.ts';
import type { Queue } from './queue.ts';
import type { Ready } from './ready-messages.ts';

/** Messages on disk whose content is wanted when they expire are read so long before. */
const READ_AHEAD_MS = 1000;
/** So many are read at once at the most: each time all pages are passed through, so it had better be many. */
const READ_MESSAGES = 65_536;
/** Nothing more is read ahead when so many bytes have been. */
const READ_AHEAD_BYTES = 64 * 1024 * 1024;
/** No more that have expired wait to be read: the others need no other place than their deadline. */
const MOST_LATE = 131_072;
const FIRST_SPAN_MS = 2000;
const LEAST_SPAN_MS = 100;
const MOST_SPAN_MS = 600_000;
/** Deadlines of messages that left otherwise are forgotten when there are more of them than of the rest, and more than this. */
const LEAST_STALE = 4096;
/** So many expire in one go; then others have their turn. */
const STEP_MESSAGES = 1024;

/** The queue whose messages expire, and its parts. */
export interface ExpiryParts {
  readonly queue: Queue;
  readonly ready: Ready;
  /** Null where there is no disk. */
  readonly store: QueueStore | null;
  readonly limit: LengthLimit;
  readonly departures: Departures;
  readonly memory: MemoryAccount;
  /** Gives a message a place outside the ready ones. */
  readonly addTaken: (message: Message) => number;
  /** `MessageExpiry.nextMs` has changed by itself. */
  readonly nextChanged: () => void;
}

export class MessageExpiry {
  readonly #parts: ExpiryParts;
  readonly #deadlines = new DeadlineHeap();
  /** Copies of messages that are on disk alone and expire soon. */
  readonly #copies = new Map<number, Message>();
  #copyBytes = 0;
  /** Positions of messages that have expired and are still to be read. */
  #late: number[] = [];
  /** Positions of those that have been read since, from `#overdueAt` on. */
  #overdue: number[] = [];
  #overdueAt = 0;
  /** What expires until then has been read. */
  #readToMs = 0;
  #spanMs = FIRST_SPAN_MS;
  #isReading = false;
  /** Messages have left memory since `run`. */
  #hasGivenUp = false;
  /** Moves when what is being read is not wanted any more. */
  #epoch = 0;

  constructor(parts: ExpiryParts) {
    this.#parts = parts;
  }

  /** A message is ready, or on disk, that expires at `deadlineMs`. */
  add(deadlineMs: number, position: number): void {
    this.#deadlines.add(deadlineMs, position);
    const { size } = this.#deadlines;
    if (size > LEAST_STALE && size > 2 * this.#parts.queue.messageCount) this.#forgetStale();
  }

  /** The earliest deadline, of a message that may have left by now; Infinity when there is none. */
  get firstMs(): number {
    return this.#deadlines.firstMs;
  }

  /** When `run` wants to be called next. */
  get nextMs(): number {
    const { firstMs } = this.#deadlines;
    if (this.#hasGivenUp || this.#overdueAt < this.#overdue.length) return 0;
    if (this.#isReading) return this.#late.length < MOST_LATE ? firstMs : Infinity;
    if (this.#late.length > 0) return 0;
    if (!this.#readsAhead) return firstMs;
    return Math.min(firstMs, Math.max(this.#readToMs, firstMs) - READ_AHEAD_MS);
  }

  /** Lets go of what has expired; at most so much that others have their turn. */
  run(nowMs: number): void {
    this.#hasGivenUp = false;
    const left = this.#expireSome(nowMs, STEP_MESSAGES);
    const isTime = this.#readsAhead && nowMs >= this.#readToMs - READ_AHEAD_MS;
    if (!isTime && this.#late.length === 0) return;
    this.#read(nowMs);
    // Some of it may need no reading any more.
    if (left > 0) this.#expireSome(nowMs, left);
  }

  /** Lets go of so much of what has expired at the most, and returns how much less there was. */
  #expireSome(nowMs: number, most: number): number {
    for (let i = 0; i < most; i++) {
      if (this.#overdueAt < this.#overdue.length) {
        this.#expire(this.#overdue[this.#overdueAt++]);
      } else {
        if (this.#deadlines.firstMs > nowMs || this.#late.length >= MOST_LATE) return most - i;
        const { firstPosition } = this.#deadlines;
        this.#deadlines.shift();
        this.#expire(firstPosition);
      }
    }
    return 0;
  }

  /** Messages are about to be on disk alone: once they are, it may be time to read them. */
  gaveUp(): void {
    this.#hasGivenUp = true;
    this.#parts.nextChanged();
  }

  /** All messages are gone. */
  clear(): void {
    this.#epoch++;
    this.#isReading = false;
    this.#deadlines.clear();
    for (const copy of this.#copies.values()) this.#parts.memory.release(copy);
    this.#copies.clear();
    this.#copyBytes = 0;
    this.#late = [];
    this.#overdue = [];
    this.#overdueAt = 0;
    this.#readToMs = 0;
  }

  /** What expires is needed even if it is on disk alone: it is dead-lettered, or its bytes are counted. */
  get #needsContent(): boolean {
    const { deadLetterExchange, maxLengthBytes } = this.#parts.queue.features;
    return deadLetterExchange !== null || maxLengthBytes !== Infinity;
  }

  get #readsAhead(): boolean {
    const { store } = this.#parts;
    return store !== null && store.pagedCount > 0 && this.#needsContent;
  }

  #expire(position: number): void {
    const { ready, store, limit, departures, memory } = this.#parts;
    const copy = this.#takeCopy(position);
    const message = ready.take(position);
    if (message !== undefined) {
      limit.removed(message);
      departures.discard(message, position, 'expired');
    } else if (store?.isPagedOut(position) === true) {
      if (copy === null && this.#needsContent) {
        this.#late.push(position);
      } else {
        departures.discardPaged(copy, position, 'expired', this.#parts.addTaken);
        limit.dropped(copy, store.pagedCount);
      }
    }
    if (copy !== null) memory.release(copy);
  }

  #takeCopy(position: number): Message | null {
    const copy = this.#copies.get(position);
    if (copy === undefined) return null;
    this.#copies.delete(position);
    this.#copyBytes -= copy.size;
    return copy;
  }

  /** Reads what has expired and what will soon. */
  #read(nowMs: number): void {
    const { store, memory } = this.#parts;
    if (this.#isReading || store === null) return;
    const late = this.#takeLate(store);
    const wanted = new Set(late);
    let toMs = this.#readToMs;
    if (this.#readsAhead && this.#copyBytes < READ_AHEAD_BYTES) {
      const spanEndMs = Math.max(nowMs, toMs) + this.#spanMs;
      if (this.#addSoon(spanEndMs, wanted)) toMs = spanEndMs;
    }
    if (wanted.size === 0) {
      this.#readToMs = toMs;
      return;
    }
    this.#isReading = true;
    const epoch = this.#epoch;
    store.fetch(
      [...wanted].sort((a, b) => a - b),
      (placed) => {
        if (epoch === this.#epoch) this.#wasRead(placed, late, toMs);
        else for (const message of placed.messages) memory.release(message);
      },
    );
  }

  /** Takes what has expired and is to be read. What needs no reading any more leaves with what has been read. */
  #takeLate(store: QueueStore): number[] {
    const taken = this.#late.splice(0, READ_MESSAGES);
    const isWanted = (position: number): boolean =>
      this.#needsContent && !this.#copies.has(position) && store.isPagedOut(position);
    const late = taken.filter(isWanted);
    for (const position of taken) if (!isWanted(position)) this.#overdue.push(position);
    return late;
  }

  /** Adds what is to be read before it expires. False when it was too much for one time. */
  #addSoon(toMs: number, wanted: Set<number>): boolean {
    const { store } = this.#parts;
    const before = wanted.size;
    let isAll = true;
    this.#deadlines.forEachUpTo(toMs, (position) => {
      if (this.#copies.has(position) || store?.isPagedOut(position) !== true) return true;
      isAll = wanted.size < READ_MESSAGES;
      if (isAll) wanted.add(position);
      return isAll;
    });
    this.#adaptSpan(isAll ? wanted.size - before : Infinity);
    return isAll;
  }

  #wasRead({ messages, positions }: PlacedMessages, late: readonly number[], toMs: number): void {
    this.#isReading = false;
    this.#readToMs = toMs;
    for (let i = 0; i < messages.length; i++) {
      this.#copies.set(positions[i], messages[i]);
      this.#copyBytes += messages[i].size;
    }
    // They leave in steps.
    this.#overdue =
      this.#overdueAt < this.#overdue.length ? [...this.#overdue.slice(this.#overdueAt), ...late] : [...late];
    this.#overdueAt = 0;
    this.#parts.nextChanged();
  }

  /** The next read is to be of about the right number of messages. */
  #adaptSpan(count: number): void {
    const factor = Math.min(2, Math.max(0.25, READ_MESSAGES / 2 / Math.max(1, count)));
    this.#spanMs = Math.min(MOST_SPAN_MS, Math.max(LEAST_SPAN_MS, this.#spanMs * factor));
  }

  /** Most of what the deadlines were for has left. Those of messages with consumers are added again when they come back. */
  #forgetStale(): void {
    const { ready, store, memory } = this.#parts;
    // What came back from consumers was added anew each time.
    const seen = new Set<number>();
    this.#deadlines.filter((position) => {
      if (seen.has(position) || (!ready.has(position) && store?.isPagedOut(position) !== true)) return false;
      seen.add(position);
      return true;
    });
    for (const [position, copy] of this.#copies) {
      if (seen.has(position)) continue;
      this.#takeCopy(position);
      memory.release(copy);
    }
  }
}
