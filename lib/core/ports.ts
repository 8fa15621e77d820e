// What the core needs of the world outside it. Others implement these: the protocols deliver, the server tells the time.
import type { Consumer } from './consumer.ts';
import type { Message } from './message.ts';
import type { Queue } from './queue.ts';

/** A timer that can be stopped and does not keep the process alive. */
export interface Timer {
  cancel(): void;
}

/** Time, injected so that tests own it. */
export interface Clock {
  /** Milliseconds that never go backwards. */
  now(): number;
  /** Milliseconds since 1970, for what outlives the process. */
  epochMs(): number;
  /** Calls `task` once, after `delayMs` milliseconds. */
  after(delayMs: number, task: () => void): Timer;
  /** Calls `task` every `periodMs` milliseconds. */
  every(periodMs: number, task: () => void): Timer;
  /** Calls `task` once, when the input that is already there has been handled: the end of this turn of the event loop. */
  endOfTurn(task: () => void): void;
}

/** Where a consumer's messages go: a channel, a session. */
export interface DeliverySink {
  /**
   * Takes one message. Unless the consumer is no-ack, the sink owes the queue exactly one settlement of `position`.
   * @param position the message's place in the queue, which names it when it is settled
   * @param deliveryCount how often it came back before; 0 where the queue doesn't count
   */
  deliver(consumer: Consumer, message: Message, position: number, redelivered: boolean, deliveryCount: number): void;
  /** The queue is gone: the consumer gets no more messages. */
  consumerCancelled(consumer: Consumer): void;
}

/** The connection that owns exclusive queues; compared by identity. */
export interface Owner {
  /** The exclusive queues that exist now; kept by the virtual host, deleted by the owner when it ends. */
  readonly ownedQueues: Set<Queue>;
}

/** A pino-like logger. Nothing is logged per message. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  child(fields: object): Logger;
}

/** Tells when what was done so far would survive a crash. */
export interface Durability {
  /** Moves with everything that is to be made durable: compare it to learn whether something was. */
  readonly sequence: number;
  /** Calls `done` once all that was done up to now is durable: at once when it is already. Never after the store has failed. */
  whenDurable(done: () => void): void;
}
