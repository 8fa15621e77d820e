// The ready messages of a queue and how they come and go: in memory and on disk, expiring, limited, dead-lettered. Knows no consumers.
import { Departures } from './departures.ts';
import { LengthLimit } from './length-limit.ts';
import type { Message } from './message.ts';
import { MessageExpiry } from './message-expiry.ts';
import type { PlacedMessages, QueueStore } from './message-store.ts';
import type { Confirmation, Queue } from './queue.ts';
import type { QueueContext } from './queue-context.ts';
import type { QueueFeatures } from './queue-features.ts';
import { KEPT_MESSAGES, type Ready } from './ready-messages.ts';

/** Fewer ready messages than this in memory, and the next ones are read from disk before they are needed. */
const READ_AHEAD_MESSAGES = 1024;

const NOTHING: PlacedMessages = { messages: [], positions: [] };

/** The queue that they belong to. */
export interface ContentsOwner extends Queue {
  /** `QueueContents.nextMs` is earlier than it was, or has changed by itself. */
  nextChanged(): void;
}

export interface QueueContentsParts {
  readonly queue: ContentsOwner;
  readonly context: QueueContext;
  readonly ready: Ready;
  /** Null where there is no disk. */
  readonly store: QueueStore | null;
  /** Persistent messages survive a restart. */
  readonly survives: boolean;
  /** All messages are persistent, and it is counted how often they come back. */
  readonly isQuorum: boolean;
  /** Bytes of the bodies that are on disk from before a restart. */
  readonly pagedBytes: number;
}

export class QueueContents {
  readonly departures: Departures;
  readonly #queue: ContentsOwner;
  readonly #context: QueueContext;
  readonly #ready: Ready;
  readonly #store: QueueStore | null;
  readonly #limit: LengthLimit;
  readonly #survives: boolean;
  readonly #isQuorum: boolean;
  /** Null until a message comes that expires. */
  #expiry: MessageExpiry | null = null;
  #messageTtlMs = Infinity;
  /** Messages are kept as they were published. */
  #keepsAsPublished = true;

  constructor({ queue, context, ready, store, survives, isQuorum, pagedBytes }: QueueContentsParts) {
    this.#queue = queue;
    this.#context = context;
    this.#ready = ready;
    this.#store = store;
    this.#survives = survives;
    this.#isQuorum = isQuorum;
    this.#limit = new LengthLimit(queue.features);
    this.#limit.recovered(pagedBytes);
    this.departures = new Departures(queue, context, store);
  }

  /** Ready messages. */
  get count(): number {
    return this.#ready.length + (this.#store?.pagedCount ?? 0);
  }

  /** When `run` wants to be called next. */
  get nextMs(): number {
    return this.#expiry?.nextMs ?? Infinity;
  }

  /** Lets go of what has expired. */
  run(nowMs: number): void {
    this.#expiry?.run(nowMs);
  }

  configure(features: QueueFeatures): void {
    this.#messageTtlMs = features.messageTtlMs;
    this.#keepsAsPublished = features.messageTtlMs === Infinity && !this.#isQuorum;
    this.#limit.configure(features);
    this.enforce();
  }

  /** Whether there is no room for a message. */
  refuses(message: Message): boolean {
    return this.#limit.mayRefuse && this.#limit.refuses(message, this.count + this.departures.heldCount);
  }

  /** Whether the disk keeps such a message, as it was published or as it is kept. */
  logs({ persistent }: Message): boolean {
    return this.#survives && this.#store !== null && (persistent || this.#isQuorum);
  }

  /** The message with the deadline and the persistence that it has in this queue; others may have it as it was published. */
  own(published: Message): Message {
    return this.#keepsAsPublished ? published : this.#ownCopy(published);
  }

  /** Takes a message that does not wait here: it goes straight to a consumer, say, who will settle it. Returns its position. */
  addTaken(message: Message, confirmation: Confirmation | null): number {
    const position = this.#ready.skip(message);
    this.#context.memory.retain(message);
    this.#keep(message, position, confirmation);
    return position;
  }

