// The consuming side of a channel: its consumers, what it delivered and was not settled yet, and its prefetch limits.
import { BASIC_CANCEL } from '../../../codec/generated/methods.ts';
import { BLOCKED_BY_OUTPUT, BLOCKED_BY_SESSION_PREFETCH, Consumer, type ConsumerOptions } from '../../core/consumer.ts';
import { BrokerError, describeResource } from '../../core/errors.ts';
import type { Message } from '../../core/message.ts';
import { generateConsumerTag } from '../../core/names.ts';
import type { DeliverySink } from '../../core/ports.ts';
import type { Delivery, Queue } from '../../core/queue.ts';
import type { RetentionSlab } from '../../core/retention-slab.ts';
import { AmqpError } from './amqp-error.ts';
import type { Channel } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import { withDeliveryCount } from './delivery-count.ts';
import { DeliveryTimeouts } from './delivery-timeouts.ts';
import { DeliveryWriter } from './delivery-writer.ts';
import { encodeTag, Subscription } from './subscription.ts';
import { UnackedDeliveries, type UnackedDelivery } from './unacked-deliveries.ts';

/** What basic.ack, nack, reject and recover, and the end of the channel, do with a delivery. */
export type Settlement = 'acknowledge' | 'reject' | 'requeue' | 'abandon';

/** What basic.consume asks for, its queue aside. */
export type ConsumeRequest = Pick<ConsumerOptions, 'tag' | 'noAck' | 'exclusive' | 'priority' | 'arguments'>;

export class Deliveries {
  readonly unacked = new UnackedDeliveries();
  readonly #channel: Channel;
  readonly #host: ChannelHost;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #timeouts: DeliveryTimeouts;
  #nextTag = 1;
  /** basic.qos for the consumers to come. */
  prefetch = 0;
  /** basic.qos for all of the channel together; 0 is no limit. */
  #sessionLimit = 0;
  /** Unsettled deliveries to consumers: what the session limit counts. */
  #sessionCount = 0;
  #sessionBlocked = false;
  #firstToResume = 0;
  /** Consumers that the client was not told of yet that they are cancelled. */
  #cancelled: string[] = [];
  /** The consumer of direct replies; its queue is private to it. */
  #reply: { readonly tag: string; readonly queue: Queue; readonly consumer: Consumer } | null = null;

  constructor(channel: Channel, host: ChannelHost) {
    this.#channel = channel;
    this.#host = host;
    this.#timeouts = new DeliveryTimeouts(this.unacked, host.session.consumerTimeoutMs);
  }

  /** Where replies to this channel are published; undefined when it consumes none. */
  get replyAddress(): string | undefined {
    return this.#reply?.queue.name;
  }

  /** The tag of a consumer to come: the wanted one, or one made up when that is empty. @throws {BrokerError} NOT_ALLOWED when it is in use */
  claimTag(wanted: string): string {
    const tag = wanted === '' ? generateConsumerTag() : wanted;
    if (this.#subscriptions.has(tag) || this.#reply?.tag === tag) {
      throw new BrokerError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
    }
    return tag;
  }

