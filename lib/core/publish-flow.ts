// Backpressure on publishers, without a word to them: what can't keep up with what is published holds the flow, and whoever
// publishes more of that is not read from until it lets go. Unlike an alarm this is a matter of moments, and normal.
import type { Message } from './message.ts';
import type { MessageTarget } from './queue.ts';

/** Reasons to hold publishers back, as bits. The log: those of what it is to keep. */
export const CONGESTED_BY_LOG = 1;
/** The writing of pages: those of large queues. */
export const CONGESTED_BY_PAGING = 2;
/** The memory that is filled meanwhile: all. */
export const CONGESTED_BY_MEMORY = 4;

/** A queue with so much in memory is a reason that pages are written. */
const LARGE_BYTES = 1024 * 1024;

export class PublishFlow {
  #reasons = 0;
  readonly #listeners = new Set<(congested: boolean) => void>();

  /** Somebody can't keep up: some publishers wait. */
  get congested(): boolean {
    return this.#reasons !== 0;
  }

  /** Whether who published this adds to what can't be kept up with. Others must not suffer for it: their messages are not in the way. */
  concerns(message: Message, targets: readonly MessageTarget[]): boolean {
    const reasons = this.#reasons;
    if ((reasons & CONGESTED_BY_MEMORY) !== 0) return true;
    for (const target of targets) {
      if ((reasons & CONGESTED_BY_LOG) !== 0 && target.logs(message)) return true;
      if ((reasons & CONGESTED_BY_PAGING) !== 0 && target.readyBytes >= LARGE_BYTES) return true;
    }
    return false;
  }

  /** Holds publishers back until the reason is released; nothing happens when it is held already. */
  hold(reason: number): void {
    const before = this.#reasons;
    this.#reasons |= reason;
    if (before === 0) this.#tell(true);
  }

  release(reason: number): void {
    const before = this.#reasons;
    this.#reasons &= ~reason;
    if (before !== 0 && this.#reasons === 0) this.#tell(false);
  }

  /** Tells `listener` of every change of `congested` until the returned function is called. */
  watch(listener: (congested: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(congested: boolean): void {
    for (const listener of this.#listeners) listener(congested);
  }
}
