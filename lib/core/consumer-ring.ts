// The consumers of a queue in the order in which they get messages: highest priority first, in turn among equals. Those that
// can take a message are linked in a list for each priority, so that nothing here takes longer with many consumers.
import type { Consumer } from './consumer.ts';

/** The ready consumers of one priority: a list that is linked through the consumers themselves. */
interface PriorityGroup {
  readonly priority: number;
  head: Consumer | null;
  tail: Consumer | null;
  /** All of them, ready or not. */
  size: number;
}

/** The consumers of a queue, and whose turn it is. */
export interface ConsumerGroup extends Iterable<Consumer> {
  readonly size: number;
  /** How many could take a message now. */
  readonly ready: number;
  /** One of the consumers, if there are any. */
  readonly first: Consumer | undefined;
  add(consumer: Consumer): void;
  /** Removes a consumer; false when it is not here. */
  remove(consumer: Consumer): boolean;
  /** A consumer that was blocked is ready. */
  markReady(consumer: Consumer): void;
  /** A consumer that was ready is blocked. */
  markBlocked(consumer: Consumer): void;
  /** The consumer whose turn it is among the ready ones; null when none is ready. */
  next(): Consumer | null;
}

const NOBODY: readonly Consumer[] = [];

export class ConsumerRing implements ConsumerGroup {
  /** Null until there is one. */
  #consumers: Set<Consumer> | null = null;
  /** By falling priority; nearly always one. */
  readonly #groups: PriorityGroup[] = [];
  #ready = 0;

  get size(): number {
    return this.#consumers?.size ?? 0;
  }

  get ready(): number {
    return this.#ready;
  }

  get first(): Consumer | undefined {
    for (const consumer of this) return consumer;
    return undefined;
  }

  add(consumer: Consumer): void {
    this.#consumers ??= new Set();
    this.#consumers.add(consumer);
    this.#groupOf(consumer).size++;
    if (consumer.ready) this.markReady(consumer);
  }

  remove(consumer: Consumer): boolean {
    if (this.#consumers?.delete(consumer) !== true) return false;
    if (consumer.ready) this.markBlocked(consumer);
    const group = this.#groupOf(consumer);
    group.size--;
    if (group.size === 0) this.#groups.splice(this.#groups.indexOf(group), 1);
    return true;
  }

  /** A consumer of the ring that was blocked is ready: it is the last in turn. */
  markReady(consumer: Consumer): void {
    const group = this.#groupOf(consumer);
    consumer.previousReady = group.tail;
    consumer.nextReady = null;
    if (group.tail === null) group.head = consumer;
    else group.tail.nextReady = consumer;
    group.tail = consumer;
    this.#ready++;
  }

  /** A consumer of the ring that was ready is blocked. */
  markBlocked(consumer: Consumer): void {
    const group = this.#groupOf(consumer);
    const { previousReady: previous, nextReady: next } = consumer;
    if (previous === null) group.head = next;
    else previous.nextReady = next;
    if (next === null) group.tail = previous;
    else next.previousReady = previous;
    consumer.previousReady = consumer.nextReady = null;
    this.#ready--;
  }

  next(): Consumer | null {
    if (this.#ready === 0) return null;
    for (const group of this.#groups) {
      const { head } = group;
      if (head === null) continue;
      if (head !== group.tail) {
        this.markBlocked(head);
        this.markReady(head);
      }
      return head;
    }
    return null;
  }

  [Symbol.iterator](): Iterator<Consumer> {
    return (this.#consumers ?? NOBODY)[Symbol.iterator]();
  }

  #groupOf({ priority }: Consumer): PriorityGroup {
    let index = 0;
    while (index < this.#groups.length && this.#groups[index].priority > priority) index++;
    const found = this.#groups[index];
    if (found?.priority === priority) return found;
    const group = { priority, head: null, tail: null, size: 0 };
    this.#groups.splice(index, 0, group);
    return group;
  }
}
