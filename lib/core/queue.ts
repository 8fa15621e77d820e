// The contract of a queue type. Virtual host and protocols speak to this alone: nothing outside a queue type may assume
// that messages sit in this process's memory.
import type { FieldTable } from '../../codec/field-table.ts';
import type { QueueNode } from '../../exchanges/traverse.ts';
import type { BindingSet } from './binding.ts';
import type { Consumer } from './consumer.ts';
import type { Message } from './message.ts';
import type { Owner } from './ports.ts';
import type { QueueFeatures } from './queue-features.ts';

/** What `queue.declare` asks for. */
export interface QueueSettings {
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that alone may use the queue and takes it along when it ends; null when it is not exclusive. */
  readonly owner: Owner | null;
  readonly arguments: FieldTable;
}

/** A message taken from a queue by `get`. */
export interface Delivery {
  readonly message: Message;
  readonly position: number;
  readonly redelivered: boolean;
  /** How often it came back before; 0 where the queue doesn't count. */
  readonly deliveryCount: number;
}

/** Hears of a published message's fate: every queue that it is routed to settles once, at once or later. */
export interface Confirmation {
  /** One queue has the message (accepted) or refused it. */
  settled(accepted: boolean): void;
}

/** What a message can be routed to. */
export interface MessageTarget extends QueueNode {
  readonly name: string;
  /**
   * Takes a message, or refuses it.
   * @param confirmation settled exactly once by this target; null when nobody waits
   * @param isLetter a dead letter that nobody waits for: a quorum queue refuses none, as in RabbitMQ, where it is publishers that it stops
   */
  publish(message: Message, confirmation: Confirmation | null, isLetter?: boolean): void;
  /** Bytes of the messages that wait here in memory. */
  readonly readyBytes: number;
  /** Whether the disk keeps such a message. */
  logs(message: Message): boolean;
}

export interface Queue extends MessageTarget {
  readonly settings: QueueSettings;
  /** Bindings that lead here, the implicit one of the default exchange aside. */
  readonly bindings: BindingSet;
  /** Messages ready to be delivered. */
  readonly messageCount: number;
  /** Messages delivered and not yet settled. */
  readonly unacknowledgedCount: number;
  readonly consumerCount: number;
  /** What it does beside holding messages; another object whenever that changes. */
  readonly features: QueueFeatures;
  /** Its consumers can't be under a limit that their channel has as a whole. */
  readonly refusesGlobalPrefetch: boolean;
  /** A `get` tells how often the message came back before even when it never did; deliveries to consumers tell it when it did. */
  readonly tellsDeliveryCount: boolean;

  /**
   * Takes the first ready message out, to be settled like a delivery, unless `noAck`.
   * @param done called once, at once or later, with the message; with null when there is none, or the queue is deleted meanwhile
   */
  get(noAck: boolean, done: (delivery: Delivery | null) => void): void;
  /** @throws {BrokerError} RESOURCE_LOCKED when it gives messages to its consumers only. */
  checkGet(): void;
  /** @throws {BrokerError} ACCESS_REFUSED when exclusive use forbids this consumer. */
  checkConsumer(consumer: Consumer): void;
  /** Starts deliveries to a consumer that passed `checkConsumer`. */
  addConsumer(consumer: Consumer): void;
  /** Ends deliveries to a consumer; what it holds unacknowledged stays with its sink. */
  removeConsumer(consumer: Consumer): void;

  /** A delivery was acknowledged. */
  acknowledge(message: Message, position: number): void;
  /** A delivery was refused for good. */
  reject(message: Message, position: number): void;
  /** A delivery was given back; deliveries go on at the next `deliver`. */
  requeue(message: Message, position: number): void;
  /** As `requeue`, of a delivery to somebody who is gone. */
  abandon(message: Message, position: number): void;
  /** Delivers what can be delivered now. */
  deliver(): void;
  /** Does what policies say from now on. */
  applyFeatures(features: QueueFeatures): void;
  /** Somebody declared the queue again, or asked whether it is there: that counts as use of it. */
  used(): void;
  /** Drops all ready messages and returns how many there were. */
  purge(): number;
  /** The virtual host has removed the queue: drops its messages and cancels its consumers. */
  close(): void;
}