  /** Puts a message in its place. It may be gone at once, or make others go. */
  add(message: Message, confirmation: Confirmation | null): void {
    this.#context.memory.retain(message);
    const position = this.#ready.push(message);
    this.#keep(message, position, confirmation);
    this.#added(message, position);
  }

  /**
   * Takes the first message that has not expired; `Ready.position` and `Ready.redelivered` tell about it. Undefined when there is none,
   * or when it must be read from disk.
   */
  takeFirst(): Message | undefined {
    for (;;) {
      const message = this.#shift();
      if (message === undefined || !this.#isExpired(message)) return message;
      this.departures.discard(message, this.#ready.position, 'expired');
    }
  }

  /** Puts back what `takeFirst` took, as if it had not. */
  putBack(message: Message, position: number): void {
    this.#isolate(message);
    this.#ready.giveBack(message, position, true);
    this.#limit.added(message);
  }

  /** A message that was delivered comes back. `isAbandoned`: nobody gave it back, whoever had it is gone. */
  giveBack(message: Message, position: number, isAbandoned: boolean): void {
    const returns = this.#countReturn(message, position);
    if (this.#isQuorum && returns > this.#queue.features.deliveryLimit) {
      this.departures.discard(message, position, 'delivery_limit');
      return;
    }
    if (this.#isExpired(message)) {
      this.departures.discard(message, position, 'expired');
      return;
    }
    this.#isolate(message);
    if (this.#isQuorum && !isAbandoned && this.#queue.features.deliveryLimit === Infinity) {
      this.#moveToEnd(message, position, returns);
      return;
    }
    this.#ready.giveBack(message, position);
    this.#added(message, position, this.#isQuorum);
  }

  /** The first make room for the others where there is a limit. */
  enforce(): void {
    while (this.#limit.isExceeded(this.count)) {
      const dropped = this.#shift();
      if (dropped === undefined) {
        // The first are on disk alone: `loaded` goes on.
        this.#store?.load();
        return;
      }
      this.departures.discard(dropped, this.#ready.position, 'maxlen');
    }
  }

  /** How often a message came back; 0 where nobody counts. */
  deliveryCountOf(position: number): number {
    return this.#isQuorum ? (this.departures.deliveryCounts.get(position) ?? 0) : 0;
  }

  purge(): number {
    this.departures.dropPagedCounts();
    const paged = this.#store?.purge() ?? 0;
    const inMemory = this.#ready.clear((message, position) => this.departures.forget(message, position));
    this.#limit.clear();
    this.#expiry?.clear();
    return paged + inMemory;
  }

  /** The queue is deleted. */
  close(): void {
    this.#store?.delete();
    this.departures.close();
    this.#ready.clear((message, position) => this.departures.forget(message, position));
    this.#expiry?.clear();
  }

  /** See `StoredQueue.giveUp`; `keeps`: somebody is about to get the first messages. */
  giveUp(through: number, keeps: boolean, bytes: number): PlacedMessages {
    const isPressed = through < 0;
    if (!isPressed && through < this.#ready.firstPosition) return NOTHING;
    // The account must not free what still holds a chunk: what leaves is copied first, like what stays.
    this.#ready.isolate(this.#context.slab);
    const placed = this.#ready.giveUp(isPressed ? this.#keptFor(bytes, keeps) : 0);
    this.#limit.gaveUp(placed.messages);
    this.#expiry?.gaveUp();
    return placed;
  }

  loaded(placed: PlacedMessages): void {
    this.#ready.addLoaded(placed);
    this.#limit.loaded(placed.messages, this.#store?.pagedCount === 0);
    this.enforce();
  }

  /** The message at a position expires. */
  expiresAt(deadlineMs: number, position: number): void {
    this.#expiry ??= new MessageExpiry({
      queue: this.#queue,
      ready: this.#ready,
      store: this.#store,
      limit: this.#limit,
      departures: this.departures,
      memory: this.#context.memory,
      addTaken: (message) => this.addTaken(message, null),
      nextChanged: () => this.#queue.nextChanged(),
    });
    const before = this.#expiry.nextMs;
    this.#expiry.add(deadlineMs, position);
    if (this.#expiry.nextMs < before) this.#queue.nextChanged();
  }

  #ownCopy(published: Message): Message {
    let { expiresAtMs } = published;
    if (this.#messageTtlMs !== Infinity) {
      const deadlineMs = this.#context.clock.epochMs() + this.#messageTtlMs;
      if (expiresAtMs === 0 || deadlineMs < expiresAtMs) expiresAtMs = deadlineMs;
    }
    const persistent = published.persistent || this.#isQuorum;
    if (expiresAtMs === published.expiresAtMs && persistent === published.persistent) return published;
    const copy = published.copy();
    copy.expiresAtMs = expiresAtMs;
    copy.persistent = persistent;
    return copy;
  }

  /** Has the message written, if it is to survive, and confirmed when it is safe. */
  #keep(message: Message, position: number, confirmation: Confirmation | null): void {
    if (this.logs(message)) {
      this.#store?.add(message, position, confirmation);
    } else {
      confirmation?.settled(true);
    }
  }

  /** A message is ready in its place. `mayLeave`: the limit counts it after the next delivery. */
  #added(message: Message, position: number, mayLeave = false): void {
    this.#limit.added(message);
    // The limit comes before expiry, as in RabbitMQ: a message that is gone at once may push out another.
    if (!mayLeave && this.#limit.dropsFirst) this.enforce();
    if (message.expiresAtMs === 0) return;
    // What is due before it, and did not have its turn yet, leaves before it.
    const isFirst = this.#expiry === null || message.expiresAtMs <= this.#expiry.firstMs;
    if (!isFirst || !this.#isExpired(message)) {
      this.expiresAt(message.expiresAtMs, position);
    } else if (this.#ready.take(position) !== undefined) {
      this.#limit.removed(message);
      this.departures.discard(message, position, 'expired');
    }
  }

  /** How many of the first messages stay when so many bytes are wanted. */
  #keptFor(bytes: number, keeps: boolean): number {
    const { length, bytes: all } = this.#ready;
    const least = keeps ? KEPT_MESSAGES : 0;
    return bytes >= all ? least : Math.max(least, Math.floor(length * (1 - bytes / all)));
  }

