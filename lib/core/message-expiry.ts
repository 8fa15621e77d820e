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
/** About so many are read at once. */
const READ_MESSAGES = 16_384;
const FIRST_SPAN_MS = 2000;
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
  /** Positions of messages that have expired and are still to be read. */
  #late: number[] = [];
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

  /** When `run` wants to be called next. */
  get nextMs(): number {
    const { firstMs } = this.#deadlines;
    if (this.#hasGivenUp) return 0;
    if (this.#isReading) return firstMs;
    if (this.#late.length > 0) return 0;
    if (!this.#readsAhead) return firstMs;
    return Math.min(firstMs, Math.max(this.#readToMs, firstMs) - READ_AHEAD_MS);
  }

  /** Lets go of what has expired; at most so much that others have their turn. */
  run(nowMs: number): void {
    this.#hasGivenUp = false;
    for (let i = 0; i < STEP_MESSAGES && this.#deadlines.firstMs <= nowMs; i++) {
      const { firstPosition } = this.#deadlines;
      this.#deadlines.shift();
      this.#expire(firstPosition);
    }
    if (!this.#readsAhead) this.#expireLate();
    else if (this.#late.length > 0 || nowMs >= this.#readToMs - READ_AHEAD_MS) this.#read(nowMs);
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
    this.#late = [];
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
    const copy = this.#copies.get(position) ?? null;
    if (copy !== null) this.#copies.delete(position);
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

  /** What was to be read may be in memory by now, as itself or as a copy, or its content is not needed any more. */
  #expireLate(): void {
    const late = this.#late;
    this.#late = [];
    for (const position of late) this.#expire(position);
  }

  /** Reads what has expired and what will soon. */
  #read(nowMs: number): void {
    const { store, memory } = this.#parts;
    if (this.#isReading || store === null) return;
    const toMs = Math.max(nowMs, this.#readToMs) + this.#spanMs;
    const wanted = this.#late;
    this.#late = [];
    const late = new Set(wanted);
    let soon = 0;
    this.#deadlines.forEachUpTo(toMs, (position) => {
      if (this.#copies.has(position) || late.has(position) || !store.isPagedOut(position)) return;
      wanted.push(position);
      soon++;
    });
    this.#adaptSpan(soon);
    if (wanted.length === 0) {
      this.#readToMs = toMs;
      return;
    }
    wanted.sort((a, b) => a - b);
    this.#isReading = true;
    const epoch = this.#epoch;
    store.fetch(
      wanted.filter((position, i) => i === 0 || wanted[i - 1] !== position),
      (placed) => {
        if (epoch === this.#epoch) this.#wasRead(placed, late, toMs);
        else for (const message of placed.messages) memory.release(message);
      },
    );
  }

  #wasRead({ messages, positions }: PlacedMessages, late: ReadonlySet<number>, toMs: number): void {
    this.#isReading = false;
    this.#readToMs = toMs;
    for (let i = 0; i < messages.length; i++) this.#copies.set(positions[i], messages[i]);
    for (const position of late) this.#expire(position);
    this.#expireLate();
    this.#parts.nextChanged();
  }

  /** The next read is to be of about the right number of messages. */
  #adaptSpan(count: number): void {
    const factor = Math.min(2, Math.max(0.25, READ_MESSAGES / Math.max(1, count)));
    this.#spanMs = Math.min(MOST_SPAN_MS, Math.max(FIRST_SPAN_MS, this.#spanMs * factor));
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
      this.#copies.delete(position);
      memory.release(copy);
    }
  }
}
