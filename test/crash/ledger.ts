// What must be, may be and must not be in one queue. Fed with what clients send and receive, it reports what does not fit.
//
// A message that is in the ledger without a doubt must be in the queue; one with doubts may be; one that has left the ledger
// must never be seen again. Doubts come with a crash, for what the broker had not answered by then, and go when the message
// is seen, or is found missing, afterwards.
import type { Commit } from './commit.ts';
import type { FindingKind } from './findings.ts';
import { misplaced } from './order.ts';
import { ACK_COMMIT, ACKNOWLEDGED, COMMIT, REMOVED, TRANSIENT, UNCONFIRMED, type World } from './world.ts';

/** One message in one queue. */
export interface Entry {
  readonly id: string;
  readonly publisher: string;
  readonly sequence: number;
  readonly transient: boolean;
  readonly bytes: number;
  /** What has a higher one is delivered first. */
  readonly priority: number;
  /** The life of the broker in which it was published. */
  readonly born: number;
  readonly commit: Commit | null;
  ackCommit: Commit | null;
  confirmed: boolean;
  place: 'queue' | 'client' | 'acknowledged';
  /** The channel that got it last. */
  holder: string;
  doubts: number;
  /** A client got it at least once. */
  seen: boolean;
  /** A stopping broker took it from one client and gave it to another, who read that first: its first delivery may still be on its way. */
  overtaken: boolean;
  /** When it was published, and when it was known to be in the queue, in messages published by then. */
  readonly publishedAt: number;
  knownAt: number;
  /** It came back to a quorum queue, which may put it at its end. */
  isDisplaced: boolean;
  /** Its place among those that a drain found; -1 before. */
  rank: number;
}

/** How a queue differs from a plain one. */
export interface QueueTraits {
  /** Priorities up to this count; none do in a plain queue. */
  readonly maxPriority?: number;
  /** What is transient survives as well. */
  readonly isQuorum?: boolean;
}

/** What one channel got from one queue. */
export class Stream {
  readonly who: string;
  /** Of each publisher and priority the newest sequence that was not a redelivery. */
  readonly newest = new Map<string, number>();

  constructor(who: string) {
    this.who = who;
  }
}

export interface NewEntry {
  readonly id: string;
  readonly transient: boolean;
  readonly bytes: number;
  readonly priority?: number;
  readonly commit: Commit | null;
}

export class QueueLedger {
  readonly name: string;
  /** Only one actor uses it, and takes messages one by one: then what happens in it is known exactly. */
  readonly exclusive: boolean;
  readonly traits: QueueTraits;
  /** Whether the queue is there; `maybe` when a crash cut a declaration or a deletion off. */
  existence: 'yes' | 'no' | 'maybe' = 'no';
  readonly #world: World;
  /** In the order of publishing, as far as one publisher is concerned. */
  readonly #entries = new Map<string, Entry>();
  /** Why each message that was here isn't any more. */
  readonly #gone = new Map<string, string>();
  #purgesUnderway = 0;
  #nextRank = 0;
  bytes = 0;

  constructor(name: string, exclusive: boolean, world: World, traits: QueueTraits = {}) {
    this.name = name;
    this.exclusive = exclusive;
    this.traits = traits;
    this.#world = world;
  }

  get size(): number {
    return this.#entries.size;
  }

  published({ id, transient, bytes, priority = 0, commit }: NewEntry): Entry {
    const { maxPriority = 0, isQuorum = false } = this.traits;
    const colon = id.lastIndexOf(':');
    const entry: Entry = {
      id,
      publisher: id.slice(0, colon),
      sequence: Number(id.slice(colon + 1)),
      transient: transient && !isQuorum,
      bytes,
      priority: Math.min(priority, maxPriority),
      born: this.#world.life,
      commit,
      ackCommit: null,
      confirmed: false,
      place: 'queue',
      holder: 'nobody',
      doubts: this.#purgesUnderway > 0 ? REMOVED : 0,
      seen: false,
      overtaken: false,
      publishedAt: ++this.#world.clock,
      knownAt: Number.POSITIVE_INFINITY,
      isDisplaced: false,
      rank: -1,
    };
    this.#entries.set(id, entry);
    this.bytes += bytes;
    return entry;
  }

  confirm(entry: Entry): void {
    entry.confirmed = true;
    this.#known(entry);
  }

