// What a queue asks of the disk, and what the disk asks of a queue. The storage implements the one, queues the other; a broker
// without a data folder has neither.
import type { BindingRequest } from './binding.ts';
import type { ExchangeSettings } from './exchange.ts';
import type { Message } from './message.ts';
import type { Durability } from './ports.ts';
import type { QueueLevel } from './positions.ts';
import type { Confirmation, QueueSettings } from './queue.ts';

/** Messages of one queue in rising order of their positions, which stand beside them. */
export interface PlacedMessages {
  readonly messages: readonly Message[];
  readonly positions: readonly number[];
}

/** The disk's side of one queue. */
export interface QueueStore {
  /** Ready messages that are on disk alone. */
  readonly pagedCount: number;
  /** The position of the first of them; Infinity when there are none. Nothing behind it may be delivered before it. */
  readonly nextPaged: number;
  /**
   * A persistent message took a place in a durable queue.
   * @param confirmation settled when the message is safe; null when nobody waits
   */
  add(message: Message, position: number, confirmation: Confirmation | null): void;
  /** A message left the queue for good: acknowledged, rejected, dropped, or still there when the queue was deleted. */
  remove(message: Message, position: number): void;
  /**
   * As `remove`, of a message that was handed over to others in this very go: who waits for it to be safe is told when all that was
   * done so far is.
   */
  moved(message: Message, position: number): void;
  /** A message was delivered: `StoredQueue.levels` moved. */
  delivered(): void;
  /** A message came back, or takes a new place since it did: `StoredQueue.deliveryCounts` tells how often. */
  returned(position: number): void;
  /** Asks for the first messages that are on disk alone: `StoredQueue.loaded` is called with some, at once or later. */
  load(): void;
  /** Drops all messages that are on disk alone and returns how many there were. */
  purge(): number;
  /** Whether a ready message is at this position that is on disk alone, and not dropped. */
  isPagedOut(position: number): boolean;
  /** A message that is on disk alone leaves the queue for good, wherever it stands: `isPagedOut` is true of it. */
  drop(position: number): void;
  /**
   * Reads copies of messages that are on disk alone: they stay where they are, and count as on disk alone.
   * @param positions rising; those that are not on disk alone, or not any more, are left out, and so is what is too much at once
   * @param done called once, later; never when the queue is deleted meanwhile. The messages are retained for the caller, who releases them
   */
  fetch(positions: readonly number[], done: (placed: PlacedMessages) => void): void;
  /** The queue is deleted, with all that the disk has of it. */
  delete(): void;
}

/** A queue as the disk sees it. */
export interface StoredQueue {
  readonly settings: QueueSettings;
  /** How far it is, for each level that was used; one at least. */
  readonly levels: readonly QueueLevel[];
  /** How often messages that came back were delivered, by position. */
  readonly deliveryCounts: ReadonlyMap<number, number>;
  /** Nobody consumes from it now. */
  readonly isIdle: boolean;
  /** Bytes of ready messages in memory, their overhead included: what `giveUp` could free. */
  readonly readyBytes: number;
  /**
   * Gives up ready messages, so that they may leave memory: it forgets them until they are loaded.
   * @param through -1 to give up what consumers don't get next; a position to give up all, but only if messages up to there are among them
   * @param bytes with -1, about how many are wanted: the last messages go, and the first stay where there are more
   */
  giveUp(through: number, bytes?: number): PlacedMessages;
  /** Messages that were on disk alone are in memory again, to be delivered. */
  loaded(placed: PlacedMessages): void;
  /** After a restart: when messages expire that are on disk, or were loaded for the first time. */
  deadlinesFound(positions: readonly number[], deadlinesMs: readonly number[]): void;
}

/** What a durable queue was before the restart; its messages follow with `StoredQueue.loaded`. */
export interface RecoveredQueue {
  /** Connects the queue that was made for it. */
  attach(queue: StoredQueue): QueueStore;
  /** One at least. */
  readonly levels: readonly QueueLevel[];
  readonly deliveryCounts: ReadonlyMap<number, number>;
  /** Bytes of the bodies of all its messages, where they are limited. */
  readonly bodyBytes?: number;
  /** The positions from one on of which the disk still knows that their messages are gone. No new message may take one of them. */
  spentFrom(position: number): { has(position: number): boolean };
}

export interface MessageStore extends Durability {
  /** A new queue: logged when it is durable, and given room on disk either way. */
  createQueue(virtualHost: string, queue: StoredQueue): QueueStore;
  exchangeDeclared(virtualHost: string, settings: ExchangeSettings): void;
  exchangeDeleted(virtualHost: string, name: string): void;
  bound(virtualHost: string, binding: BindingRequest): void;
  unbound(virtualHost: string, binding: BindingRequest): void;
  /** A runtime parameter (a policy, a limit) was set. */
  parameterSet(parameter: StoredParameter): void;
  parameterCleared(virtualHost: string, component: string, name: string): void;
}

/** A runtime parameter as RabbitMQ has them, such as a policy: a name within a component, and a JSON value. */
export interface StoredParameter {
  /** Empty for what belongs to no virtual host. */
  readonly virtualHost: string;
  /** `policy`, `operator_policy`, `vhost-limits`, `user-limits`. */
  readonly component: string;
  readonly name: string;
  readonly json: Buffer;
}

/** Whether a queue is there again after a restart: an exclusive one goes with its connection, durable or not. */
export function survivesRestart(settings: QueueSettings): boolean {
  return settings.durable && settings.owner === null;
}
