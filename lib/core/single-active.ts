// The consumers of a queue with a single active consumer: one of them gets all messages until it leaves; then another takes over. See
// https://www.rabbitmq.com/docs/consumers#single-active-consumer
import type { Consumer } from './consumer.ts';
import type { ConsumerGroup } from './consumer-ring.ts';

export class SingleActive implements ConsumerGroup {
  readonly #consumers = new Set<Consumer>();
  readonly #byPriority: boolean;
  #active: Consumer | null = null;

  /** @param byPriority the highest priority takes over; otherwise who waits longest, as in RabbitMQ's quorum queues */
  constructor(byPriority = true) {
    this.#byPriority = byPriority;
  }

  get size(): number {
    return this.#consumers.size;
  }

  get ready(): number {
    return this.#active?.ready === true ? 1 : 0;
  }

  get first(): Consumer | undefined {
    return this.#active ?? undefined;
  }

  add(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.#active ??= consumer;
  }

  remove(consumer: Consumer): boolean {
    if (!this.#consumers.delete(consumer)) return false;
    if (this.#active === consumer) this.#active = this.#successor();
    return true;
  }

  markReady(): void {
    // The active consumer is asked for each message.
  }

  markBlocked(): void {
    // As above.
  }

  next(): Consumer | null {
    return this.#active?.ready === true ? this.#active : null;
  }

  [Symbol.iterator](): Iterator<Consumer> {
    return this.#consumers[Symbol.iterator]();
  }

  /** Of those with the same priority the one that waits longest. */
  #successor(): Consumer | null {
    let successor: Consumer | null = null;
    for (const consumer of this.#consumers) {
      if (successor === null) successor = consumer;
      else if (this.#byPriority && consumer.priority > successor.priority) successor = consumer;
    }
    return successor;
  }
}
