// A queue whose messages wait in memory, and on disk where there is one. A message goes straight to a consumer that can take it;
// else it waits in its place.
import { BindingSet } from './binding.ts';
import type { Consumer, ConsumerHost } from './consumer.ts';
import { ConsumerRing } from './consumer-ring.ts';
import { BrokerError, describeResource } from './errors.ts';
import { LengthLimit } from './length-limit.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { Message } from './message.ts';
import {
  type PlacedMessages,
  type QueueStore,
  type RecoveredQueue,
  type StoredQueue,
  survivesRestart,
} from './message-store.ts';
import type { Confirmation, Delivery, Queue, QueueSettings } from './queue.ts';
import { ReadyMessages } from './ready-messages.ts';
import type { RetentionSlab } from './retention-slab.ts';
import type { TurnScheduler, TurnTask } from './turn.ts';

/** Fewer ready messages than this in memory, and the next ones are read from disk before they are needed. */
const READ_AHEAD_MESSAGES = 1024;

const NOTHING: PlacedMessages = { messages: [], positions: [] };

/** What a queue needs from its virtual host. */
export interface QueueContext {
  readonly virtualHost: string;
  readonly memory: MemoryAccount;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  /** Logs a defect of ours. */
  defect(error: unknown): void;
  /** The last consumer left an auto-delete queue. */
  queueUnused(queue: Queue): void;
  /** Room on disk for a queue that comes into being; null where there is no disk. */
  createStore(queue: StoredQueue): QueueStore | null;
}

/** A `get` that waits for the disk. */
interface Getter {
  readonly noAck: boolean;
  readonly done: (delivery: Delivery | null) => void;
}

export class ClassicQueue implements Queue, ConsumerHost, StoredQueue, TurnTask {
  readonly settings: QueueSettings;
  readonly bindings = new BindingSet();
  readonly #context: QueueContext;
  readonly #ready = new ReadyMessages();
  readonly #consumers = new ConsumerRing();
  readonly #limit: LengthLimit | null;
  readonly #store: QueueStore | null;
  /** Persistent messages survive a restart. */
  readonly #survives: boolean;
  readonly #deliveryCounts = new Map<number, number>();
  #getters: Getter[] = [];
  #unacknowledged = 0;
  #inTurn = false;
  #closed = false;

  /** @param recovered what it was before a restart; null for a new queue */
  constructor(settings: QueueSettings, context: QueueContext, recovered: RecoveredQueue | null = null) {
    this.settings = settings;
    this.#context = context;
    this.#limit = LengthLimit.of(settings.arguments);
    this.#survives = survivesRestart(settings);
    if (recovered !== null) {
      this.#ready.nextPosition = recovered.nextPosition;
      this.#ready.deliveredTo = recovered.deliveredTo;
      for (const [position, count] of recovered.deliveryCounts) this.#deliveryCounts.set(position, count);
      this.#limit?.recovered(recovered.bodyBytes ?? 0);
    }
    this.#store = recovered === null ? context.createStore(this) : recovered.attach(this);
    this.#ready.store = this.#store;
  }

  get isExchange(): false {
    return false;
  }

  get name(): string {
    return this.settings.name;
  }

  get messageCount(): number {
    return this.#ready.length + (this.#store?.pagedCount ?? 0);
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged;
  }

  get consumerCount(): number {
    return this.#consumers.size;
  }

  publish(message: Message, confirmation: Confirmation | null): void {
    if (this.#limit?.refuses(message, this.messageCount) === true) {
      confirmation?.settled(false);
      return;
    }
    const consumer = this.messageCount === 0 ? this.#consumers.next() : null;
    if (consumer === null) {
      this.#enqueue(message, confirmation);
      return;
    }
    const position = this.#ready.skip();
    if (!consumer.noAck) {
      this.#context.memory.retain(message);
      this.#keep(message, position, confirmation);
    }
    this.#handOver(consumer, message, position, false);
    if (consumer.noAck) confirmation?.settled(true);
  }