  /**
   * Makes the consumer. `announce` is called before the first delivery, so that consume-ok goes first.
   * @throws {AmqpError} NOT_IMPLEMENTED when the channel has a limit as a whole that the queue doesn't know
   * @throws {BrokerError} ACCESS_REFUSED when exclusive use forbids it
   */
  consume(queue: Queue, request: ConsumeRequest, announce: () => void): void {
    if (this.#sessionLimit > 0 && queue.refusesGlobalPrefetch) {
      const resource = describeResource('queue', queue.name, this.#host.session.virtualHost.name);
      throw new AmqpError('NOT_IMPLEMENTED', `${resource} does not support global qos`);
    }
    const subscription = new Subscription(request.tag, queue, this.#channel.number, this);
    const consumer = this.#createConsumer(subscription, request);
    subscription.consumer = consumer;
    queue.checkConsumer(consumer);
    this.#subscriptions.set(request.tag, subscription);
    announce();
    queue.addConsumer(consumer);
  }

  /** Makes the consumer of direct replies. @throws {AmqpError} as RabbitMQ for a second one, or one that would acknowledge */
  consumeReplies(request: ConsumeRequest, announce: () => void): void {
    if (this.#reply !== null) throw new AmqpError('PRECONDITION_FAILED', 'reply consumer already set');
    if (!request.noAck) throw new AmqpError('PRECONDITION_FAILED', 'reply consumer cannot acknowledge');
    const { tag } = request;
    const sink = new ReplySink(tag, this.#channel, this.#host, () => this.#nextTag);
    const consumer = this.#createConsumer(sink, { ...request, exclusive: false, priority: 0 });
    announce();
    this.#reply = { tag, queue: this.#host.session.virtualHost.openReplyQueue(consumer), consumer };
  }

  /** Ends a consumer, if there is one of that tag. */
  cancel(tag: string): void {
    if (this.#reply?.tag === tag) {
      this.#host.session.virtualHost.closeReplyQueue(this.#reply.queue);
      this.#reply = null;
      return;
    }
    const subscription = this.#subscriptions.get(tag);
    if (subscription === undefined) return;
    this.#forget(subscription);
    if (subscription.consumer !== null) subscription.queue.removeConsumer(subscription.consumer);
  }

  /** The queue is gone, and its consumer with it. The client hears of it after the answer to what it just asked. */
  cancelledByServer(subscription: Subscription): void {
    this.#forget(subscription);
    if (!this.#host.session.wantsCancelNotify) return;
    this.#cancelled.push(subscription.tag);
    this.#host.atEndOfTurn(this.#channel);
  }

  /** True when the client was not told yet of all the consumers that went with their queues. */
  get owesCancels(): boolean {
    return this.#cancelled.length > 0;
  }

  /** Tells the client which consumers went with their queues. */
  flushCancels(): void {
    for (const consumerTag of this.#cancelled) this.#channel.send({ id: BASIC_CANCEL, consumerTag, noWait: true });
    this.#cancelled = [];
  }

  deliver(
    subscription: Subscription,
    consumer: Consumer,
    message: Message,
    position: number,
    redelivered: boolean,
    deliveryCount: number,
  ): void {
    const host = this.#host;
    const tag = this.#nextTag++;
    if (!consumer.noAck) {
      this.unacked.add({ tag, message, source: subscription, position });
      this.#sessionCount++;
      if (this.#sessionCount >= this.#sessionLimit && this.#sessionLimit > 0) this.#blockSession();
    }
    const told = deliveryCount > 0 ? withDeliveryCount(message, deliveryCount) : message;
    subscription.writer.write(host.output, host.session.frameMax, tag, redelivered, told);
    host.wrote();
  }

  /** Counts a message that basic.get took, and returns its delivery tag. */
  take(queue: Queue, delivery: Delivery, noAck: boolean): number {
    const tag = this.#nextTag++;
    const { message, position } = delivery;
    if (noAck) return tag;
    this.unacked.add({ tag, message, source: { queue, consumer: null }, position });
    this.#timeouts.watch(queue);
    return tag;
  }

  /**
   * Called about once a second.
   * @throws {AmqpError} PRECONDITION_FAILED when a delivery waited too long for its acknowledgement
   */
  tick(now: number): void {
    const mayReturn = this.#mayReturn;
    if (this.unacked.size === 0 && !mayReturn) {
      this.#timeouts.clear();
      return;
    }
    for (const { queue } of this.#subscriptions.values()) this.#timeouts.watch(queue);
    const exceededMs = this.#timeouts.tick(now, this.#nextTag, mayReturn);
    if (exceededMs !== undefined) throw timedOut(this.#channel.number, exceededMs);
  }

  /** What a transaction acknowledged is in time, but a rollback may bring it back. */
  get #mayReturn(): boolean {
    return (this.#channel.transaction?.settlements.length ?? 0) > 0;
  }

  /** What a transaction acknowledged is unacknowledged again, under the same tags. */
  restore(deliveries: readonly UnackedDelivery[]): void {
    this.unacked.restore(deliveries);
    this.#timeouts.restored();
  }

  /** basic.qos with global set: limits the channel as a whole, at once. */
  limitSession(count: number): void {
    this.#sessionLimit = count;
    if (count > 0 && this.#sessionCount >= count) this.#blockSession();
    else this.#unblockSession();
  }

  /**
   * Takes the deliveries that an ack, nack or reject names out of the unsettled ones.
   * @param tag 0 with `multiple` for all
   * @throws {AmqpError} PRECONDITION_FAILED for an unknown tag; nothing is taken then
   */
  claim(tag: number, multiple: boolean): UnackedDelivery[] {
    const { unacked } = this;
    if (multiple && tag === 0) return unacked.takeAll();
    if (!multiple) {
      const delivery = unacked.take(tag);
      if (delivery !== undefined) return [delivery];
    } else if (unacked.has(tag)) {
      const taken: UnackedDelivery[] = [];
      unacked.takeUpTo(tag, (delivery) => taken.push(delivery));
      return taken;
    }
    throw new AmqpError('PRECONDITION_FAILED', `unknown delivery tag ${tag}`);
  }

  /** Acknowledges one delivery: what `claim` and `settle` do, without a list. @throws {AmqpError} as `claim` */
  acknowledge(tag: number): void {
    const delivery = this.unacked.take(tag);
    if (delivery === undefined) throw new AmqpError('PRECONDITION_FAILED', `unknown delivery tag ${tag}`);
    const { consumer, queue } = delivery.source;
    queue.acknowledge(delivery.message, delivery.position);
    if (consumer === null) return;
    consumer.settle();
    this.#sessionCount--;
    this.#unblockSession();
    queue.deliver();
  }

  /** Settles deliveries that were claimed, then lets their queues go on. Dead letters find the room that this makes. */
  settle(deliveries: readonly UnackedDelivery[], settlement: Settlement): void {
    this.#host.session.virtualHost.lettersAfter(() => {
      const queues = new Set<Queue>();
      for (const { message, source, position } of deliveries) {
        source.queue[settlement](message, position);
        queues.add(source.queue);
        if (source.consumer === null) continue;
        source.consumer.settle();
        this.#sessionCount--;
      }
      this.#unblockSession();
      for (const queue of queues) queue.deliver();
    });
    // Rather than at the next tick: queues may come and go by the thousand until then.
    if (this.unacked.size === 0 && !this.#mayReturn) this.#timeouts.clear();
  }

  /** The connection has no room for deliveries now. */
  pause(): void {
    for (const { consumer } of this.#subscriptions.values()) consumer?.block(BLOCKED_BY_OUTPUT);
    this.#reply?.consumer.block(BLOCKED_BY_OUTPUT);
  }

  /** The connection has room again. */
  resume(): void {
    if (this.#subscriptions.size > 0) this.#unblockAll(BLOCKED_BY_OUTPUT);
    if (this.#reply === null) return;
    this.#reply.consumer.unblock(BLOCKED_BY_OUTPUT);
    this.#reply.queue.deliver();
  }

  /** Ends all consumers; what they hold stays until `requeueAll`. */
  cancelAll(): void {
    this.#cancelled = [];
    if (this.#reply !== null) this.cancel(this.#reply.tag);
    for (const tag of [...this.#subscriptions.keys()]) this.cancel(tag);
  }

  /** The channel ends: gives back what was not settled. */
  abandonAll(): void {
    if (this.unacked.size > 0) this.settle(this.unacked.takeAll(), 'abandon');
  }

  requeueAll(): void {
    this.settle(this.unacked.takeAll(), 'requeue');
  }

  isolate(slab: RetentionSlab): void {
    if (this.unacked.size > 0) this.unacked.isolate(slab);
  }

  /** What the consumer holds may still exceed the timeout of its queue. */
  #forget({ tag, queue }: Subscription): void {
    this.#subscriptions.delete(tag);
    this.#timeouts.watch(queue);
  }

  #createConsumer(sink: DeliverySink, request: ConsumeRequest): Consumer {
    const consumer = new Consumer({ ...request, sink, prefetch: this.prefetch });
    if (this.#host.congested) consumer.block(BLOCKED_BY_OUTPUT);
    if (this.#sessionBlocked) consumer.block(BLOCKED_BY_SESSION_PREFETCH);
    return consumer;
  }

  #blockSession(): void {
    if (this.#sessionBlocked) return;
    this.#sessionBlocked = true;
    // No-ack consumers wait as well, though what they get is not counted.
    for (const { consumer } of this.#subscriptions.values()) consumer?.block(BLOCKED_BY_SESSION_PREFETCH);
  }

  #unblockSession(): void {
    if (!this.#sessionBlocked) return;
    if (this.#sessionLimit > 0 && this.#sessionCount >= this.#sessionLimit) return;
    this.#sessionBlocked = false;
    this.#unblockAll(BLOCKED_BY_SESSION_PREFETCH);
  }

  /** Lifts a block from all consumers before any queue delivers, and begins with another one each time: all get their share. */
  #unblockAll(reason: number): void {
    const subscriptions = [...this.#subscriptions.values()];
    for (const { consumer } of subscriptions) consumer?.unblock(reason);
    const first = this.#firstToResume++ % Math.max(1, subscriptions.length);
    for (let i = 0; i < subscriptions.length; i++) subscriptions[(first + i) % subscriptions.length].queue.deliver();
  }
}

/** In RabbitMQ's words. */
function timedOut(channel: number, timeoutMs: number): AmqpError {
  const what = `delivery acknowledgement on channel ${channel} timed out. Timeout value used: ${timeoutMs} ms`;
  const advice = 'This timeout value can be configured, see consumers doc guide to learn more';
  return new AmqpError('PRECONDITION_FAILED', `${what}. ${advice}`, 0);
}

/** Delivers direct replies: they count for nothing, not even a delivery tag. */
class ReplySink implements DeliverySink {
  readonly #writer: DeliveryWriter;
  readonly #host: ChannelHost;
  readonly #peekTag: () => number;

  constructor(tag: string, channel: Channel, host: ChannelHost, peekTag: () => number) {
    this.#writer = new DeliveryWriter(channel.number, encodeTag(tag));
    this.#host = host;
    this.#peekTag = peekTag;
  }

  deliver(_consumer: Consumer, message: Message, _position: number, redelivered: boolean): void {
    const { output, session } = this.#host;
    this.#writer.write(output, session.frameMax, this.#peekTag(), redelivered, message);
    this.#host.wrote();
  }

  consumerCancelled(): void {
    // Its queue is closed by the channel alone.
  }
}
