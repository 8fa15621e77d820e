// Moves messages to pages: those of queues that hold more than their share of memory, and those that are all that is left in the
// oldest segment of the log. One job at a time; what it writes stays in memory until it is on disk.
import type { MemoryAccount } from '../core/memory-account.ts';
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import { byLevel, inOrder } from '../core/placed-messages.ts';
import { CONGESTED_BY_MEMORY, CONGESTED_BY_PAGING, type PublishFlow } from '../core/publish-flow.ts';
import type { DiskQueue } from './disk-queue.ts';
import { LogEntry } from './log-entry.ts';
import { PageRange } from './page.ts';
import type { PageFiles } from './page-files.ts';
import type { PageRun } from './page-index.ts';
import { gapsBetween } from './page-writer.ts';
import { filterPlaced } from './placed-messages.ts';
import { PositionSet } from './position-set.ts';
import type { Segment } from './segment.ts';

/**
 * Queues without consumers may fill so much of the budget: nobody waits for their messages. What consumers are about to get may
 * fill it all, since reading it again would slow them down.
 */
const IDLE_SHARE = 0.125;
/** Memory goes down to this share of what may be filled by all queues. */
const LOW_SHARE = 0.75;
/**
 * So much, or half of what queues without consumers may fill, leaves memory at a time. It is the latest messages, while they are young: with half of
 * it, whole queues at once, a flood to a queue without consumer cost its neighbours 8 ms at p99 instead of 2.7, and seven full collections a second
 * instead of one. (A persistent flood takes 1.08 times the CPU.)
 */
const JOB_BYTES = 4 * 1024 * 1024;
/** No job wants more than this: it is taken out of the queues in one turn. */
const MOST_JOB_BYTES = 16 * 1024 * 1024;
/** When nothing could be given up, it is worth another try when so many bytes more or less are used. */
const RETRY_BYTES = 4 * 1024 * 1024;
/** Entries are let go of in steps, so that a large page makes no long turn. */
const STEP_MESSAGES = 8192;

/** What one queue adds to a page. */
interface Part {
  readonly queue: DiskQueue;
  readonly placed: PlacedMessages;
  readonly range: PageRange;
}

export interface PagerOptions {
  readonly memory: MemoryAccount;
  readonly budgetBytes: number;
  readonly flow: PublishFlow;
  readonly pages: PageFiles;
  readonly queues: Iterable<DiskQueue>;
  /** Resolves when what was handed to the log is durable. */
  readonly flushLog: () => Promise<void>;
  /** Resolves when other work had its turn. */
  readonly breathe: () => Promise<void>;
  readonly failed: (error: unknown) => void;
  /** A job is over: what it freed can be cleaned up. */
  readonly done: () => void;
}

export class Pager {
  readonly #options: PagerOptions;
  #job: Promise<void> | null = null;
  /** With about so much in memory nothing could be given up. */
  #triedAt = -RETRY_BYTES;
  /** With more than this in memory publishers to large queues wait for the job to end; with another share of the idle, all. */
  #congestedAt = 0;
  readonly #idleBytes: number;
  #closed = false;

