// What the log knows of one persistent message: in which queues it still has to keep it, who waits for it to be durable, and in
// which segment it stands. The message itself notes its entry.
import type { Message } from '../core/message.ts';
import type { Durability } from '../core/ports.ts';
import type { Confirmation } from '../core/queue.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { Segment } from './segment.ts';

/** A queue that holds the message, beside the first one. */
export interface LogPlace {
  readonly queue: DiskQueue;
  readonly position: number;
}

export class LogEntry {
  /** Null once the log need not keep it any more. */
  message: Message | null;
  /** The first queue; null once it is done with it. Most messages have no other. */
  queue: DiskQueue | null;
  readonly position: number;
  others: LogPlace[] | null = null;
  /** Null until it is written. */
  segment: Segment | null = null;
  readonly #confirmation: Confirmation | null;
  /** How many queues owe the confirmation. */
  #unsettled = 1;

  constructor(message: Message, queue: DiskQueue, position: number, confirmation: Confirmation | null) {
    this.message = message;
    this.queue = queue;
    this.position = position;
    this.#confirmation = confirmation;
  }

  /** One more queue holds the message. Only before it is written. */
  addPlace(queue: DiskQueue, position: number): void {
    this.others ??= [];
    this.others.push({ queue, position });
    this.#unsettled++;
  }

  /** Whether it must be written, or kept: some queue that was not deleted still holds it. */
  get isAlive(): boolean {
    if (this.queue !== null && !this.queue.deleted) return true;
    return this.others?.some(({ queue }) => !queue.deleted) ?? false;
  }

  /** Every queue that holds it. */
  places(): LogPlace[] {
    const others = this.others ?? [];
    return this.queue === null ? others : [{ queue: this.queue, position: this.position }, ...others];
  }

  /**
   * A queue is done with the message, or has it in a page.
   * @param durability tells when that may be confirmed of a message that was not written yet; null for at once
   * @returns false when the log did not keep it for that queue any more
   */
  drop(queue: DiskQueue, position: number, durability: Pick<Durability, 'whenDurable'> | null = null): boolean {
    if (this.queue === queue && this.position === position) {
      this.queue = null;
    } else {
      const index = this.others?.findIndex((place) => place.queue === queue && place.position === position) ?? -1;
      if (index < 0 || this.others === null) return false;
      this.others.splice(index, 1);
    }
    if (this.segment === null && this.#unsettled > 0) {
      // Nobody can lose what is done with before it is written: it counts as safe at once, unless others have it instead.
      this.#unsettled--;
      const confirmation = this.#confirmation;
      if (durability === null) confirmation?.settled(true);
      else if (confirmation !== null) durability.whenDurable(() => confirmation.settled(true));
    }
    if (this.queue === null && (this.others === null || this.others.length === 0)) this.forget();
    return true;
  }

  /** No queue holds it any more. */
  forget(): void {
    const { message, segment } = this;
    if (message === null) return;
    if (message.stored === this) message.stored = null;
    this.message = null;
    segment?.release();
  }

  /** It is durable: everybody who waits is told. */
  confirm(): void {
    const confirmation = this.#confirmation;
    const count = this.#unsettled;
    this.#unsettled = 0;
    if (confirmation !== null) for (let i = 0; i < count; i++) confirmation.settled(true);
  }
}