  /** A client got a message. Null when it should not have, which is reported. */
  delivered(id: string, redelivered: boolean, stream: Stream): Entry | null {
    const entry = this.#entries.get(id);
    this.#world.figures.delivered++;
    if (entry === undefined) {
      const reason = this.#gone.get(id);
      if (reason === undefined)
        this.#report('stray', `${id} is delivered to ${stream.who}, and was never published to it`);
      else this.#report('resurrected', `${id} is delivered to ${stream.who}: ${reason}`);
      return null;
    }
    if (!this.#world.isStopping) this.#checkPlace(entry, stream);
    if (entry.seen && !redelivered && !entry.overtaken)
      this.#report('unmarked', `${this.#describe(entry)} is not marked as redelivered`);
    entry.overtaken = this.#world.isStopping && redelivered && (!entry.seen || entry.overtaken);
    if (this.exclusive && !entry.seen && redelivered && entry.born === this.#world.life) {
      this.#report('marked', `${this.#describe(entry)} is marked as redelivered, but nobody got it before`);
    }
    if (!redelivered && !entry.seen) this.#checkStream(entry, stream);
    this.#certain(entry, 'was delivered');
    entry.seen = true;
    entry.place = 'client';
    entry.holder = stream.who;
    return entry;
  }

  /** Acknowledged, or rejected for good; whether a crash takes that back is open until `flushed`. */
  acknowledged(entry: Entry): void {
    entry.place = 'acknowledged';
    this.#world.figures.acknowledged++;
  }

  /**
   * The broker answered something later that waits for the disk, so the acknowledgement is there as well.
   * @param proof what was published on the same channel after it, and was confirmed
   */
  flushed(entries: readonly Entry[], proof: string): void {
    this.#world.figures.flushed += entries.length;
    const reason = `it was acknowledged, and ${proof}, published after that on the same channel, was confirmed`;
    for (const entry of entries) this.forget(entry, reason);
  }

  returned(entry: Entry): void {
    if (entry.place === 'client') entry.place = 'queue';
    if (this.traits.isQuorum === true) entry.isDisplaced = true;
    this.#world.figures.requeued++;
  }

  /** The head of an exclusive queue was taken, or nothing was there: no message that must be there may stand before it. */
  checkHead(id: string | null): void {
    if (id !== null && this.#entries.get(id)?.isDisplaced === true) return;
    for (const entry of this.#inOrder()) {
      if (entry.id === id) return;
      if (entry.place !== 'queue' || !this.#isRequired(entry) || (id !== null && entry.isDisplaced)) continue;
      if (id === null) this.#report('lost', `${this.#describe(entry)}, but basic.get finds nothing`);
      else this.#report('reordered', `${id} is delivered before ${this.#describe(entry)}`);
      return;
    }
  }

  /** How many ready messages the broker should tell of. */
  readyRange(): { readonly least: number; readonly most: number } {
    const ready = [...this.#entries.values()].filter(({ place }) => place === 'queue');
    return { least: ready.filter((entry) => this.#isRequired(entry)).length, most: ready.length };
  }

  checkCount(count: number, operation: string): void {
    const { least, most } = this.readyRange();
    if (count >= least && count <= most) return;
    this.#report('miscounted', `${operation} tells of ${count} messages; there are ${least} to ${most}`);
  }

  purgeSent(): void {
    this.#purgesUnderway++;
    for (const entry of this.#entries.values()) {
      if (entry.place === 'queue' || !this.exclusive) entry.doubts |= REMOVED;
    }
  }

  /** In a queue that others use nobody knows what was in it when it was purged: there the doubts stay. */
  purged(): void {
    this.#purgesUnderway--;
    if (!this.exclusive) return;
    for (const entry of [...this.#entries.values()]) {
      if (entry.place === 'queue' && (entry.doubts & REMOVED) !== 0) this.forget(entry, 'it was purged');
    }
  }

  /** Whatever a crash makes of the deletion, only what was safe before it was asked for must be there with the queue. */
  deleteSent(): void {
    this.existence = 'maybe';
    for (const entry of this.#entries.values()) if (!entry.confirmed) entry.doubts |= REMOVED;
  }

  deleted(): void {
    this.existence = 'no';
    for (const entry of [...this.#entries.values()]) this.forget(entry, 'its queue was deleted');
  }

  /** The message may not be seen any more. */
  forget(entry: Entry, reason: string): void {
    if (!this.#entries.delete(entry.id)) return;
    this.#gone.set(entry.id, reason);
    this.bytes -= entry.bytes;
  }

  /** The broker is dead: what it did not answer is in doubt, and what clients had is ready again. */
  crash(): void {
    this.#purgesUnderway = 0;
    for (const entry of this.#entries.values()) {
      if (entry.commit?.state === 'doubtful' && !entry.confirmed) entry.doubts |= COMMIT;
      else if (!entry.confirmed) entry.doubts |= UNCONFIRMED;
      if (entry.ackCommit?.state === 'doubtful') entry.doubts |= ACK_COMMIT;
      if (entry.place === 'acknowledged') entry.doubts |= ACKNOWLEDGED;
      if (entry.transient) entry.doubts |= TRANSIENT;
      entry.overtaken = false;
      entry.place = 'queue';
    }
  }

  /**
   * Compares with all messages of the queue, taken out in order while nobody else used it.
   * @param declared how many a passive declaration told of before
   */
  reconcile(drained: readonly Entry[], declared: number): void {
    const found = new Set(drained);
    if (declared !== drained.length) {
      this.#report(
        'miscounted',
        `a passive declaration tells of ${declared} messages, and ${drained.length} were drained`,
      );
    }
    this.#checkOrder(drained);
    const lost: Entry[] = [];
    for (const entry of [...this.#entries.values()]) {
      if (found.has(entry)) {
        entry.doubts = 0;
        entry.confirmed = true;
        this.#known(entry);
      } else if (entry.place === 'queue') {
        if (this.#isRequired(entry)) lost.push(entry);
        else this.#missing(entry);
        this.forget(entry, 'it was missing when the queue was drained');
      }
    }
    if (lost.length > 0)
      this.#report(
        'lost',
        `${lost.length} messages: ${lost
          .slice(0, 8)
          .map((entry) => this.#describe(entry))
          .join('; ')}`,
      );
    for (const entry of drained) entry.rank = this.#nextRank++;
  }

  #known(entry: Entry): void {
    entry.knownAt = Math.min(entry.knownAt, this.#world.clock);
  }

  #isRequired({ confirmed, doubts }: Entry): boolean {
    return confirmed && doubts === 0;
  }

  /** The message is there, whatever was doubtful about it. */
  #certain(entry: Entry, trace: string): void {
    const { commit, ackCommit } = entry;
    if (commit?.state === 'open') this.#report('half', `${entry.id} ${trace} before ${commit} was committed`);
    if ((entry.doubts & COMMIT) !== 0) commit?.provesDone(`${entry.id}, which it published to ${this.name}, ${trace}`);
    if (ackCommit?.state === 'doubtful') {
      ackCommit.provesVoid(`${entry.id}, which it acknowledged in ${this.name}, ${trace}`);
      entry.ackCommit = null;
    }
    // What a client gets while a purge is on its way may have been delivered before it, and come back before it.
    entry.doubts &= this.#purgesUnderway > 0 ? REMOVED : 0;
    // Another process of the broker knows it from the disk only, so there it is.
    if (entry.born !== this.#world.life) entry.confirmed = true;
  }

  #missing({ id, commit, ackCommit, doubts }: Entry): void {
    if (doubts === COMMIT) commit?.provesVoid(`${id}, which it published to ${this.name}, is missing`);
    if (doubts === ACK_COMMIT) ackCommit?.provesDone(`${id}, which it acknowledged in ${this.name}, is missing`);
  }

  #checkPlace(entry: Entry, { who }: Stream): void {
    if (entry.place === 'client') {
      this.#report('duplicate', `${this.#describe(entry)} is delivered to ${who} while ${entry.holder} has it`);
    }
    if (entry.place === 'acknowledged') {
      this.#report('resurrected', `${this.#describe(entry)} is delivered to ${who}; ${entry.holder} acknowledged it`);
    }
  }

  #checkStream(entry: Entry, { who, newest }: Stream): void {
    const kin = `${entry.publisher} ${entry.priority}`;
    const before = newest.get(kin);
    if (before !== undefined && before >= entry.sequence) {
      this.#report('reordered', `${this.#describe(entry)} is delivered to ${who} after ${entry.publisher}:${before}`);
    }
    newest.set(kin, entry.sequence);
  }

  #checkOrder(drained: readonly Entry[]): void {
    const once = new Set<Entry>();
    for (const entry of drained) {
      if (once.has(entry)) this.#report('duplicate', `${this.#describe(entry)} was drained twice`);
      once.add(entry);
    }
    for (const [entry, before] of misplaced(drained.filter(({ isDisplaced }) => !isDisplaced))) {
      this.#report('reordered', `${this.#describe(entry)} stands behind ${this.#describe(before)}`);
    }
  }

  /** As basic.get gives them. */
  #inOrder(): Iterable<Entry> {
    const entries = this.#entries.values();
    if (this.traits.maxPriority === undefined) return entries;
    return [...entries].sort((a, b) => b.priority - a.priority);
  }

  #describe(entry: Entry): string {
    const { id, bytes, born, confirmed, seen, doubts, transient } = entry;
    const traits = [
      `${bytes} bytes`,
      transient ? 'transient' : 'persistent',
      `of life ${born}`,
      confirmed ? 'confirmed' : 'unconfirmed',
      seen ? 'delivered before' : 'never delivered',
      ...(doubts === 0 ? [] : [`doubts ${doubts}`]),
    ];
    return `${id} (${traits.join(', ')})`;
  }

  #report(kind: FindingKind, text: string): void {
    this.#world.findings.add(kind, `${this.name}: ${text}`);
  }
}
