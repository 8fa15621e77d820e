// A queue in memory. A message goes straight to a consumer that can take it; else it waits in its place.
import { BindingSet } from './binding.ts';
import type { Consumer, ConsumerHost } from './consumer.ts';
import { ConsumerRing } from './consumer-ring.ts';
import { BrokerError, describeResource } from './errors.ts';
import { LengthLimit } from './length-limit.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { Message } from './message.ts';
import type { Confirmation, Delivery, Queue, QueueSettings } from './queue.ts';
import { ReadyMessages } from './ready-messages.ts';
import type { RetentionSlab } from './retention-slab.ts';
import type { TurnScheduler, TurnTask } from './turn.ts';

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
}

export class ClassicQueue implements Queue, ConsumerHost, TurnTask {
  readonly settings: QueueSettings;
  readonly bindings = new BindingSet();
  readonly #context: QueueContext;
  readonly #ready = new ReadyMessages();
  readonly #consumers = new ConsumerRing();
  readonly #limit: LengthLimit | null;
  #unacknowledged = 0;
  #inTurn = false;
  #closed = false;

  constructor(settings: QueueSettings, context: QueueContext) {
    this.settings = settings;
    this.#context = context;
    this.#limit = LengthLimit.of(settings.arguments);
  }

  get isExchange(): false {
    return false;
  }

  get name(): string {
    return this.settings.name;
  }

  get messageCount(): number {
    return this.#ready.length;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged;
  }

  get consumerCount(): number {
    return this.#consumers.size;
  }

  publish(message: Message, confirmation: Confirmation | null): void {
    if (this.#limit?.refuses(message, this.#ready.length) === true) {
      confirmation?.settled(false);
      return;
    }
    const consumer = this.#ready.length === 0 ? this.#consumers.next() : null;
    if (consumer === null) {
      this.#store(message);
    } else {
      if (!consumer.noAck) this.#context.memory.retain(message);
      this.#handOver(consumer, message, this.#ready.skip(), false);
    }
    confirmation?.settled(true);
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

  get(noAck: boolean): Delivery | null {
    const message = this.#takeFirst();
    if (message === undefined) return null;
    const delivery = { message, position: this.#ready.position, redelivered: this.#ready.redelivered };
    if (noAck) this.#context.memory.release(message);
    else this.#countDelivered();
    return delivery;
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

  acknowledge(message: Message): void {
    this.#countSettled();
    this.#context.memory.release(message);
  }

  reject(message: Message): void {
    this.#countSettled();
    this.#context.memory.release(message);
  }

  requeue(message: Message, position: number): void {
    this.#countSettled();
    if (this.#closed) {
      this.#context.memory.release(message);
      return;
    }
    // It may wait here for long, and `endTurn` looks at new messages only.
    this.#context.slab.begin(message.bytesToIsolate);
    message.isolate(this.#context.slab);
    this.#ready.giveBack(message, position);
    if (this.#limit !== null) this.#keepLimit(this.#limit, message);
  }

  deliver(): void {
    const ready = this.#ready;
    while (ready.length > 0) {
      const consumer = this.#consumers.next();
      if (consumer === null) return;
      const message = this.#takeFirst();
      if (message === undefined) return;
      this.#handOver(consumer, message, ready.position, ready.redelivered);
      if (consumer.noAck) this.#context.memory.release(message);
    }
  }

  purge(): number {
    return this.#ready.clear((message) => {
      this.#limit?.removed(message);
      this.#context.memory.release(message);
    });
  }

  close(): void {
    this.#closed = true;
    const consumers = [...this.#consumers];
    for (const consumer of consumers) {
      consumer.host = null;
      this.#consumers.remove(consumer);
    }
    this.purge();
    for (const consumer of consumers) consumer.sink.consumerCancelled(consumer);
  }

  #store(message: Message): void {
    this.#context.memory.retain(message);
    this.#ready.push(message);
    if (this.#limit !== null) this.#keepLimit(this.#limit, message);
    if (this.#inTurn) return;
    this.#inTurn = true;
    this.#context.turn.add(this);
  }

  #takeFirst(): Message | undefined {
    const message = this.#ready.shift();
    if (message !== undefined) this.#limit?.removed(message);
    return message;
  }

  /** A message was added: the oldest make room for it where there is a limit. */
  #keepLimit(limit: LengthLimit, added: Message): void {
    limit.added(added);
    while (limit.isExceeded(this.#ready.length)) {
      const dropped = this.#takeFirst();
      if (dropped === undefined) return;
      this.#context.memory.release(dropped);
    }
  }

  #handOver(consumer: Consumer, message: Message, position: number, redelivered: boolean): void {
    if (!consumer.noAck) {
      this.#countDelivered();
      consumer.take();
    }
    consumer.sink.deliver(consumer, message, position, redelivered);
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
