// Which publishes of a session were taken responsibility for, and how to say so in few words: confirms are gathered and
// leave as `multiple` acknowledgements once per turn.

/** Where confirms go. */
export interface ConfirmSink {
  confirm(tag: number, multiple: boolean): void;
  refuse(tag: number): void;
}

export class PublisherConfirms {
  #last = 0;
  /** Every tag up to here is settled. */
  #floor = 0;
  /** Up to here everything was told. */
  #toldFloor = 0;
  /** The highest tag up to the floor that was accepted and not told by itself: the one that a `multiple` may name. */
  #accepted = 0;
  /** Settled tags above the floor, and whether they were accepted and are still to be told. */
  readonly #ahead = new Map<number, boolean>();
  /** Accepted tags above the floor that were not sent yet. */
  #aheadUnsent: number[] = [];
  #refused: number[] = [];

  /** The tag of the next publish: 1, 2, 3... */
  open(): number {
    return ++this.#last;
  }

  /** Settles a tag, in any order. */
  settle(tag: number, accepted: boolean): void {
    if (!accepted) this.#refused.push(tag);
    if (tag !== this.#floor + 1) {
      this.#ahead.set(tag, accepted);
      if (accepted) this.#aheadUnsent.push(tag);
      return;
    }
    this.#advance(accepted);
    if (this.#ahead.size === 0) return;
    for (let next = this.#ahead.get(this.#floor + 1); next !== undefined; next = this.#ahead.get(this.#floor + 1)) {
      this.#ahead.delete(this.#floor + 1);
      this.#advance(next);
    }
  }

  /** Says what was settled since the last call: refusals one by one, then the rest in as few confirms as possible. */
  flush(sink: ConfirmSink): void {
    if (this.#refused.length > 0) {
      for (const tag of this.#refused) sink.refuse(tag);
      this.#refused = [];
    }
    const accepted = this.#accepted;
    if (accepted > this.#toldFloor) sink.confirm(accepted, accepted - this.#toldFloor > 1);
    this.#toldFloor = this.#floor;
    if (this.#aheadUnsent.length > 0) {
      for (const tag of this.#aheadUnsent) {
        // Those up to the floor were told with it.
        if (tag <= this.#floor) continue;
        sink.confirm(tag, false);
        // A `multiple` that stands for those before it must not name it once more.
        this.#ahead.set(tag, false);
      }
      this.#aheadUnsent = [];
    }
  }

  #advance(accepted: boolean): void {
    this.#floor++;
    if (accepted) this.#accepted = this.#floor;
  }
}