  constructor(options: PagerOptions) {
    this.#options = options;
    this.#idleBytes = options.budgetBytes * IDLE_SHARE;
    options.memory.setBudget(this.#idleBytes, () => this.#overBudget());
  }

  get isBusy(): boolean {
    return this.#job !== null;
  }

  /** Moves what is alive in a segment to pages. Does nothing when there is a job already. */
  relocate(segment: Segment): void {
    if (this.#job === null && !this.#closed) this.#start(() => this.#relocate(segment));
  }

  /** Runs a job of somebody else's that no other may overlap. */
  run(job: () => Promise<void>): void {
    if (this.#job === null && !this.#closed) this.#start(job);
  }

  /** Begins no more jobs and resolves when the last is over. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#job;
  }

  /** Memory is above what queues without consumers may fill. Called for every message then, so it must cost nothing. */
  #overBudget(): void {
    const { usedBytes } = this.#options.memory;
    if (this.#job !== null) {
      const { flow } = this.#options;
      if (usedBytes > this.#congestedAt) flow.hold(CONGESTED_BY_PAGING);
      if (usedBytes > this.#congestedAt + this.#idleBytes) flow.hold(CONGESTED_BY_MEMORY);
    } else if (!this.#closed && Math.abs(usedBytes - this.#triedAt) >= RETRY_BYTES) {
      this.#start(() => this.#relieve());
    }
  }

  #start(job: () => Promise<void>): void {
    this.#congestedAt = this.#options.memory.usedBytes + this.#idleBytes / 2;
    this.#job = job()
      .catch((error) => this.#options.failed(error))
      .then(() => {
        this.#job = null;
        this.#options.flow.release(CONGESTED_BY_PAGING | CONGESTED_BY_MEMORY);
        this.#options.done();
      });
  }

  async #relieve(): Promise<void> {
    const { memory, budgetBytes, breathe } = this.#options;
    // The message that crossed the budget is still on its way into its queue.
    await breathe();
    const { usedBytes } = memory;
    const parts: Part[] = [];
    if (usedBytes <= budgetBytes) {
      const low = this.#idleBytes - Math.min(JOB_BYTES, this.#idleBytes / 2);
      this.#giveUp(Math.min(usedBytes - low, MOST_JOB_BYTES), -1, true, parts);
    } else {
      const goal = Math.min(usedBytes - budgetBytes * LOW_SHARE, MOST_JOB_BYTES);
      const freed = this.#giveUp(goal, -1, false, parts);
      // Only what consumers get next is left: better read it again than run out of memory.
      if (freed < goal / 2) this.#giveUp(goal - freed, Infinity, false, parts);
    }
    this.#triedAt = parts.length === 0 ? usedBytes : -RETRY_BYTES;
    await this.#write(parts);
  }

  /** Makes queues give up messages, those with most first, until enough bytes come free; returns how many do. */
  #giveUp(goal: number, through: number, onlyIdle: boolean, parts: Part[]): number {
    let freed = 0;
    for (const queue of this.#largestFirst(onlyIdle)) {
      const before = queue.host.readyBytes;
      const placed = queue.host.giveUp(through, goal - freed);
      if (placed.messages.length === 0) continue;
      freed += before - queue.host.readyBytes;
      this.#addParts(queue, placed, false, parts);
      if (freed >= goal) break;
    }
    return freed;
  }

  /** The queues with most in memory first. When the first has enough, thousands of others are not sorted. */
  *#largestFirst(onlyIdle: boolean): Generator<DiskQueue> {
    const queues: DiskQueue[] = [];
    let most = 0;
    for (const queue of this.#options.queues) {
      const { host } = queue;
      if (host.readyBytes === 0 || (onlyIdle && !host.isIdle)) continue;
      queues.push(queue);
      if (host.readyBytes > queues[most].host.readyBytes) most = queues.length - 1;
    }
    if (queues.length === 0) return;
    const [largest] = queues.splice(most, 1);
    yield largest;
    yield* queues.sort((one, other) => other.host.readyBytes - one.host.readyBytes);
  }

  async #relocate(segment: Segment): Promise<void> {
    // A queue may be in the middle of what made the segment old, such as a purge.
    await this.#options.breathe();
    const parts: Part[] = [];
    const byQueue = survivors(segment);
    for (const [queue, placed] of byQueue) {
      // What waits in memory for long leaves it; the rest is with consumers, or came back from them, and stays.
      const through = placed.positions[placed.positions.length - 1];
      const ready = queue.host.giveUp(through);
      if (ready.messages.length > 0) this.#addParts(queue, ready, false, parts);
      const rest = filterPlaced(placed, (position) => !queue.isPaged(position));
      if (rest.messages.length > 0) this.#addParts(queue, rest, true, parts);
    }
    await this.#write(parts);
    // Whatever else was in a page already: nothing may keep the segment from going.
    for (const [queue, placed] of byQueue) await this.#letGo(queue, placed);
  }

