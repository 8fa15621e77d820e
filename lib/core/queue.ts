// The contract of a queue type. Virtual host and protocols speak to this alone: nothing outside a queue type may assume
// that messages sit in this process's memory.
import type { FieldTable } from '../../codec/field-table.ts';
import type { QueueNode } from '../../exchanges/traverse.ts';
import type { BindingSet } from './binding.ts';
import type { Consumer } from './consumer.ts';
import type { Message } from './message.ts';
import type { Owner } from './ports.ts';

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
}

/** Hears of a published message's fate: every queue that it is routed to settles once, at once or later. */
export interface Confirmation {
  /** One queue has the message (accepted) or refused it. */
  settled(accepted: boolean): void;
}

export interface Queue extends QueueNode {
  readonly settings: QueueSettings;
  readonly name: string;
  /** Bindings that lead here, the implicit one of the default exchange aside. */
  readonly bindings: BindingSet;
  /** Messages ready to be delivered. */
  readonly messageCount: number;
  /** Messages delivered and not yet settled. */
  readonly unacknowledgedCount: number;
  readonly consumerCount: number;

  /**
   * Takes a message, or refuses it.
   * @param confirmation settled exactly once by this queue; null when nobody waits
   */
  publish(message: Message, confirmation: Confirmation | null): void;
  /**
   * Takes the first ready message out, to be settled like a delivery, unless `noAck`.
   * @param done called once, at once or later, with the message; with null when there is none, or the queue is deleted meanwhile
   */
  get(noAck: boolean, done: (delivery: Delivery | null) => void): void;
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
  /** A delivery goes back to its place; deliveries go on at the next `deliver`. */
  requeue(message: Message, position: number): void;
  /** Delivers what can be delivered now. */
  deliver(): void;
  /** Drops all ready messages and returns how many there were. */
  purge(): number;
  /** The virtual host has removed the queue: drops its messages and cancels its consumers. */
  close(): void;
}
