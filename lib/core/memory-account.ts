// Counts the bytes that messages hold and raises the memory alarm. It counts instead of asking the operating system, so
// that the alarm comes with the very message that crosses the limit and goes as soon as consumers made room.

import type { Message } from './message.ts';

/** What a message costs beside its bytes: its object and its place in the first queue. Measured on Node 20. */
export const MESSAGE_OVERHEAD_BYTES = 256;
/** What it costs to stand in one more queue. */
const REFERENCE_BYTES = 24;
/** What a delivery costs that waits for its acknowledgement. */
const DELIVERY_BYTES = 96;
/** What a route costs beside twice its names, which are kept as bytes and as strings. */
const ROUTE_BYTES = 320;

/** The alarm clears below this share of the limit, so that it does not flicker. */
const CLEAR_SHARE = 0.95;

/** The share of V8's heap that messages' objects may fill; the rest is for everything else. */
const HEAP_SHARE = 0.7;

/** Called when the alarm is raised (true) or cleared (false). */
export type AlarmListener = (raised: boolean) => void;

export class MemoryAccount {
  /** The limit in bytes; the alarm is raised above it. */
  readonly limitBytes: number;
  readonly #heapLimitBytes: number;
  readonly #listeners = new Set<AlarmListener>();
  /** Bytes in buffers, which live outside V8's heap. */
  #bufferBytes = 0;
  #heapBytes = 0;
  #raised = false;
  #budgetBytes = Infinity;
  #overBudget: () => void = () => {};

  /**
   * @param limitBytes bytes of messages, overhead included, above which the alarm is raised
   * @param heapLimitBytes V8's heap limit: messages' objects live there whatever `limitBytes` says
   */
  constructor(limitBytes: number, heapLimitBytes: number) {
    this.limitBytes = limitBytes;
    this.#raised = limitBytes <= 0;
    this.#heapLimitBytes = Math.floor(heapLimitBytes * HEAP_SHARE);
  }

  /** Bytes that messages hold now, their overhead included. */
  get usedBytes(): number {
    return this.#bufferBytes + this.#heapBytes;
  }

  get raised(): boolean {
    return this.#raised;
  }

  /** Calls `overBudget` for whatever is added while more than `bytes` are used: what could leave memory should. */
  setBudget(bytes: number, overBudget: () => void): void {
    this.#budgetBytes = bytes;
    this.#overBudget = overBudget;
  }

  /** Tells `listener` of every change of the alarm until the returned function is called. */
  watch(listener: AlarmListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A queue or a transaction takes hold of a message. Its bytes are counted once, however many do. */
  retain(message: Message): void {
    if (message.references++ > 0) {
      this.#heapBytes += REFERENCE_BYTES;
    } else {
      const { route } = message;
      if (route.messages++ === 0) this.#heapBytes += ROUTE_BYTES + 2 * route.bytes.length;
      this.#bufferBytes += message.size;
      this.#heapBytes += MESSAGE_OVERHEAD_BYTES;
    }
    const used = this.#bufferBytes + this.#heapBytes;
    if (used > this.#budgetBytes) this.#overBudget();
    if (!this.#raised) this.#check();
  }

  /** One that took hold of a message lets it go. */
  release(message: Message): void {
    if (--message.references > 0) {
      this.#heapBytes -= REFERENCE_BYTES;
    } else {
      const { route } = message;
      if (--route.messages === 0) this.#heapBytes -= ROUTE_BYTES + 2 * route.bytes.length;
      this.#bufferBytes -= message.size;
      this.#heapBytes -= MESSAGE_OVERHEAD_BYTES;
    }
    if (this.#raised) this.#check();
  }

  /** A message was delivered and waits for its acknowledgement. */
  delivered(): void {
    this.#heapBytes += DELIVERY_BYTES;
  }

  /** A delivery was settled. */
  settled(): void {
    this.#heapBytes -= DELIVERY_BYTES;
  }

  /** Bytes that belong to no message yet (a body still arriving): positive to add, negative to give back. */
  adjust(bytes: number): void {
    this.#bufferBytes += bytes;
    this.#check();
  }

  #check(): void {
    const used = this.#bufferBytes + this.#heapBytes;
    if (this.#raised) {
      if (used >= this.limitBytes * CLEAR_SHARE || this.#heapBytes >= this.#heapLimitBytes * CLEAR_SHARE) return;
      this.#set(false);
    } else if (used > this.limitBytes || this.#heapBytes > this.#heapLimitBytes) {
      this.#set(true);
    }
  }

  #set(raised: boolean): void {
    this.#raised = raised;
    for (const listener of this.#listeners) listener(raised);
  }
}
