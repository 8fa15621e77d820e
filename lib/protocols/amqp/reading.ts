// Whether a connection's stream is read from. It is not while any reason holds it; the peer's TCP then does the rest.
import type { Duplex } from 'node:stream';

/** Reasons not to read, as bits. */
export const HELD_BY_ALARM = 1;
export const HELD_BY_OUTPUT = 2;

export class Reading {
  readonly #stream: Duplex;
  #reasons = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** True while the stream is not read from. */
  get held(): boolean {
    return this.#reasons !== 0;
  }

  hold(reason: number): void {
    if (this.#reasons === 0) this.#stream.pause();
    this.#reasons |= reason;
  }

  release(reason: number): void {
    if ((this.#reasons & reason) === 0) return;
    this.#reasons &= ~reason;
    if (this.#reasons === 0) this.#stream.resume();
  }
}
