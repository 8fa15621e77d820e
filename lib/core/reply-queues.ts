// Direct replies: a consumer gets an address of its own, and whatever is published to the default exchange with that routing key
// goes to it. See https://www.rabbitmq.com/docs/direct-reply-to
import { NO_ARGUMENTS } from './binding.ts';
import { ClassicQueue } from './classic-queue.ts';
import type { Consumer } from './consumer.ts';
import type { Message } from './message.ts';
import { generateReplyQueueName, isReplyQueueName } from './names.ts';
import type { Queue } from './queue.ts';
import type { QueueContext } from './queue-context.ts';
import { PLAIN_FEATURES } from './queue-features.ts';

export class ReplyQueues {
  readonly #queues = new Map<string, Queue>();
  readonly #context: QueueContext;

  constructor(context: QueueContext) {
    this.#context = { ...context, features: () => PLAIN_FEATURES, createStore: () => null };
  }

  /** Makes an address for a consumer: the name of the queue. */
  open(consumer: Consumer): Queue {
    const name = generateReplyQueueName();
    const settings = { name, durable: false, autoDelete: false, owner: null, arguments: NO_ARGUMENTS };
    const queue = new ClassicQueue(settings, this.#context);
    queue.addConsumer(consumer);
    this.#queues.set(name, queue);
    return queue;
  }

  close(queue: Queue): void {
    if (this.#queues.delete(queue.name)) queue.close();
  }

  has(name: string): boolean {
    return this.#queues.has(name);
  }

  /** Gives a message to those whose addresses its keys name. */
  deliver(message: Message, extraKeys: readonly string[]): void {
    if (this.#queues.size === 0) return;
    this.#find(message.routingKey)?.publish(message, null);
    for (const key of extraKeys) this.#find(key)?.publish(message, null);
  }

  #find(name: string): Queue | undefined {
    return isReplyQueueName(name) ? this.#queues.get(name) : undefined;
  }
}