  #shift(): Message | undefined {
    const ready = this.#ready;
    const message = ready.shift();
    if (message === undefined) return undefined;
    this.#limit.removed(message);
    // What comes next may be on disk although others, which came later, are in memory.
    const store = this.#store;
    if (store !== null && store.pagedCount > 0) {
      const ahead = Math.min(ready.length, store.nextPaged - ready.position);
      if (ahead < READ_AHEAD_MESSAGES) store.load();
    }
    return message;
  }

  /** As in RabbitMQ's quorum queues without a delivery limit: what is given back can't keep the others from their turn. */
  #moveToEnd(message: Message, position: number, returns: number): void {
    const { memory } = this.#context;
    this.departures.dropDeliveryCount(position);
    this.#store?.moved(message, position);
    const moved = message.forAnotherPlace();
    memory.retain(moved);
    memory.release(message);
    const end = this.#ready.push(moved);
    this.departures.setDeliveryCount(end, returns);
    this.#keep(moved, end, null);
    if (this.#survives) this.#store?.returned(end);
    this.#added(moved, end, true);
  }

  /** It may wait here for long, and `Ready.isolate` looks at new messages only. */
  #isolate(message: Message): void {
    const { slab } = this.#context;
    slab.begin(message.bytesToIsolate);
    message.isolate(slab);
  }

  #isExpired({ expiresAtMs }: Message): boolean {
    return expiresAtMs !== 0 && expiresAtMs <= this.#context.clock.epochMs();
  }

  /** Counts that a message came back, where that is kept, and returns how often it did. */
  #countReturn(message: Message, position: number): number {
    const isLogged = this.logs(message);
    if (!isLogged && !this.#isQuorum) return 0;
    const count = (this.departures.deliveryCounts.get(position) ?? 0) + 1;
    this.departures.setDeliveryCount(position, count);
    if (isLogged) this.#store?.returned(position);
    return count;
  }
}
