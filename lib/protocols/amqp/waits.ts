// Channels that wait: for something to be durable before they say so, or for a message that is read from disk. Frames that
// come for such a channel are put off, and handled in order at the end of the turn in which it could answer; the other channels
// of the connection go on.
import type { FrameParser, FrameSink } from '../../../codec/frame-parser.ts';
import { FRAME_HEADER, FRAME_METHOD } from '../../../codec/generated/constants.ts';
import type { MemoryAccount } from '../../core/memory-account.ts';
import type { ChannelHost } from './channel-host.ts';
import type { ChannelTable } from './channel-table.ts';
import { HELD_BY_OUTPUT, HELD_BY_WAIT, type Input } from './input.ts';

/** When a connection has put off more than this, it is not read from. */
const MOST_PUT_OFF_BYTES = 1024 * 1024;
/** What a frame costs beside its bytes, so that many small ones count for what they are. */
const FRAME_OVERHEAD_BYTES = 128;
const SLAB_BYTES = 16 * 1024;
const NO_BUFFER: Buffer = Buffer.alloc(0);

/** A frame, or a piece of a body frame, with its bytes copied out of the chunk that they came in. */
interface PutOffFrame {
  readonly type: number;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** Of a piece of a body frame: the frame ends with it. */
  readonly last: boolean;
}

/** Frames in the order in which they came. */
export class PutOffFrames {
  #frames: PutOffFrame[] = [];
  #taken = 0;

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  push(frame: PutOffFrame): void {
    this.#frames.push(frame);
  }

  shift(): PutOffFrame | undefined {
    const frame = this.#frames[this.#taken];
    if (frame === undefined) return undefined;
    this.#taken++;
    // A client that always has something put off would else keep everything that it ever sent.
    if (2 * this.#taken >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#taken);
      this.#taken = 0;
    }
    return frame;
  }
}

/** One answer that a channel waits with. */
export class Wait {
  /** The answer was sent: what was put off is handled at the end of the turn. */
  over = false;
  frames: PutOffFrames | null = null;
}

/** What the channels of one connection have put off. */
export class Waits {
  readonly #input: Input;
  readonly #parser: Pick<FrameParser, 'hold'>;
  readonly #memory: MemoryAccount;
  readonly #channels: ChannelTable;
  readonly #host: FrameSink & Pick<ChannelHost, 'wrote'>;
  #bytes = 0;
  /** Numbers of the channels that go on at the end of the turn. */
  #due: number[] = [];
  #finishing = false;
  #slab = NO_BUFFER;
  #slabUsed = 0;

  constructor(
    input: Input,
    parser: Pick<FrameParser, 'hold'>,
    memory: MemoryAccount,
    channels: ChannelTable,
    host: FrameSink & Pick<ChannelHost, 'wrote'>,
  ) {
    this.#input = input;
    this.#parser = parser;
    this.#memory = memory;
    this.#channels = channels;
    this.#host = host;
  }

  /** True when there is something for `replay` to do. */
  get due(): boolean {
    return this.#due.length > 0;
  }

  /** Keeps a frame for later. */
  putOff(wait: Wait, type: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    const at = this.#reserve(end - start);
    buffer.copy(this.#slab, at, start, end);
    const frame = { type, buffer: this.#slab, start: at, end: at + end - start, last };
    wait.frames ??= new PutOffFrames();
    wait.frames.push(frame);
    this.#bytes += costOf(frame);
    this.#memory.adjust(costOf(frame));
    if (this.#bytes <= MOST_PUT_OFF_BYTES) return;
    this.#input.hold(HELD_BY_WAIT);
    this.#parser.hold();
  }

  /** A channel that has put frames off was answered. Whoever called back may be in the middle of something: the frames come later. */
  goOn(number: number): void {
    this.#due.push(number);
    this.#host.wrote();
  }

  /** Handles what was put off by channels that go on. */
  replay(): void {
    // A client that does not read its answers gets to ask no more.
    if (this.#due.length === 0 || this.#input.isHeldBy(HELD_BY_OUTPUT)) return;
    const due = this.#due;
    this.#due = [];
    for (const number of due) this.#replay(number);
  }

  /** The client closes the connection. What it sent before is handled first, as ever, but no answer is awaited any more. */
  finish(): void {
    this.#finishing = true;
    for (const number of this.#channels.numbers()) this.#replay(number);
  }

  /** A channel ends: what it has put off is forgotten. */
  drop(wait: Wait): void {
    for (let frame = wait.frames?.shift(); frame !== undefined; frame = wait.frames?.shift()) this.#done(frame);
  }

  #replay(number: number): void {
    const frames = this.#channels.find(number)?.takePutOff() ?? null;
    if (frames === null) return;
    for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
      this.#handle(number, frame);
      this.#done(frame);
      // Not always the channel of before: the client may have closed that and opened it again.
      const channel = this.#channels.find(number);
      if (channel === undefined) continue;
      if (this.#finishing) {
        channel.takePutOff();
        continue;
      }
      const isHeld = this.#input.isHeldBy(HELD_BY_OUTPUT);
      if (frames.isEmpty || !(channel.isWaiting || isHeld)) continue;
      if (!channel.isWaiting) this.#due.push(number);
      channel.putOffAgain(frames);
      return;
    }
  }

  /** As if the frame had just come: with what that does for errors, too. */
  #handle(number: number, { type, buffer, start, end, last }: PutOffFrame): void {
    if (type === FRAME_METHOD) this.#host.onMethod(number, buffer, start, end);
    else if (type === FRAME_HEADER) this.#host.onHeader(number, buffer, start, end);
    else this.#host.onBody(number, buffer, start, end, last);
  }

  /** Only now, when queues have counted what they made of it: the memory alarm does not flicker. */
  #done(frame: PutOffFrame): void {
    this.#bytes -= costOf(frame);
    this.#memory.adjust(-costOf(frame));
    if (this.#bytes <= MOST_PUT_OFF_BYTES / 2) this.#input.release(HELD_BY_WAIT);
    if (this.#bytes > 0) return;
    this.#slab = NO_BUFFER;
    this.#slabUsed = 0;
  }

  /** Makes room in a slab: messages are made of these bytes, so they are never written to again. */
  #reserve(size: number): number {
    if (this.#slabUsed + size > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, size));
      this.#slabUsed = 0;
    }
    const at = this.#slabUsed;
    this.#slabUsed += size;
    return at;
  }
}

function costOf({ start, end }: PutOffFrame): number {
  return FRAME_OVERHEAD_BYTES + end - start;
}
