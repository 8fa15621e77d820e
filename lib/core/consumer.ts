// One subscription to a queue and whether it can take a message now. It knows its limits, not how messages travel.
import type { FieldTable } from '../../codec/field-table.ts';
import type { DeliverySink } from './ports.ts';

/** Why a consumer takes nothing now, as bits: it is ready when none is set. */
export const BLOCKED_BY_PREFETCH = 1;
export const BLOCKED_BY_SESSION_PREFETCH = 2;
export const BLOCKED_BY_OUTPUT = 4;

/** What a queue hears of its consumers. */
export interface ConsumerHost {
  /** One more consumer can take messages; the next `deliver` of the queue counts on it. */
  consumerReady(consumer: Consumer): void;
  consumerBlocked(consumer: Consumer): void;
}

export interface ConsumerOptions {
  readonly tag: string;
  readonly sink: DeliverySink;
  /** Messages count as settled when they are delivered. */
  readonly noAck: boolean;
  /** No other consumer may subscribe to the queue. */
  readonly exclusive: boolean;
  /** Consumers of higher priority get messages first, while they can take them. */
  readonly priority: number;
  /** How many unacknowledged messages it takes at most; 0 is no limit. */
  readonly prefetch: number;
  readonly arguments: FieldTable;
}

export class Consumer {
  readonly tag: string;
  readonly sink: DeliverySink;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly prefetch: number;
  readonly arguments: FieldTable;
  /** The queue that it is subscribed to; set by the queue. */
  host: ConsumerHost | null = null;
  unacknowledged = 0;
  /** Neighbours among the ready consumers of its queue; the ring's. */
  previousReady: Consumer | null = null;
  nextReady: Consumer | null = null;
  #blockers = 0;

  constructor(options: ConsumerOptions) {
    this.tag = options.tag;
    this.sink = options.sink;
    this.noAck = options.noAck;
    this.exclusive = options.exclusive;
    this.priority = options.priority;
    this.prefetch = options.noAck ? 0 : options.prefetch;
    this.arguments = options.arguments;
  }

  get ready(): boolean {
    return this.#blockers === 0;
  }

  block(reason: number): void {
    const was = this.#blockers;
    this.#blockers = was | reason;
    if (was === 0) this.host?.consumerBlocked(this);
  }

  /** Lifts a block. The caller makes the queue deliver, once it has lifted all that it lifts. */
  unblock(reason: number): void {
    const was = this.#blockers;
    if (was === 0) return;
    this.#blockers = was & ~reason;
    if (this.#blockers === 0) this.host?.consumerReady(this);
  }

  /** Counts a message against the prefetch limit. */
  take(): void {
    this.unacknowledged++;
    if (this.unacknowledged === this.prefetch) this.block(BLOCKED_BY_PREFETCH);
  }

  /** Gives back the room of a settled message. As with `unblock`, the queue delivers when the caller says so. */
  settle(): void {
    this.unacknowledged--;
    if (this.unacknowledged < this.prefetch) this.unblock(BLOCKED_BY_PREFETCH);
  }
}
