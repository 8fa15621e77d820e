// Takers of single messages (`basic.get`) who wait for the disk, first come, first served.
import type { Delivery } from './queue.ts';

/** A `get` that waits for the disk. */
export interface Getter {
  readonly noAck: boolean;
  readonly done: (delivery: Delivery | null) => void;
}

export class PendingGets {
  #getters: Getter[] = [];

  get isWaiting(): boolean {
    return this.#getters.length > 0;
  }

  add(getter: Getter): void {
    this.#getters.push(getter);
  }

  /** Serves those who wait until `serve` has nothing for the first of them. */
  serve(serve: (getter: Getter) => boolean): void {
    while (this.#getters.length > 0 && serve(this.#getters[0])) this.#getters.shift();
  }

  /** There is nothing left for those who wait. */
  answerEmpty(): void {
    const getters = this.#getters;
    this.#getters = [];
    for (const { done } of getters) done(null);
  }
}
