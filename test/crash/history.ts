// Histories for the tests of the model: what clients saw, in short words, with or without a mistake of the broker.
import type { Test } from 'tap';
import type { FindingKind } from './findings.ts';
import { type Entry, Stream } from './ledger.ts';
import { MessageFactory } from './messages.ts';
import { Model, type Publication } from './model.ts';

/**
 * What clients see, in short words, of queues `q` and `other`, and `own`, which one actor has for itself; `ranked` has priorities, `quorum`
 * is a quorum queue.
 */
export class History {
  readonly model = new Model();
  readonly #factory = new MessageFactory(1);
  readonly #next = new Map<string, number>();
  readonly #publications = new Map<string, Publication>();
  #stream = new Stream('somebody');
  #rankedSequence = 0;

  constructor() {
    for (const name of ['q', 'other', 'own']) this.model.addQueue(name, name === 'own').existence = 'yes';
    this.model.addQueue('ranked', true, { maxPriority: 5 }).existence = 'yes';
    this.model.addQueue('quorum', true, { isQuorum: true }).existence = 'yes';
    for (const name of ['p', 'r']) this.#factory.register(name, { sizes: 'small', transientOneIn: 0 });
    this.#factory.register('transient', { sizes: 'small', transientOneIn: 1 });
  }

  /** Publishes the next message of a publisher. */
  publish(publisher = 'p', queues = ['q'], commit: Parameters<Model['published']>[2] = null): string {
    const sequence = this.#next.get(publisher) ?? 0;
    this.#next.set(publisher, sequence + 1);
    const draft = this.#factory.make(publisher, sequence);
    this.#publications.set(draft.id, this.model.published(draft, queues, commit));
    return draft.id;
  }

  /** Publishes, and gets the confirm. */
  confirmed(publisher = 'p', queues = ['q']): string {
    const id = this.publish(publisher, queues);
    this.confirm(id);
    return id;
  }

  /** Publishes to `ranked` with a priority, and gets the confirm. */
  ranked(priority: number): string {
    const id = `p:${this.#rankedSequence++}`;
    const ledger = this.model.queue('ranked');
    ledger.confirm(ledger.published({ id, transient: false, bytes: 0, priority, commit: null }));
    return id;
  }

  confirm(id: string): void {
    const publication = this.#publications.get(id);
    if (publication !== undefined) this.model.confirmed(publication);
  }

  deliver(id: string, redelivered = false, queue = 'q'): Entry {
    const entry = this.model.queue(queue).delivered(id, redelivered, this.#stream);
    if (entry !== null) return entry;
    // So that a wrong history can go on behind its mistake.
    return this.model.queue(queue).published({ id, transient: false, bytes: 0, commit: null });
  }

  acknowledge(id: string, queue = 'q'): Entry {
    const entry = this.deliver(id, false, queue);
    this.model.queue(queue).acknowledged(entry);
    return entry;
  }

  flush(id: string): void {
    this.model.queue('q').flushed([this.acknowledge(id)], 'something');
  }

  crash(): void {
    this.#stream = new Stream('somebody');
    this.model.crash();
  }

  /** Drains a queue and gives all back. @param redelivered the first so many are marked */
  drain(ids: readonly string[], redelivered = 0, queue = 'q', declared = ids.length): void {
    const ledger = this.model.queue(queue);
    this.#stream = new Stream('somebody');
    const entries = ids.map((id, index) => this.deliver(id, index < redelivered, queue));
    ledger.reconcile(entries, declared);
    for (const entry of entries) ledger.returned(entry);
  }
}

/** Tells a history to the model, which must have findings of these kinds. */
export function check(
  t: Test,
  title: string,
  expected: readonly FindingKind[],
  tell: (history: History) => void,
): void {
  const history = new History();
  tell(history);
  const kinds = history.model.findings.list.map(({ kind }) => kind);
  t.same([...new Set(kinds)], expected, `${title}${kinds.length > 0 ? `\n${history.model.findings}` : ''}`);
}
