// Heartbeats of one connection, driven by a clock that ticks about once a second: when to send one, and when the peer has been
// silent for too long. No timer and no look at the clock per frame.

export class Heartbeat {
  readonly #intervalMs: number;
  #lastReceivedAt: number;
  #lastSentAt: number;
  #bytesWritten = 0;
  /** Set whenever bytes came in; the tick takes it. */
  received = false;

  /** @param intervalSeconds as negotiated; 0 is off */
  constructor(intervalSeconds: number, now: number) {
    this.#intervalMs = intervalSeconds * 1000;
    this.#lastReceivedAt = now;
    this.#lastSentAt = now;
  }

  /**
   * @param bytesWritten all bytes given to the stream so far
   * @param listening false while the connection is not read from: the peer can't be heard then
   */
  tick(now: number, bytesWritten: number, listening: boolean): 'nothing' | 'send' | 'dead' {
    if (this.#intervalMs === 0) return 'nothing';
    if (this.received || !listening) {
      this.received = false;
      this.#lastReceivedAt = now;
    } else if (now - this.#lastReceivedAt > 2 * this.#intervalMs) {
      return 'dead';
    }
    if (bytesWritten !== this.#bytesWritten) {
      this.#bytesWritten = bytesWritten;
      this.#lastSentAt = now;
      return 'nothing';
    }
    if (now - this.#lastSentAt < this.#intervalMs / 2) return 'nothing';
    this.#lastSentAt = now;
    return 'send';
  }
}
