// What a connection does once per turn of the event loop, and how it minds a client that does not read: consumers pause, and
// in the end the client is not read from either.
import type { FrameParser } from '../../../codec/frame-parser.ts';
import type { TurnScheduler, TurnTask } from '../../core/turn.ts';
import type { Channel } from './channel.ts';
import type { ChannelTable } from './channel-table.ts';
import { HELD_BY_OUTPUT, type Input } from './input.ts';
import type { OutputBuffer } from './output-buffer.ts';
import type { Waits } from './waits.ts';

/**
 * More bytes of answers than this waiting for the client, and it gets to ask no more until it reads. Deliveries, which pause by
 * themselves, don't count: a client that takes long for a large one must still be heard.
 */
const UNREAD_BYTES = 4 * 1024 * 1024;

/** The parts of a connection that its turns move. */
export interface TurnParts {
  readonly scheduler: TurnScheduler;
  readonly output: OutputBuffer;
  readonly input: Input;
  readonly parser: Pick<FrameParser, 'hold'>;
  readonly channels: ChannelTable;
  readonly waits: Waits;
  /** Closes the connection for a defect. */
  readonly failed: (error: unknown) => void;
}

export class ConnectionTurn implements TurnTask {
  readonly #parts: TurnParts;
  readonly #output: OutputBuffer;
  readonly #input: Input;
  readonly #waits: Waits;
  #added = false;
  #stopped = false;
  /** Channels with something to say. */
  #ending: Channel[] = [];
  /** The client reads too slowly, or got its share of this turn: consumers wait. */
  congested = false;
  #congestedAt = 0;

  constructor(parts: TurnParts) {
    this.#parts = parts;
    this.#output = parts.output;
    this.#input = parts.input;
    this.#waits = parts.waits;
  }

  /** Something was written. */
  wrote(): void {
    if (this.#output.congested) this.#congest();
    if (this.#added) return;
    this.#added = true;
    this.#parts.scheduler.add(this);
  }

  atEndOfTurn(channel: Channel): void {
    this.#ending.push(channel);
    this.wrote();
  }

  drained(): void {
    if (this.congested && !this.#stopped) this.wrote();
  }

  /** The connection is over. */
  stop(): void {
    this.#stopped = true;
  }

  endTurn(): void {
    if (this.#stopped) return;
    if (this.#ending.length > 0) this.#endChannels();
    if (this.#waits.due) {
      this.#waits.replay();
      this.#endChannels();
    }
    this.#output.endTurn();
    // From here on, what is written belongs to the next turn.
    this.#added = false;
    if (this.#output.congested) this.#congest();
    else this.#relax();
  }

  turnFailed(error: unknown): void {
    this.#added = false;
    this.#parts.failed(error);
  }

  #endChannels(): void {
    const channels = this.#ending;
    this.#ending = [];
    for (const channel of channels) channel.endTurn();
  }

  #congest(): void {
    if (!this.congested) {
      this.congested = true;
      this.#congestedAt = this.#output.bytesWritten;
      this.#parts.channels.pause();
    } else if (this.#output.bytesWritten - this.#congestedAt > UNREAD_BYTES) {
      this.#input.hold(HELD_BY_OUTPUT);
      this.#parts.parser.hold();
    }
  }

  #relax(): void {
    this.#input.release(HELD_BY_OUTPUT);
    // What was put off went no further while nobody read the answers to it.
    if (this.#waits.due) this.wrote();
    if (!this.congested) return;
    this.congested = false;
    this.#parts.channels.resume();
  }
}
