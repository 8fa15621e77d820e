// One basic.consume: the consumer of a queue on one side, deliveries on a channel on the other.
import { encodeShortString, shortStringSize } from '../../../codec/strings.ts';
import type { Consumer } from '../../core/consumer.ts';
import type { Message } from '../../core/message.ts';
import type { DeliverySink } from '../../core/ports.ts';
import type { Queue } from '../../core/queue.ts';
import type { Deliveries } from './deliveries.ts';
import { DeliveryWriter } from './delivery-writer.ts';
import type { DeliverySource } from './unacked-deliveries.ts';

export class Subscription implements DeliverySink, DeliverySource {
  readonly tag: string;
  readonly writer: DeliveryWriter;
  readonly queue: Queue;
  readonly #deliveries: Deliveries;
  /** Set right after construction: the two need each other. */
  consumer: Consumer | null = null;

  constructor(tag: string, queue: Queue, channel: number, deliveries: Deliveries) {
    this.tag = tag;
    this.writer = new DeliveryWriter(channel, encodeTag(tag));
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

/** As a short string, as every delivery repeats it. */
export function encodeTag(tag: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(shortStringSize(tag));
  encodeShortString(tag, bytes, 0);
  return bytes;
}
