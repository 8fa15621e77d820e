// A queue of type classic, or quorum on one node: messages wait in memory, and on disk where there is one. A message goes
// straight to a consumer that can take it; else it waits in its place.
import { BindingSet } from './binding.ts';
import type { Consumer, ConsumerHost } from './consumer.ts';
import { type ConsumerGroup, ConsumerRing } from './consumer-ring.ts';
import { type DeadlineTask, newDeadline } from './deadlines.ts';
import { queueTypeOf } from './declaration-checks.ts';
import { checkConsumer, checkQuorumGet } from './exclusive-use.ts';
import type { Message } from './message.ts';
import {
  type PlacedMessages,
  type QueueStore,
  type RecoveredQueue,
  type StoredQueue,
  survivesRestart,
} from './message-store.ts';
import { type Getter, PendingGets } from './pending-gets.ts';
import type { QueueLevel } from './positions.ts';
import { createReady } from './priority-messages.ts';
import type { Confirmation, Delivery, QueueSettings } from './queue.ts';
import { type ContentsOwner, QueueContents } from './queue-contents.ts';
import type { QueueContext } from './queue-context.ts';
import type { QueueFeatures } from './queue-features.ts';
import type { Ready } from './ready-messages.ts';
import { SingleActive } from './single-active.ts';
import type { TurnTask } from './turn.ts';

export class ClassicQueue implements ContentsOwner, ConsumerHost, StoredQueue, TurnTask, DeadlineTask {
  readonly settings: QueueSettings;
  readonly bindings = new BindingSet();
  readonly deadline = newDeadline();
  readonly #context: QueueContext;
  readonly #ready: Ready;
  readonly #store: QueueStore | null;
  readonly #contents: QueueContents;
  readonly #consumers: ConsumerGroup;
  /** Null until one has to wait for the disk. */
  #gets: PendingGets | null = null;
  /** Persistent messages survive a restart. */
  readonly #survives: boolean;
  readonly #isQuorum: boolean;
  #features: QueueFeatures;
  #lastUsedMs: number;
  #unacknowledged = 0;
  #inTurn = false;
  #delivers = false;
  #closed = false;

