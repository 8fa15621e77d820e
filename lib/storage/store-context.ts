// What queues ask of the store. It is made before the store, since recovery makes queues.
import type { MemoryAccount } from '../core/memory-account.ts';
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import type { Clock } from '../core/ports.ts';
import type { DiskQueue, DiskQueueContext } from './disk-queue.ts';
import type { LogEntry } from './log-entry.ts';
import type { PageRange } from './page.ts';
import type { RangeRead } from './page-reader.ts';
import { RouteTable } from './route-table.ts';

/** The store as its queues know it. */
export interface StoreOfQueues {
  append(entry: LogEntry, bytes: number): void;
  touch(queue: DiskQueue): void;
  changed(): void;
  whenDurable(done: () => void): void;
  queueDeleted(queue: DiskQueue): void;
  rangeEnded(range: PageRange): void;
  read(range: PageRange): Promise<RangeRead | null>;
  fetch(range: PageRange, positions: readonly number[]): Promise<PlacedMessages | null>;
}

export class StoreContext implements DiskQueueContext {
  readonly routes = new RouteTable();
  readonly defect: (error: unknown) => void;
  readonly #memory: MemoryAccount;
  readonly #clock: Clock;
  /** Set as soon as there is one; before that nothing is asked but by recovery, which is what would answer. */
  store: StoreOfQueues | null = null;

  constructor(memory: MemoryAccount, clock: Clock, defect: (error: unknown) => void) {
    this.defect = defect;
    this.#memory = memory;
    this.#clock = clock;
  }

  append(entry: LogEntry, bytes: number): void {
    this.store?.append(entry, bytes);
  }

  touch(queue: DiskQueue): void {
    this.store?.touch(queue);
  }

  changed(): void {
    this.store?.changed();
  }

  whenDurable(done: () => void): void {
    this.store?.whenDurable(done);
  }

  deleted(queue: DiskQueue): void {
    this.store?.queueDeleted(queue);
  }

  rangeEnded(range: PageRange): void {
    this.store?.rangeEnded(range);
  }

  async read(range: PageRange): Promise<RangeRead | null> {
    return this.store?.read(range) ?? null;
  }

  async fetch(range: PageRange, positions: readonly number[]): Promise<PlacedMessages | null> {
    return this.store?.fetch(range, positions) ?? null;
  }

  soon(task: () => void): void {
    this.#clock.endOfTurn(task);
  }

  retain(message: Message): void {
    this.#memory.retain(message);
  }

  release(message: Message): void {
    this.#memory.release(message);
  }
}