  /** Makes ranges of messages that are to be written: no range holds positions of two levels. */
  #addParts(queue: DiskQueue, placed: PlacedMessages, resident: boolean, parts: Part[]): void {
    for (const level of byLevel(placed)) parts.push(this.#part(queue, level, resident));
  }

  /** Makes a range of messages that are to be written. `resident`: they stay in memory as well. */
  #part(queue: DiskQueue, placed: PlacedMessages, resident: boolean): Part {
    const { positions } = placed;
    const first = positions[0];
    const range = new PageRange(
      queue,
      first,
      positions[positions.length - 1],
      gapsBetween(positions) ?? new PositionSet(),
    );
    if (!resident) {
      range.held = placed;
      range.leaveMemory(first, 0, positions.length);
    }
    queue.addRange(range);
    return { queue, placed, range };
  }

  async #write(parts: Part[]): Promise<void> {
    parts.sort((a, b) => a.queue.id - b.queue.id || a.range.first - b.range.first);
    const transient = parts.filter(
      ({ queue, placed }) => !queue.isLogged || !placed.messages.some((m) => m.persistent),
    );
    const kept = new Set(transient);
    const durable = parts.filter((part) => !kept.has(part));
    if (durable.length > 0) await this.#writePage(durable, false);
    if (transient.length > 0) await this.#writePage(transient, true);
  }

  async #writePage(parts: readonly Part[], isTransient: boolean): Promise<void> {
    const { pages, flushLog, breathe } = this.#options;
    let runs: PageRun[] = [];
    const page = await pages.write(isTransient, async (writer) => {
      runs = [];
      for (const { queue, placed } of parts) runs.push(await writer.addRun(queue.id, placed, breathe));
    });
    // A page counts from the next checkpoint on, which relies on the log being as far as the page is.
    if (!isTransient) await flushLog();
    pages.pages.add(page);
    // All at once: a page whose first ranges end while others are still to come would be taken for an empty one.
    for (const [index, { range }] of parts.entries()) {
      range.placeIn(page, runs[index]);
    }
    for (const part of parts) this.#settle(part);
    for (const { queue, placed } of parts) await this.#letGo(queue, placed);
    if (page.ranges.size === 0) pages.ended(page, this.#options.failed);
  }

  /** The page is the home of a part from now on. */
  #settle({ queue, placed, range }: Part): void {
    const { held } = range;
    range.held = null;
    if (held !== null) for (const message of held.messages) this.#options.memory.release(message);
    queue.rangeWritten(range, placed.positions);
  }

  /** The log need not keep what is in a page. */
  async #letGo(queue: DiskQueue, { messages, positions }: PlacedMessages): Promise<void> {
    for (let i = 0; i < messages.length; i++) {
      const { stored } = messages[i];
      if (stored instanceof LogEntry) stored.drop(queue, positions[i]);
      if (i % STEP_MESSAGES === STEP_MESSAGES - 1) await this.#options.breathe();
    }
  }
}

/** What only this segment keeps safe, by queue and in order of the positions. Lets go of what deleted queues left. */
function survivors(segment: Segment): Map<DiskQueue, PlacedMessages> {
  const byQueue = new Map<DiskQueue, { messages: Message[]; positions: number[] }>();
  for (const entry of segment.entries) {
    for (const { queue, position } of [...entry.places()]) {
      const { message } = entry;
      if (message === null) break;
      if (queue.deleted) {
        entry.drop(queue, position);
        continue;
      }
      let placed = byQueue.get(queue);
      if (placed === undefined) {
        placed = { messages: [], positions: [] };
        byQueue.set(queue, placed);
      }
      placed.messages.push(message);
      placed.positions.push(position);
    }
  }
  // After a restart a segment has its entries in the order in which they were read: the newest record first.
  return new Map([...byQueue].map(([queue, { messages, positions }]) => [queue, inOrder(messages, positions)]));
}
