// The consumers of a queue in the order in which they get messages: highest priority first, in turn among equals.
import type { Consumer } from './consumer.ts';

interface PriorityGroup {
  readonly priority: number;
  readonly consumers: Consumer[];
  next: number;
}

export class ConsumerRing {
  /** Groups by falling priority; nearly always one. */
  readonly #groups: PriorityGroup[] = [];
  #size = 0;
  /** How many could take a message now; kept by the queue as consumers are blocked and ready. */
  ready = 0;

  get size(): number {
    return this.#size;
  }

  add(consumer: Consumer): void {
    let index = this.#groups.findIndex((group) => group.priority <= consumer.priority);
    if (index < 0) index = this.#groups.length;
    if (this.#groups[index]?.priority !== consumer.priority) {
      this.#groups.splice(index, 0, { priority: consumer.priority, consumers: [], next: 0 });
    }
    this.#groups[index].consumers.push(consumer);
    this.#size++;
    if (consumer.ready) this.ready++;
  }

  /** Removes a consumer; false when it is not here. */
  remove(consumer: Consumer): boolean {
    const groupIndex = this.#groups.findIndex((group) => group.priority === consumer.priority);
    const group = this.#groups[groupIndex];
    const index = group?.consumers.indexOf(consumer) ?? -1;
    if (index < 0) return false;
    group.consumers.splice(index, 1);
    if (index < group.next) group.next--;
    if (group.consumers.length === 0) this.#groups.splice(groupIndex, 1);
    this.#size--;
    if (consumer.ready) this.ready--;
    return true;
  }

  /** The consumer whose turn it is among the ready ones; null when none is ready. */
  next(): Consumer | null {
    if (this.ready === 0) return null;
    for (const group of this.#groups) {
      const { consumers } = group;
      for (let i = 0; i < consumers.length; i++) {
        const at = group.next < consumers.length ? group.next : 0;
        group.next = at + 1;
        if (consumers[at].ready) return consumers[at];
      }
    }
    return null;
  }

  *[Symbol.iterator](): IterableIterator<Consumer> {
    for (const group of this.#groups) yield* group.consumers;
  }
}