  /** What is still here after the turn it came in must not pin the chunks it came in. */
  endTurn(): void {
    this.#inTurn = false;
    this.#ready.isolate(this.#context.slab);
  }

  turnFailed(error: unknown): void {
    // Copying bytes has no way to fail but a defect; the messages are as they were.
    this.#context.defect(error);
  }

  get(noAck: boolean, done: (delivery: Delivery | null) => void): void {
    if (this.messageCount === 0) {
      done(null);
      return;
    }
    const getter = { noAck, done };
    if (this.#getters.length === 0 && this.#serve(getter)) return;
    this.#getters.push(getter);
    this.#store?.load();
  }

  checkConsumer(consumer: Consumer): void {
    const { first } = this.#consumers;
    if (first === undefined || (!consumer.exclusive && !first.exclusive)) return;
    const resource = describeResource('queue', this.name, this.#context.virtualHost);
    throw new BrokerError('ACCESS_REFUSED', `${resource} in exclusive use`);
  }

  addConsumer(consumer: Consumer): void {
    consumer.host = this;
    this.#consumers.add(consumer);
    this.deliver();
  }

  removeConsumer(consumer: Consumer): void {
    if (!this.#consumers.remove(consumer)) return;
    consumer.host = null;
    if (this.#consumers.size === 0 && this.settings.autoDelete) this.#context.queueUnused(this);
  }

  consumerReady(consumer: Consumer): void {
    this.#consumers.markReady(consumer);
  }

  consumerBlocked(consumer: Consumer): void {
    this.#consumers.markBlocked(consumer);
  }

  acknowledge(message: Message, position: number): void {
    this.#countSettled();
    this.#forget(message, position);
  }

  reject(message: Message, position: number): void {
    this.#countSettled();
    this.#forget(message, position);
  }

  requeue(message: Message, position: number): void {
    this.#countSettled();
    if (this.#closed) {
      this.#forget(message, position);
      return;
    }
    // It may wait here for long, and `endTurn` looks at new messages only.
    this.#context.slab.begin(message.bytesToIsolate);
    message.isolate(this.#context.slab);
    if (this.#survives && message.persistent && this.#store !== null) {
      const count = (this.#deliveryCounts.get(position) ?? 0) + 1;
      this.#deliveryCounts.set(position, count);
      this.#store.returned(message, position, count);
    }
    this.#ready.giveBack(message, position);
    if (this.#limit !== null) this.#keepLimit(this.#limit, message);
  }

  deliver(): void {
    if (this.messageCount === 0) return;
    for (;;) {
      const consumer = this.#consumers.ready > 0 && this.#getters.length === 0 ? this.#consumers.next() : null;
      if (consumer === null) return;
      const message = this.#takeFirst();
      if (message === undefined) break;
      const { position } = this.#ready;
      this.#handOver(consumer, message, position, this.#ready.redelivered);
      if (consumer.noAck) this.#forget(message, position);
    }
    if (this.#store !== null && this.#store.pagedCount > 0) this.#store.load();
  }

  purge(): number {
    const paged = this.#store?.purge() ?? 0;
    const inMemory = this.#ready.clear((message, position) => this.#forget(message, position));
    this.#limit?.clear();
    this.#answerGetters();
    return paged + inMemory;
  }

  close(): void {
    this.#closed = true;
    const consumers = [...this.#consumers];
    for (const consumer of consumers) {
      consumer.host = null;
      this.#consumers.remove(consumer);
    }
    this.#store?.delete();
    this.#ready.clear((message, position) => this.#forget(message, position));
    this.#answerGetters();
    for (const consumer of consumers) consumer.sink.consumerCancelled(consumer);
  }

  // What the disk asks

  get deliveredTo(): number {
    return this.#ready.deliveredTo;
  }

  get nextPosition(): number {
    return this.#ready.nextPosition;
  }

  get deliveryCounts(): ReadonlyMap<number, number> {
    return this.#deliveryCounts;
  }

  get isIdle(): boolean {
    return this.#consumers.size === 0;
  }

  get readyBytes(): number {
    return this.#ready.bytes;
  }

  giveUp(through: number): PlacedMessages {
    const isPressed = through < 0;
    if (!isPressed && through < this.#ready.firstPosition) return NOTHING;
    // The account must not free what still holds a chunk: what leaves is copied first, like what stays.
    this.#ready.isolate(this.#context.slab);
    const placed = this.#ready.giveUp(isPressed && this.#consumers.size > 0);
    this.#limit?.gaveUp(placed.messages);
    return placed;
  }

  loaded(placed: PlacedMessages): void {
    this.#ready.addLoaded(placed);
    if (this.#limit !== null) {
      this.#limit.loaded(placed.messages);
      this.#enforce(this.#limit);
    }
    while (this.#getters.length > 0 && this.#serve(this.#getters[0])) this.#getters.shift();
    if (this.messageCount === 0) this.#answerGetters();
    else if (this.#getters.length > 0) this.#store?.load();
    this.deliver();
  }

  /** It waits in its place, and survives where that was asked for. */
  #enqueue(message: Message, confirmation: Confirmation | null): void {
    this.#context.memory.retain(message);
    const position = this.#ready.push(message);
    this.#keep(message, position, confirmation);
    if (this.#limit !== null) this.#keepLimit(this.#limit, message);
    if (this.#inTurn) return;
    this.#inTurn = true;
    this.#context.turn.add(this);
  }

  /** Has the message written, if it is to survive, and confirmed when it is safe. */
  #keep(message: Message, position: number, confirmation: Confirmation | null): void {
    if (this.#survives && message.persistent && this.#store !== null) this.#store.add(message, position, confirmation);
    else confirmation?.settled(true);
  }

  /** The message leaves the queue for good. */
  #forget(message: Message, position: number): void {
    if (this.#store !== null) this.#store.remove(message, position);
    if (this.#deliveryCounts.size > 0) this.#deliveryCounts.delete(position);
    this.#context.memory.release(message);
  }

  #takeFirst(): Message | undefined {
    const ready = this.#ready;
    const message = ready.shift();
    if (message === undefined) return undefined;
    this.#limit?.removed(message);
    if (this.#store !== null && ready.length < READ_AHEAD_MESSAGES && this.#store.pagedCount > 0) this.#store.load();
    return message;
  }

  /** A message was added: the oldest make room for it where there is a limit. */
  #keepLimit(limit: LengthLimit, added: Message): void {
    limit.added(added);
    this.#enforce(limit);
  }

  #enforce(limit: LengthLimit): void {
    while (limit.isExceeded(this.messageCount)) {
      const dropped = this.#takeFirst();
      if (dropped === undefined) {
        // The oldest are on disk alone: `loaded` goes on.
        this.#store?.load();
        return;
      }
      this.#forget(dropped, this.#ready.position);
    }
  }

  /** Gives the first message to a `get`; false when it must be read from disk. */
  #serve({ noAck, done }: Getter): boolean {
    const message = this.#takeFirst();
    if (message === undefined) return false;
    const { position, redelivered } = this.#ready;
    this.#markDelivered(position);
    if (noAck) this.#forget(message, position);
    else this.#countDelivered();
    done({ message, position, redelivered });
    return true;
  }

  /** There is nothing left for those who wait. */
  #answerGetters(): void {
    const getters = this.#getters;
    this.#getters = [];
    for (const { done } of getters) done(null);
  }

  #handOver(consumer: Consumer, message: Message, position: number, redelivered: boolean): void {
    this.#markDelivered(position);
    if (!consumer.noAck) {
      this.#countDelivered();
      consumer.take();
    }
    consumer.sink.deliver(consumer, message, position, redelivered);
  }

  #markDelivered(position: number): void {
    if (position < this.#ready.deliveredTo) return;
    this.#ready.deliveredTo = position + 1;
    if (this.#survives && this.#store !== null) this.#store.delivered();
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
