// Heartbeats of one connection, driven by a clock that ticks about once a second: when to send one, and when the peer has been
// silent for too long. No timer and no look at the clock per frame.
import { HEARTBEAT_FRAME } from '../../../codec/frame-writer.ts';

export class Heartbeat {
  readonly #intervalMs: number;
  #lastReceivedAt: number;
  #lastSentAt: number;
  #bytesWritten = 0;

  /** @param intervalSeconds as negotiated; 0 is off */
  constructor(intervalSeconds: number, now: number) {
    this.#intervalMs = intervalSeconds * 1000;
    this.#lastReceivedAt = now;
    this.#lastSentAt = now;
  }

  /**
   * @param bytesWritten all bytes given to the stream so far
   * @param alive whether the peer gave a sign of life since the last tick
   */
  tick(now: number, bytesWritten: number, alive: boolean): 'nothing' | 'send' | 'dead' {
    if (this.#intervalMs === 0) return 'nothing';
    if (alive) {
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
    // The heartbeat itself must not put off the next one: with a short interval that would be a tick too late.
    this.#bytesWritten = bytesWritten + HEARTBEAT_FRAME.length;
    return 'send';
  }
}
