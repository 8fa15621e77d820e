// Backpressure on publishers, without a word to them: what can't keep up with what is published holds the flow, and
// publishing connections are not read from until it lets go. Unlike an alarm this is a matter of moments, and normal.

/** Reasons to hold publishers back, as bits. */
export const CONGESTED_BY_LOG = 1;
export const CONGESTED_BY_PAGING = 2;

export class PublishFlow {
  #reasons = 0;
  readonly #listeners = new Set<(congested: boolean) => void>();

  /** Somebody can't keep up: publishers wait. */
  get congested(): boolean {
    return this.#reasons !== 0;
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
