// What a store must remember, as plainly as it can be said. Everything that is done is noted as an operation, in its order. What a
// crash leaves has to be what stood there after some number of them: not fewer than were confirmed or answered, never a part of
// those that were made in one go.
import type { Content } from './store-content.ts';

export interface ModelMessage {
  readonly content: Content;
  /** Its place among all that the queue ever had. */
  readonly order: number;
  isUnacknowledged: boolean;
  /** How often it came back. */
  returns: number;
}

export class ModelQueue {
  /** Names the queue for good, whatever name it has. */
  readonly key: number;
  readonly virtualHost: string;
  readonly name: string;
  readonly survives: boolean;
  /** 0 in a queue without priorities. */
  readonly maxPriority: number;
  /** What is below was delivered, by priority. */
  #deliveredTo = new Map<number, number>();
  nextOrder = 0;
  messages: ModelMessage[] = [];

  constructor(key: number, virtualHost: string, name: string, survives: boolean, maxPriority: number) {
    this.key = key;
    this.virtualHost = virtualHost;
    this.name = name;
    this.survives = survives;
    this.maxPriority = maxPriority;
  }

  get ready(): ModelMessage[] {
    return this.messages.filter(({ isUnacknowledged }) => !isUnacknowledged);
  }

  get firstReady(): ModelMessage | undefined {
    let first: ModelMessage | undefined;
    for (const message of this.messages) {
      if (message.isUnacknowledged) continue;
      if (first === undefined || this.#priorityOf(message) > this.#priorityOf(first)) first = message;
    }
    return first;
  }

  find(id: number): ModelMessage {
    const found = this.messages.find(({ content }) => content.id === id);
    if (found === undefined) throw new Error(`message ${id} is not in queue ${this.name}#${this.key}`);
    return found;
  }

  isRedelivered(message: ModelMessage): boolean {
    return message.order < (this.#deliveredTo.get(this.#priorityOf(message)) ?? 0);
  }

  add(content: Content): void {
    this.messages.push({ content, order: this.nextOrder++, isUnacknowledged: false, returns: 0 });
  }

  delivered(id: number): void {
    const message = this.find(id);
    message.isUnacknowledged = true;
    if (!this.isRedelivered(message)) this.#deliveredTo.set(this.#priorityOf(message), message.order + 1);
  }

  remove(id: number): void {
    this.find(id);
    this.messages = this.messages.filter(({ content }) => content.id !== id);
  }

  clone(): ModelQueue {
    const copy = new ModelQueue(this.key, this.virtualHost, this.name, this.survives, this.maxPriority);
    copy.#deliveredTo = new Map(this.#deliveredTo);
    copy.nextOrder = this.nextOrder;
    copy.messages = this.messages.map((message) => ({ ...message }));
    return copy;
  }

  /** After a restart. After a crash everything counts as delivered. */
  survivor(hasCrashed: boolean): ModelQueue {
    const copy = this.clone();
    for (let priority = 0; hasCrashed && priority <= this.maxPriority; priority++) {
      copy.#deliveredTo.set(priority, copy.nextOrder);
    }
    copy.messages = copy.messages.filter(({ content }) => content.persistent);
    for (const message of copy.messages) message.isUnacknowledged = false;
    return copy;
  }

  /** What somebody finds who takes everything out after a restart. */
  describe(hasCrashed: boolean): string {
    const messages = this.messages.filter(({ content }) => content.persistent);
    // The sort keeps the order of those of one priority.
    messages.sort((a, b) => this.#priorityOf(b) - this.#priorityOf(a));
    const described = messages.map((message) => {
      const isRedelivered = hasCrashed || this.isRedelivered(message);
      return describeMessage(message.content.id, isRedelivered, message.returns);
    });
    return describeQueue(this.virtualHost, this.name, this.key, described);
  }

  #priorityOf({ content }: ModelMessage): number {
    return Math.min(content.priority, this.maxPriority);
  }
}

export function describeMessage(id: number, redelivered: boolean, returns: number): string {
  return `${id}${redelivered ? 'r' : ''}${returns > 0 ? `*${returns}` : ''}`;
}

export function describeQueue(virtualHost: string, name: string, key: number, messages: readonly string[]): string {
  return `${virtualHost} ${name}#${key}: ${messages.join(' ')}`;
}

export class ModelState {
  readonly queues = new Map<number, ModelQueue>();
  /** Durable exchanges and bindings, as sorted lines. */
  topology = '';

  queue(key: number): ModelQueue {
    const queue = this.queues.get(key);
    if (queue === undefined) throw new Error(`there is no queue #${key}`);
    return queue;
  }

  clone(): ModelState {
    const copy = new ModelState();
    for (const [key, queue] of this.queues) copy.queues.set(key, queue.clone());
    copy.topology = this.topology;
    return copy;
  }

  survivor(hasCrashed: boolean): ModelState {
    const copy = new ModelState();
    for (const [key, queue] of this.queues) if (queue.survives) copy.queues.set(key, queue.survivor(hasCrashed));
    copy.topology = this.topology;
    return copy;
  }

  /** One line for each queue that survives a restart, and those of the topology. */
  describe(hasCrashed: boolean): string[] {
    const queues = [...this.queues.values()].filter(({ survives }) => survives);
    const topology = this.topology.split('\n').filter((line) => line !== '');
    return [...queues.map((queue) => queue.describe(hasCrashed)), ...topology].sort();
  }
}

interface Operation {
  readonly apply: (state: ModelState) => void;
  /** Those of one section were made in one go. */
  readonly section: number;
}

interface Promised {
  /** The operation that was promised to be durable, counted from 1. */
  readonly through: number;
  /** The promise holds only while the message is in one of the queues. */
  readonly id: number;
}

/**
 * How a life ended: in good order; by a crash; or by one that may take what was promised, though nothing out of the middle, since
 * syncs come late.
 */
export type End = 'stop' | 'crash' | 'lossy crash';

export class StoreModel {
  readonly #base: ModelState;
  /** The life before ended in good order. */
  readonly #wasClean: boolean;
  readonly live: ModelState;
  readonly #operations: Operation[] = [];
  #section = 0;
  #isInSection = false;
  #promised: Promised[] = [];
  /** So many operations are durable for sure. */
  durable = 0;
  /** The stop in good order has begun. */
  isEnding = false;

  constructor(base = new ModelState(), wasClean = true) {
    this.#base = base;
    this.#wasClean = wasClean;
    this.live = base.clone();
  }

  /** How many operations there were. */
  get length(): number {
    return this.#operations.length;
  }

  /** What happens in `run` happens in one go. */
  section(run: () => void): void {
    if (this.#isInSection) throw new Error('a section within another');
    this.#section++;
    this.#isInSection = true;
    try {
      run();
    } finally {
      this.#isInSection = false;
      this.#section++;
    }
  }

  /** Notes what is being done. */
  note(apply: (state: ModelState) => void): void {
    if (!this.#isInSection) this.#section++;
    this.#operations.push({ apply, section: this.#section });
    apply(this.live);
  }

  /** The message that was published with operation `through` is confirmed. */
  confirmed(through: number, id: number): void {
    this.#promised.push({ through, id });
  }

  /** Everything up to operation `through` is durable. */
  answered(through: number): void {
    this.durable = Math.max(this.durable, through);
  }

  /**
   * Finds out after how many operations things stood as they were found, and what the store knows from then on.
   * @throws {Error} that shows the difference when it was never so
   */
  match(found: readonly string[], end: End): StoreModel {
    const least = end === 'lossy crash' ? 0 : end === 'stop' ? this.length : this.#least();
    const text = found.join('\n');
    const state = this.#base.clone();
    const candidates: string[][] = [];
    let matched: StoreModel | null = null;
    for (let at = 0; at <= this.#operations.length; at++) {
      for (const hasCrashed of at >= least && this.#isCut(at) ? this.#marks(at, end) : []) {
        const lines = state.describe(hasCrashed);
        candidates.push(lines);
        // The last one counts: what is the same can't be told apart, and it knows most.
        if (lines.join('\n') === text) matched = new StoreModel(state.survivor(hasCrashed), !hasCrashed);
      }
      if (at < this.#operations.length) this.#operations[at].apply(state);
    }
    if (matched !== null) return matched;
    throw new Error(explain(found, candidates));
  }

  /** The model of what goes on from here after a stop in good order. */
  survivor(): StoreModel {
    return new StoreModel(this.live.survivor(false));
  }

  /** Whether all messages may be marked as after a crash; both, where a crash may look like a stop in good order. */
  #marks(at: number, end: End): boolean[] {
    if (end === 'stop') return [false];
    return (at === 0 && this.#wasClean) || this.isEnding ? [true, false] : [true];
  }

  /** Whether some queue must keep a message. */
  isWanted(id: number): boolean {
    for (const { survives, messages } of this.live.queues.values()) {
      if (survives && messages.some(({ content }) => content.id === id && content.persistent)) return true;
    }
    return false;
  }

  /** Only as much as was answered is sure, and what was confirmed and is still wanted. */
  #least(): number {
    let least = this.durable;
    for (const { through, id } of this.#promised) if (through > least && this.isWanted(id)) least = through;
    return least;
  }

  #isCut(at: number): boolean {
    const operations = this.#operations;
    return at === 0 || at === operations.length || operations[at - 1].section !== operations[at].section;
  }
}

function explain(found: readonly string[], candidates: readonly (readonly string[])[]): string {
  const differences = candidates.map((lines) => {
    const missing = lines.filter((line) => !found.includes(line));
    const extra = found.filter((line) => !lines.includes(line));
    return { missing, extra };
  });
  differences.sort((a, b) => a.missing.length + a.extra.length - b.missing.length - b.extra.length);
  const [{ missing, extra }] = differences;
  const list = (lines: readonly string[]): string => lines.map((line) => `\n    ${line.slice(0, 400)}`).join('');
  return `what is there was never so (${candidates.length} moments).\n  nearest should have:${list(missing)}\n  but it has:${list(extra)}`;
}