  /** @param recovered what it was before a restart; null for a new queue */
  constructor(settings: QueueSettings, context: QueueContext, recovered: RecoveredQueue | null = null) {
    this.settings = settings;
    this.#context = context;
    this.#isQuorum = queueTypeOf(settings.arguments) === 'quorum';
    this.#survives = survivesRestart(settings);
    this.#features = context.features(settings);
    this.#lastUsedMs = context.clock.epochMs();
    const isSingle = settings.arguments.get('x-single-active-consumer')?.value === true;
    this.#consumers = isSingle ? new SingleActive(!this.#isQuorum) : new ConsumerRing();
    this.#ready = createReady(settings.arguments, recovered, this.#isQuorum);
    this.#store = recovered === null ? context.createStore(this) : recovered.attach(this);
    this.#ready.store = this.#store;
    this.#contents = new QueueContents({
      queue: this,
      context,
      ready: this.#ready,
      store: this.#store,
      survives: this.#survives,
      isQuorum: this.#isQuorum,
      pagedBytes: recovered?.bodyBytes ?? 0,
    });
    const { departures } = this.#contents;
    for (const [position, count] of recovered?.deliveryCounts ?? []) departures.setDeliveryCount(position, count);
    this.applyFeatures(this.#features);
  }

  get isExchange(): false {
    return false;
  }

  get name(): string {
    return this.settings.name;
  }

  get features(): QueueFeatures {
    return this.#features;
  }

  get refusesGlobalPrefetch(): boolean {
    return this.#isQuorum;
  }

  get tellsDeliveryCount(): boolean {
    return this.#isQuorum;
  }

  get messageCount(): number {
    return this.#contents.count;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged;
  }

  get consumerCount(): number {
    return this.#consumers.size;
  }

  applyFeatures(features: QueueFeatures): void {
    this.#features = features;
    this.#contents.configure(features);
    this.#schedule();
  }

  used(): void {
    this.#lastUsedMs = this.#context.clock.epochMs();
  }

  publish(published: Message, confirmation: Confirmation | null, isLetter = false): void {
    const contents = this.#contents;
    if (contents.refuses(published) && !(isLetter && this.#isQuorum)) {
      this.#refuse(published, confirmation);
      return;
    }
    const message = contents.own(published);
    const consumer = contents.count === 0 ? this.#consumers.next() : null;
    if (consumer === null) {
      contents.add(message, confirmation);
      this.#inNextTurn();
    } else if (consumer.noAck) {
      this.#handOver(consumer, message, this.#ready.skip(message), false);
      confirmation?.settled(true);
    } else {
      this.#handOver(consumer, message, contents.addTaken(message, confirmation), false);
    }
  }

  /** What is still here after the turn it came in must not pin the chunks it came in. */
  endTurn(): void {
    this.#inTurn = false;
    this.#ready.isolate(this.#context.slab);
    if (!this.#delivers) return;
    this.#delivers = false;
    this.deliver();
  }

  turnFailed(error: unknown): void {
    // Copying bytes has no way to fail but a defect; the messages are as they were.
    this.#context.defect(error);
  }

  get(noAck: boolean, done: (delivery: Delivery | null) => void): void {
    this.used();
    const getter = { noAck, done };
    if (!this.#hasGetters && this.#serve(getter)) return;
    if (this.messageCount === 0) {
      done(null);
      return;
    }
    this.#gets ??= new PendingGets();
    this.#gets.add(getter);
    this.#store?.load();
  }

  checkGet(): void {
    if (this.#isQuorum) checkQuorumGet(this.name, this.#context.virtualHost, this.#consumers);
  }

  checkConsumer(consumer: Consumer): void {
    // RabbitMQ's quorum queues don't know exclusive consumers.
    if (!this.#isQuorum) checkConsumer(this.name, this.#context.virtualHost, this.#consumers, consumer);
  }

  logs(message: Message): boolean {
    return this.#contents.logs(message);
  }

  addConsumer(consumer: Consumer): void {
    consumer.host = this;
    this.#consumers.add(consumer);
    this.#schedule();
    this.deliver();
  }

  removeConsumer(consumer: Consumer): void {
    if (!this.#consumers.remove(consumer)) return;
    consumer.host = null;
    this.used();
    this.#schedule();
    if (this.#consumers.size > 0) this.#deliverSoon();
    else if (this.settings.autoDelete) this.#context.queueUnused(this);
  }

  consumerReady(consumer: Consumer): void {
    this.#consumers.markReady(consumer);
  }

  consumerBlocked(consumer: Consumer): void {
    this.#consumers.markBlocked(consumer);
  }

  acknowledge(message: Message, position: number): void {
    this.#countSettled();
    this.#contents.departures.forget(message, position);
  }

  reject(message: Message, position: number): void {
    this.#countSettled();
    const { departures } = this.#contents;
    if (this.#closed) departures.forget(message, position);
    else departures.discard(message, position, 'rejected');
  }

  requeue(message: Message, position: number): void {
    this.#takeBack(message, position, false);
  }

  abandon(message: Message, position: number): void {
    this.#takeBack(message, position, true);
  }

  deliver(): void {
    if (this.#contents.count === 0) return;
    this.#deliverReady();
    // What came back to a quorum queue goes to a consumer, if one can take it, before the limit counts it.
    if (this.#isQuorum) this.#contents.enforce();
  }

  purge(): number {
    const count = this.#contents.purge();
    this.#gets?.answerEmpty();
    return count;
  }

  close(): void {
    this.#closed = true;
    this.#context.deadlines.set(this, Infinity);
    const consumers = [...this.#consumers];
    for (const consumer of consumers) {
      consumer.host = null;
      this.#consumers.remove(consumer);
    }
    this.#contents.close();
    this.#gets?.answerEmpty();
    for (const consumer of consumers) consumer.sink.consumerCancelled(consumer);
  }

  deadlineReached(nowMs: number): void {
    if (nowMs >= this.#unusedAtMs) {
      this.#context.queueUnused(this);
      return;
    }
    try {
      this.#contents.run(nowMs);
    } finally {
      // A defect of ours with one message must not keep the others here.
      this.#schedule();
    }
  }

  nextChanged(): void {
    this.#schedule();
  }

  // What the disk asks

  get levels(): readonly QueueLevel[] {
    return this.#ready.levels;
  }

  get deliveryCounts(): ReadonlyMap<number, number> {
    return this.#contents.departures.deliveryCounts;
  }

  get isIdle(): boolean {
    return this.#consumers.size === 0;
  }

  get readyBytes(): number {
    return this.#ready.bytes;
  }

  giveUp(through: number, bytes = Infinity): PlacedMessages {
    return this.#contents.giveUp(through, this.#consumers.size > 0, bytes);
  }

  loaded(placed: PlacedMessages): void {
    this.#contents.loaded(placed);
    this.#gets?.serve((getter) => this.#serve(getter));
    if (this.messageCount === 0) this.#gets?.answerEmpty();
    else if (this.#hasGetters) this.#store?.load();
    this.deliver();
  }

  deadlinesFound(positions: readonly number[], deadlinesMs: readonly number[]): void {
    for (let i = 0; i < positions.length; i++) this.#contents.expiresAt(deadlinesMs[i], positions[i]);
  }

  get #hasGetters(): boolean {
    return this.#gets?.isWaiting === true;
  }

  /** When the queue has been without use for as long as it may be. */
  get #unusedAtMs(): number {
    return this.#consumers.size > 0 ? Infinity : this.#lastUsedMs + this.#features.expiresMs;
  }

  #schedule(): void {
    if (!this.#closed) this.#context.deadlines.set(this, Math.min(this.#contents.nextMs, this.#unusedAtMs));
  }

  #inNextTurn(): void {
    if (this.#inTurn) return;
    this.#inTurn = true;
    this.#context.turn.add(this);
  }

  /** When whatever happens now is over, since those who could take a message may be about to leave as well. */
  #deliverSoon(): void {
    this.#delivers = true;
    this.#inNextTurn();
  }

  #deliverReady(): void {
    const contents = this.#contents;
    while (this.#consumers.ready > 0 && !this.#hasGetters) {
      const message = contents.takeFirst();
      if (message === undefined) {
        if (this.#store !== null && this.#store.pagedCount > 0) this.#store.load();
        return;
      }
      const { position } = this.#ready;
      const redelivered = this.#ready.redelivered || contents.deliveryCountOf(position) > 0;
      const consumer = this.#consumers.next();
      if (consumer === null) {
        // What expired before it was dead-lettered to this consumer's connection, which is congested by now.
        contents.putBack(message, position);
        return;
      }
      this.#handOver(consumer, message, position, redelivered);
      if (consumer.noAck) contents.departures.forget(message, position);
    }
  }

  #takeBack(message: Message, position: number, isAbandoned: boolean): void {
    this.#countSettled();
    if (this.#closed) this.#contents.departures.forget(message, position);
    else this.#contents.giveBack(message, position, isAbandoned);
  }

  /** A full queue takes no more. */
  #refuse(message: Message, confirmation: Confirmation | null): void {
    const { overflow } = this.#features;
    if (overflow === 'reject-publish-dlx') this.#contents.departures.turnAway(message, 'maxlen');
    confirmation?.settled(false);
  }

  /** Gives the first message to a `get`; false when there is none, or it must be read from disk. */
  #serve({ noAck, done }: Getter): boolean {
    const message = this.#contents.takeFirst();
    if (message === undefined) return false;
    const { position } = this.#ready;
    this.#markDelivered(position);
    const deliveryCount = this.#contents.deliveryCountOf(position);
    const redelivered = this.#ready.redelivered || deliveryCount > 0;
    if (noAck) this.#contents.departures.forget(message, position);
    else this.#countDelivered();
    done({ message, position, redelivered, deliveryCount });
    return true;
  }

  #handOver(consumer: Consumer, message: Message, position: number, redelivered: boolean): void {
    this.#markDelivered(position);
    if (!consumer.noAck) {
      this.#countDelivered();
      consumer.take();
    }
    const deliveryCount = redelivered ? this.#contents.deliveryCountOf(position) : 0;
    consumer.sink.deliver(consumer, message, position, redelivered, deliveryCount);
  }

  #markDelivered(position: number): void {
    if (this.#ready.markDelivered(position) && this.#survives) this.#store?.delivered();
  }

  #countDelivered(): void {
    this.#unacknowledged++;
    this.#context.memory.delivered();
  }

  #countSettled(): void {
    this.#unacknowledged--;
    this.#context.memory.settled();
  }
}
