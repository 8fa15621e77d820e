// Messages that are added in any order of their positions and taken one by one, or anywhere: those that came back from consumers.
import type { Message } from './message.ts';

/** What was taken from the middle is left in the heap until it is the first, or until there is more of it than of the rest. */
const LEAST_STALE = 64;

/** Where a queue keeps what came back. */
export interface Returned {
  readonly size: number;
  /** The position of the first; Infinity when there is none. */
  readonly firstPosition: number;
  /** Whether the first goes before what stands at a position elsewhere. There is one. */
  precedes(position: number): boolean;
  has(position: number): boolean;
  /** @param first it was just taken, and is the first again */
  add(message: Message, position: number, first?: boolean): void;
  /** Takes the message at a position; undefined when none is. */
  take(position: number): Message | undefined;
  /** Takes out everything. */
  clear(each: (message: Message, position: number) => void): void;
}

/** In order of their positions. */
export class ReturnedMessages implements Returned {
  readonly #messages = new Map<number, Message>();
  /** A binary heap of positions; the first is never stale. */
  #heap: number[] = [];

  get size(): number {
    return this.#messages.size;
  }

  get firstPosition(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0];
  }

  precedes(position: number): boolean {
    return this.#heap[0] < position;
  }

  add(message: Message, position: number): void {
    if (this.#messages.has(position)) throw new Error(`position ${position} came back twice`);
    this.#messages.set(position, message);
    const heap = this.#heap;
    let at = heap.length;
    heap.push(position);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= position) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = position;
  }

  has(position: number): boolean {
    return this.#messages.has(position);
  }

  take(position: number): Message | undefined {
    const message = this.#messages.get(position);
    if (message === undefined) return undefined;
    this.#messages.delete(position);
    this.#dropStale();
    return message;
  }

  /** In order. */
  clear(each: (message: Message, position: number) => void): void {
    if (this.#messages.size === 0) return;
    const all = [...this.#messages].sort(([a], [b]) => a - b);
    this.#messages.clear();
    this.#heap = [];
    for (const [position, message] of all) each(message, position);
  }

  #dropStale(): void {
    const heap = this.#heap;
    const messages = this.#messages;
    if (heap.length > 2 * messages.size + LEAST_STALE) {
      // Sorted, it is a heap.
      this.#heap = [...messages.keys()].sort((a, b) => a - b);
      return;
    }
    while (heap.length > 0 && !messages.has(heap[0])) removeFirst(heap);
  }
}

/** In the order in which they came back, before everything else: as in RabbitMQ's quorum queues. */
export class ReturnedInTurn implements Returned {
  readonly #messages = new Map<number, Message>();
  /** Positions from `#first` on; the first of them is never stale. */
  #order: number[] = [];
  #first = 0;

  get size(): number {
    return this.#messages.size;
  }

  get firstPosition(): number {
    return this.#messages.size === 0 ? Infinity : this.#order[this.#first];
  }

  precedes(): boolean {
    return true;
  }

  has(position: number): boolean {
    return this.#messages.has(position);
  }

  add(message: Message, position: number, first = false): void {
    this.#messages.set(position, message);
    if (!first) this.#order.push(position);
    else if (this.#first > 0) this.#order[--this.#first] = position;
    else this.#order.unshift(position);
  }

  take(position: number): Message | undefined {
    const message = this.#messages.get(position);
    if (message === undefined) return undefined;
    this.#messages.delete(position);
    const order = this.#order;
    while (this.#first < order.length && !this.#messages.has(order[this.#first])) this.#first++;
    if (2 * this.#first > order.length + LEAST_STALE) {
      this.#order = order.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  clear(each: (message: Message, position: number) => void): void {
    const all = [...this.#messages];
    this.#messages.clear();
    this.#order = [];
    this.#first = 0;
    for (const [position, message] of all) each(message, position);
  }
}

function removeFirst(heap: number[]): void {
  const last = heap.pop();
  const size = heap.length;
  if (last === undefined || size === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= last) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
}
