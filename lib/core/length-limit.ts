// How much is ready in a queue, and how much may be: max-length, max-length-bytes and overflow. Only ready messages count, and of
// those the bodies. See https://www.rabbitmq.com/docs/maxlength
import type { Message } from './message.ts';
import type { Overflow, QueueFeatures } from './queue-features.ts';

export class LengthLimit {
  #maxMessages = Infinity;
  #maxBytes = Infinity;
  #overflow: Overflow = 'drop-head';
  /** Bytes of ready bodies in memory. */
  #bytes = 0;
  /** Bytes of ready bodies that are on disk alone. */
  #pagedBytes = 0;

  constructor(features: QueueFeatures) {
    this.configure(features);
  }

  configure({ maxLength, maxLengthBytes, overflow }: QueueFeatures): void {
    this.#maxMessages = maxLength;
    this.#maxBytes = maxLengthBytes;
    this.#overflow = overflow;
  }

  /** There is a limit, and the first messages go when it is exceeded. */
  get dropsFirst(): boolean {
    return this.#overflow === 'drop-head' && (this.#maxMessages !== Infinity || this.#maxBytes !== Infinity);
  }

  /** Messages are refused when there are too many; the first stay. */
  get mayRefuse(): boolean {
    return this.#overflow !== 'drop-head';
  }

  /** True when a queue with `ready` messages must refuse this one more. Only if it may refuse any. */
  refuses(message: Message, ready: number): boolean {
    return ready + 1 > this.#maxMessages || this.#bytes + this.#pagedBytes + message.bodySize > this.#maxBytes;
  }

  /** True when a queue with `ready` messages must drop its first. */
  isExceeded(ready: number): boolean {
    if (this.#overflow !== 'drop-head') return false;
    return ready > this.#maxMessages || this.#bytes + this.#pagedBytes > this.#maxBytes;
  }

  added(message: Message): void {
    this.#bytes += message.bodySize;
  }

  removed(message: Message): void {
    this.#bytes -= message.bodySize;
  }

  /** The queue has messages from before a restart, with so many bytes of bodies, which are still to be loaded. */
  recovered(bytes: number): void {
    this.#pagedBytes = bytes;
  }

  /** Messages left memory for the disk. */
  gaveUp(messages: readonly Message[]): void {
    const bytes = bodyBytes(messages);
    this.#bytes -= bytes;
    this.#pagedBytes += bytes;
  }

  /** Messages came from the disk. `isLast`: nothing is on disk alone any more. */
  loaded(messages: readonly Message[], isLast: boolean): void {
    const bytes = bodyBytes(messages);
    this.#bytes += bytes;
    // Bytes on disk were counted only where they were limited when the broker started.
    this.#pagedBytes = isLast ? 0 : Math.max(0, this.#pagedBytes - bytes);
  }

  /**
   * A message left the disk without being loaded.
   * @param message null when its size is not known, as it does not matter now: it counts like the others there, since a limit may follow
   * @param left how many are still on disk alone
   */
  dropped(message: Message | null, left: number): void {
    const bytes = message?.bodySize ?? this.#pagedBytes / (left + 1);
    this.#pagedBytes = left === 0 ? 0 : Math.max(0, this.#pagedBytes - bytes);
  }

  /** No message is ready any more. */
  clear(): void {
    this.#bytes = this.#pagedBytes = 0;
  }
}

function bodyBytes(messages: readonly Message[]): number {
  let bytes = 0;
  for (const { bodySize } of messages) bytes += bodySize;
  return bytes;
}
