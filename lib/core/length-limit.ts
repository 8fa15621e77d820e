// The length limit of a queue: the `x-max-length`, `x-max-length-bytes` and `x-overflow` arguments. Only ready messages count.
// See https://www.rabbitmq.com/docs/maxlength
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import type { Message } from './message.ts';

export class LengthLimit {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  /** Publishes beyond the limit are refused; otherwise they push out the oldest messages. */
  readonly refusesPublishes: boolean;
  /** Bytes of ready bodies in memory. */
  #bytes = 0;
  /** Bytes of ready bodies that are on disk alone. */
  #pagedBytes = 0;

  constructor(maxMessages: number, maxBytes: number, refusesPublishes: boolean) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
    this.refusesPublishes = refusesPublishes;
  }

  /** The limit that the arguments of a queue ask for; null when they ask for none. */
  static of(args: FieldTable): LengthLimit | null {
    const maxMessages = limitFrom(args.get('x-max-length'));
    const maxBytes = limitFrom(args.get('x-max-length-bytes'));
    if (maxMessages === Infinity && maxBytes === Infinity) return null;
    const overflow = args.get('x-overflow')?.value;
    return new LengthLimit(maxMessages, maxBytes, overflow === 'reject-publish' || overflow === 'reject-publish-dlx');
  }

  /** True when a queue with `ready` messages must refuse this one more. */
  refuses(message: Message, ready: number): boolean {
    if (!this.refusesPublishes) return false;
    return ready + 1 > this.#maxMessages || this.#bytes + this.#pagedBytes + message.bodySize > this.#maxBytes;
  }

  /** True when a queue with `ready` messages must drop its first. */
  isExceeded(ready: number): boolean {
    if (this.refusesPublishes) return false;
    return ready > this.#maxMessages || this.#bytes + this.#pagedBytes > this.#maxBytes;
  }

  added(message: Message): void {
    this.#bytes += message.bodySize;
  }

  removed(message: Message): void {
    this.#bytes = Math.max(0, this.#bytes - message.bodySize);
  }

  /** The queue has messages from before a restart, with so many bytes of bodies, which are still to be loaded. */
  recovered(bytes: number): void {
    this.#pagedBytes = bytes;
  }

  /** Messages left memory for the disk. */
  gaveUp(messages: readonly Message[]): void {
    const bytes = bodyBytes(messages);
    this.#bytes = Math.max(0, this.#bytes - bytes);
    this.#pagedBytes += bytes;
  }

  /** Messages came from the disk. */
  loaded(messages: readonly Message[]): void {
    const bytes = bodyBytes(messages);
    this.#bytes += bytes;
    this.#pagedBytes = Math.max(0, this.#pagedBytes - bytes);
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

function limitFrom(value: FieldValue | undefined): number {
  return value === undefined ? Infinity : Number(value.value);
}
