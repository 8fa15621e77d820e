// Whether the peer of a connection is alive, and when it must hear from us: heartbeats, and what stands for them.
import type { Duplex } from 'node:stream';
import { Heartbeat } from './heartbeat.ts';
import { HELD_BY_ALARM, HELD_BY_FLOW, HELD_BY_WAIT, type Input } from './input.ts';
import type { OutputBuffer } from './output-buffer.ts';

export class Liveness {
  readonly #stream: Duplex;
  readonly #input: Input;
  readonly #output: OutputBuffer;
  /** Undefined when heartbeats are off. */
  #heartbeat: Heartbeat | undefined;
  /** Bytes that waited for the client at the last tick. */
  #unread = 0;

  constructor(stream: Duplex, input: Input, output: OutputBuffer) {
    this.#stream = stream;
    this.#input = input;
    this.#output = output;
  }

  /** @param intervalSeconds as negotiated; 0 is off */
  start(intervalSeconds: number, now: number): void {
    if (intervalSeconds > 0) this.#heartbeat = new Heartbeat(intervalSeconds, now);
  }

  /** Called about once a second. 'send' asks for a heartbeat; 'dead' says that the peer has been silent for too long. */
  tick(now: number): 'nothing' | 'send' | 'dead' {
    const isAlive = this.#isAlive();
    if (this.#heartbeat === undefined) return 'nothing';
    const beat = this.#heartbeat.tick(now, this.#output.bytesWritten, isAlive);
    // A client with unread bytes has no use for one more.
    return beat === 'send' && this.#stream.writableNeedDrain ? 'nothing' : beat;
  }

  /** Whether there is a sign of life since the last tick, or none can be expected. */
  #isAlive(): boolean {
    const input = this.#input;
    const { received } = input;
    input.received = false;
    input.sip();
    // One that is read no more, as too much of what it sent waits, shows life by reading what waits for it.
    const unread = this.#stream.writableLength;
    const reads = input.full && unread !== this.#unread;
    this.#unread = unread;
    // The heartbeats of a client that is held back by us may stand behind what it can't send.
    return received || reads || input.isHeldBy(HELD_BY_ALARM | HELD_BY_FLOW | HELD_BY_WAIT);
  }
}
