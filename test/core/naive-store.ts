// A disk for one queue that keeps everything in arrays and answers when it is told to.
import assert from 'node:assert/strict';
import type { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import type { PlacedMessages, QueueStore, StoredQueue } from '../../lib/core/message-store.ts';
import type { Confirmation } from '../../lib/core/queue.ts';
import { bodyText } from './helper.ts';

interface Placed {
  readonly message: Message;
  readonly position: number;
}

interface Fetch {
  readonly positions: readonly number[];
  readonly done: (placed: PlacedMessages) => void;
}

export class NaiveStore implements QueueStore {
  readonly queue: StoredQueue;
  /** Charged with what is in memory, as by the store of a broker. */
  readonly #memory: MemoryAccount;
  /** What is on disk alone, in order. */
  paged: Placed[] = [];
  readonly log: string[] = [];
  loads = 0;
  /** Messages that are to survive a restart, by position. */
  readonly alive = new Map<number, string>();
  /** Those who wait for their messages to be safe; told at once if it is null. */
  unconfirmed: Confirmation[] | null = null;
  /** Hears of each message that leaves its place for good, but for those of a purge or a deletion that are on disk alone. */
  onLeft: ((message: Message, position: number, wasOnDisk: boolean) => void) | null = null;
  #isLoading = false;
  #isDeleted = false;
  #fetches: Fetch[] = [];

  constructor(queue: StoredQueue, memory: MemoryAccount) {
    this.queue = queue;
    this.#memory = memory;
  }

  get pagedCount(): number {
    return this.paged.length;
  }

  get nextPaged(): number {
    return this.paged[0]?.position ?? Infinity;
  }

  get isLoading(): boolean {
    return this.#isLoading;
  }

  /** Something was asked for and not answered. */
  get isBusy(): boolean {
    return this.#isLoading || this.#fetches.length > 0;
  }

  add(message: Message, position: number, confirmation: Confirmation | null): void {
    this.log.push(`add ${bodyText(message)} at ${position}`);
    assert.ok(!this.alive.has(position), 'a position is used once');
    this.alive.set(position, bodyText(message));
    if (confirmation === null) return;
    if (this.unconfirmed === null) confirmation.settled(true);
    else this.unconfirmed.push(confirmation);
  }

  remove(message: Message, position: number): void {
    this.log.push(`remove ${bodyText(message)} at ${position}`);
    this.#leaves(message, position);
  }

  moved(message: Message, position: number): void {
    this.log.push(`move ${bodyText(message)} at ${position}`);
    this.#leaves(message, position);
  }

  delivered(): void {}

  returned(position: number): void {
    this.log.push(`return ${this.alive.get(position)} at ${position}: ${this.queue.deliveryCounts.get(position)}`);
  }

  load(): void {
    this.loads++;
    if (this.paged.length > 0) this.#isLoading = true;
  }

  purge(): number {
    for (const { position } of this.paged) this.alive.delete(position);
    this.#isLoading = false;
    return this.paged.splice(0).length;
  }

  isPagedOut(position: number): boolean {
    return this.paged.some((placed) => placed.position === position);
  }

  drop(position: number): void {
    const at = this.paged.findIndex((placed) => placed.position === position);
    assert.ok(at >= 0, `${position} is on disk alone`);
    const [{ message }] = this.paged.splice(at, 1);
    this.log.push(`drop ${bodyText(message)} at ${position}`);
    this.#leaves(message, position, true);
  }

  fetch(positions: readonly number[], done: (placed: PlacedMessages) => void): void {
    assert.ok(positions.length > 0 && positions.every((position, i) => i === 0 || positions[i - 1] < position));
    this.#fetches.push({ positions, done });
  }

  delete(): void {
    this.#isDeleted = true;
    this.purge();
    this.#fetches = [];
  }

  /** The queue gives up what it can: all, or what its consumers don't get next, about so many bytes of it. */
  pageOut(all = false, bytes?: number): void {
    const { messages, positions } = this.queue.giveUp(all ? Number.MAX_SAFE_INTEGER : -1, bytes);
    for (const [i, message] of messages.entries()) {
      assert.ok(i === 0 || positions[i - 1] < positions[i], 'in order');
      this.paged.push({ message: message.copy(), position: positions[i] });
      this.#memory.release(message);
    }
    this.paged.sort((a, b) => a.position - b.position);
  }

  /** What was asked for has been read. */
  answer(count: number): void {
    this.#isLoading = false;
    this.queue.loaded(this.#read(this.paged.splice(0, count)));
  }

  /** The copies that were asked for first have been read. */
  answerFetch(): void {
    const next = this.#fetches.shift();
    next?.done(this.#read(this.paged.filter(({ position }) => next.positions.includes(position))));
  }

  /** Everything so far is safe. */
  confirm(): void {
    for (const confirmation of this.unconfirmed?.splice(0) ?? []) confirmation.settled(true);
  }

  #leaves(message: Message, position: number, wasOnDisk = false): void {
    assert.equal(this.alive.get(position) ?? bodyText(message), bodyText(message));
    this.alive.delete(position);
    if (!this.#isDeleted) this.onLeft?.(message, position, wasOnDisk);
  }

  #read(placed: readonly Placed[]): PlacedMessages {
    const messages = placed.map(({ message }) => message.copy());
    for (const message of messages) this.#memory.retain(message);
    return { messages, positions: placed.map(({ position }) => position) };
  }
}
