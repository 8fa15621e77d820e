// Publishes that were encoded beforehand, one behind the other: before they are written again only their sequence numbers change.
import { encodeContentFrames, encodeMethodFrame } from '../../codec/frame-writer.ts';
import * as methods from '../../codec/generated/methods.ts';
import { type BasicProperties, encodeProperties } from '../../codec/properties.ts';
import { FRAME_MAX } from './client.ts';

/** What a publish is made of. Its body begins with a sequence number. */
export interface Publish {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties?: BasicProperties;
  readonly bodySize: number;
}

/** The least room for a sequence number, and for the time that may stand behind it. */
export const SEQUENCE_BYTES = 4;
export const STAMP_BYTES = 12;

/** The frames of all publishes that one write takes have about this many bytes. */
const WRITE_BYTES = 65_536;

interface Encoded {
  readonly bytes: Buffer;
  readonly bodyAt: number;
}

function encode({ exchange, routingKey, properties = {}, bodySize }: Publish): Encoded {
  const method = { id: methods.BASIC_PUBLISH, exchange, routingKey, mandatory: false, immediate: false } as const;
  const methodFrame = encodeMethodFrame(1, method);
  const encoded = encodeProperties(properties);
  const content = encodeContentFrames(1, encoded, Buffer.alloc(bodySize, 'x'), FRAME_MAX);
  // A content header frame around the properties, and the head of the first body frame.
  return { bytes: Buffer.concat([methodFrame, content]), bodyAt: methodFrame.length + 20 + encoded.length + 7 };
}

/** Messages in a ring of bytes, the first behind the last. */
export class PublishReel {
  readonly #bytes: Buffer;
  /** Where each message begins, and where the last one ends. */
  readonly #starts: Uint32Array;
  readonly #bodies: Uint32Array;
  readonly #length: number;
  #next = 0;

  /**
   * @param publishes what is published in turn
   * @param least at least so many messages are in the ring
   * @param leastBytes and at least so many bytes
   */
  constructor(publishes: readonly Publish[], least = 1, leastBytes = WRITE_BYTES) {
    const encoded = publishes.map(encode);
    const round = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const rounds = Math.ceil(Math.max(1, leastBytes / round, least / publishes.length));
    this.#length = rounds * encoded.length;
    this.#bytes = Buffer.allocUnsafeSlow(rounds * round);
    this.#starts = new Uint32Array(this.#length + 1);
    this.#bodies = new Uint32Array(this.#length);
    let at = 0;
    for (let i = 0; i < this.#length; i++) {
      const { bytes, bodyAt } = encoded[i % encoded.length];
      this.#bytes.set(bytes, at);
      this.#bodies[i] = at + bodyAt;
      at += bytes.length;
      this.#starts[i + 1] = at;
    }
  }

  /**
   * The next messages of the ring: at most `most`, as many as make one good write, and none beyond the ring's end. They get sequence
   * numbers from `first` on. The bytes before them must have left.
   */
  take(first: number, most: number): { readonly bytes: Buffer; readonly count: number } {
    const start = this.#next;
    const from = this.#starts[start];
    let end = start;
    while (end < this.#length && end - start < most && (end === start || this.#starts[end + 1] - from <= WRITE_BYTES)) {
      this.#bytes.writeUInt32BE(first + end - start, this.#bodies[end]);
      end++;
    }
    this.#next = end === this.#length ? 0 : end;
    return { bytes: this.#bytes.subarray(from, this.#starts[end]), count: end - start };
  }

  /** As `take` of one message, with the time in milliseconds behind the sequence number. */
  takeStamped(sequence: number, timeMs: number): Buffer {
    this.#bytes.writeDoubleBE(timeMs, this.#bodies[this.#next] + SEQUENCE_BYTES);
    return this.take(sequence, 1).bytes;
  }
}
