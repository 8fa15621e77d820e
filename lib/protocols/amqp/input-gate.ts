// Hands on what a stream reads, never in the middle of something else: a stream in memory may answer a write before the
// write returns, and the broker, still writing, must not take that answer yet. It knows no frames.

/** Whether the broker is writing to a stream right now. */
export interface WriteState {
  readonly writing: boolean;
}

export class InputGate {
  readonly #state: WriteState;
  readonly #take: (chunk: Buffer) => void;
  readonly #waiting: Buffer[] = [];
  #taking = false;

  /** @param take gets the chunks in order, one at a time; it must not throw */
  constructor(state: WriteState, take: (chunk: Buffer) => void) {
    this.#state = state;
    this.#take = take;
  }

  receive(chunk: Buffer): void {
    if (this.#taking || this.#state.writing || this.#waiting.length > 0) {
      // A tick, since it must come before the 'end' that may follow the chunk.
      if (this.#waiting.push(chunk) === 1) process.nextTick(() => this.#takeWaiting());
      return;
    }
    this.#taking = true;
    this.#take(chunk);
    this.#taking = false;
  }

  #takeWaiting(): void {
    this.#taking = true;
    for (const chunk of this.#waiting) this.#take(chunk);
    this.#waiting.length = 0;
    this.#taking = false;
  }
}
