// How messages leave a queue: for good, as dead letters, or held until their dead letters are safe.
import type { DeadLetterReason } from './dead-letter.ts';
import type { DeadLetterer } from './dead-letterer.ts';
import { type Deadlines, type DeadlineTask, newDeadline } from './deadlines.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { Message } from './message.ts';
import type { QueueStore } from './message-store.ts';
import type { Clock } from './ports.ts';
import type { Queue } from './queue.ts';

/** A dead letter that was routed nowhere, or refused, is tried again so often (at-least-once only). */
const RETRY_MS = 5000;

export interface DeparturesContext {
  readonly memory: MemoryAccount;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly deadLetters: DeadLetterer;
}

interface Held {
  readonly message: Message;
  readonly reason: DeadLetterReason;
  /** Nobody has it yet, and nobody is about to. */
  isStuck: boolean;
}

const NO_COUNTS: ReadonlyMap<number, number> = new Map();

export class Departures {
  readonly #queue: Queue;
  readonly #context: DeparturesContext;
  readonly #store: QueueStore | null;
  /** Null until a message comes back. */
  #deliveryCounts: Map<number, number> | null = null;
  /** Messages that stay until their dead letters are safe, by position; null until there is one. */
  #held: Map<number, Held> | null = null;
  /** Waits to try again; null until something has to be. */
  #retry: DeadlineTask | null = null;

  constructor(queue: Queue, context: DeparturesContext, store: QueueStore | null) {
    this.#queue = queue;
    this.#context = context;
    this.#store = store;
  }

  /** How often messages that came back were delivered. */
  get deliveryCounts(): ReadonlyMap<number, number> {
    return this.#deliveryCounts ?? NO_COUNTS;
  }

  /** Messages that are neither ready nor with a consumer: they wait for their dead letters to be safe. */
  get heldCount(): number {
    return this.#held?.size ?? 0;
  }

  /** Notes how often a message was delivered. */
  setDeliveryCount(position: number, count: number): void {
    this.#deliveryCounts ??= new Map();
    this.#deliveryCounts.set(position, count);
  }

  /** A message left its place, or takes another one. */
  dropDeliveryCount(position: number): void {
    this.#deliveryCounts?.delete(position);
  }

  /** All that is on disk alone is about to be purged. */
  dropPagedCounts(): void {
    for (const position of this.deliveryCounts.keys()) {
      if (this.#store?.isPagedOut(position) === true) this.dropDeliveryCount(position);
    }
  }

  /** The message leaves the queue for good. */
  forget(message: Message, position: number): void {
    this.#store?.remove(message, position);
    this.dropDeliveryCount(position);
    this.#context.memory.release(message);
  }

  /** The message leaves the queue unconsumed, for its dead letter exchange if there is one. */
  discard(message: Message, position: number, reason: DeadLetterReason): void {
    const { deadLetterExchange, deadLetterStrategy } = this.#queue.features;
    if (deadLetterExchange === null) {
      this.forget(message, position);
    } else if (deadLetterStrategy === 'at-least-once' || this.#context.deadLetters.isBusy) {
      this.#handOver(message, position, reason);
    } else {
      this.#context.deadLetters.deadLetter(this.#queue, message, reason, null);
      // In the same go as the above, and so in the same record of the log: the message is here or there, never in both or neither.
      this.#store?.moved(message, position);
      this.dropDeliveryCount(position);
      this.#context.memory.release(message);
    }
  }

  /**
   * A message that is on disk alone leaves the queue unconsumed.
   * @param copy may be null when there is no dead letter exchange
   * @param addTaken gives it another place, where it is held until its dead letter is safe
   */
  discardPaged(
    copy: Message | null,
    position: number,
    reason: DeadLetterReason,
    addTaken: (message: Message) => number,
  ): void {
    const { deadLetterExchange, deadLetterStrategy } = this.#queue.features;
    if (copy === null || deadLetterExchange === null) {
      // Nobody wants it.
    } else if (deadLetterStrategy === 'at-least-once') {
      // While it is written to its page, what the disk gives is no copy but the message itself.
      const message = copy.forAnotherPlace();
      this.#handOver(message, addTaken(message), reason);
    } else {
      this.#context.deadLetters.deadLetter(this.#queue, copy, reason, null);
    }
    this.#store?.drop(position);
    this.dropDeliveryCount(position);
  }

  /** A message that the queue never took goes to the dead letter exchange, if there is one. */
  turnAway(message: Message, reason: DeadLetterReason): void {
    if (this.#queue.features.deadLetterExchange === null) return;
    this.#context.deadLetters.deadLetter(this.#queue, message, reason, null);
  }

  /** The queue is deleted. */
  close(): void {
    if (this.#retry !== null) this.#context.deadlines.set(this.#retry, Infinity);
    const held = this.#held ?? [];
    this.#held = null;
    for (const [position, { message }] of held) this.forget(message, position);
  }

  #handOver(message: Message, position: number, reason: DeadLetterReason): void {
    const held: Held = { message, reason, isStuck: false };
    this.#held ??= new Map();
    this.#held.set(position, held);
    const triesAgain = this.#queue.features.deadLetterStrategy === 'at-least-once';
    this.#context.deadLetters.deadLetter(this.#queue, message, reason, (accepted) => {
      if (this.#held?.get(position) !== held) return;
      if (accepted || !triesAgain) {
        this.#held.delete(position);
        this.forget(message, position);
      } else {
        held.isStuck = true;
        this.#retryLater();
      }
    });
  }

  #retryLater(): void {
    const { clock, deadlines } = this.#context;
    this.#retry ??= { deadline: newDeadline(), deadlineReached: () => this.#retryStuck() };
    if (this.#retry.deadline.atMs === Infinity) deadlines.set(this.#retry, clock.epochMs() + RETRY_MS);
  }

  #retryStuck(): void {
    for (const [position, { message, reason, isStuck }] of [...(this.#held ?? [])]) {
      if (!isStuck) continue;
      this.#held?.delete(position);
      // The queue may have other features by now.
      this.discard(message, position, reason);
    }
  }
}
