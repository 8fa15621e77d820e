// One basic.consume: the consumer of a queue on one side, deliveries on a channel on the other.
import { encodeShortString, shortStringSize } from '../../../codec/strings.ts';
import type { Consumer } from '../../core/consumer.ts';
import type { Message } from '../../core/message.ts';
import type { DeliverySink } from '../../core/ports.ts';
import type { Queue } from '../../core/queue.ts';
import type { Deliveries } from './deliveries.ts';
import type { DeliverySource } from './unacked-deliveries.ts';

export class Subscription implements DeliverySink, DeliverySource {
  readonly tag: string;
  /** The tag as a short string, as every delivery repeats it. */
  readonly tagBytes: Buffer;
  readonly queue: Queue;
  readonly #deliveries: Deliveries;
  /** Set right after construction: the two need each other. */
  consumer: Consumer | null = null;

  constructor(tag: string, queue: Queue, deliveries: Deliveries) {
    this.tag = tag;
    this.tagBytes = Buffer.allocUnsafe(shortStringSize(tag));
    encodeShortString(tag, this.tagBytes, 0);
    this.queue = queue;
    this.#deliveries = deliveries;
  }

  deliver(consumer: Consumer, message: Message, position: number, redelivered: boolean, deliveryCount: number): void {
    this.#deliveries.deliver(this, consumer, message, position, redelivered, deliveryCount);
  }

  consumerCancelled(): void {
    this.#deliveries.cancelledByServer(this);
  }
}
