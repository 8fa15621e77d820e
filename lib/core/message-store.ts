// What a queue asks of the disk, and what the disk asks of a queue. The storage implements the one, queues the other; a broker
// without a data folder has neither.
import type { BindingRequest } from './binding.ts';
import type { ExchangeSettings } from './exchange.ts';
import type { Message } from './message.ts';
import type { Durability } from './ports.ts';
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
  /** A message was delivered: `StoredQueue.deliveredTo` has moved. */
  delivered(): void;
  /** A message that had been delivered `deliveryCount` times came back. */
  returned(message: Message, position: number, deliveryCount: number): void;
  /** Asks for the first messages that are on disk alone: `StoredQueue.loaded` is called with some, at once or later. */
  load(): void;
  /** Drops all messages that are on disk alone and returns how many there were. */
  purge(): number;
  /** The queue is deleted, with all that the disk has of it. */
  delete(): void;
}

/** A queue as the disk sees it. */
export interface StoredQueue {
  readonly settings: QueueSettings;
  /** Every position below was delivered at least once. */
  readonly deliveredTo: number;
  /** The position that the next message gets. */
  readonly nextPosition: number;
  /** How often messages that came back were delivered, by position. */
  readonly deliveryCounts: ReadonlyMap<number, number>;
  /** Nobody consumes from it now. */
  readonly isIdle: boolean;
  /** Bytes of ready messages in memory, their overhead included: what `giveUp` could free. */
  readonly readyBytes: number;
  /**
   * Gives up ready messages, so that they may leave memory: it forgets them until they are loaded.
   * @param through -1 to give up what consumers don't get next; a position to give up all, but only if messages up to there are among them
   */
  giveUp(through: number): PlacedMessages;
  /** Messages that were on disk alone are in memory again, to be delivered. */
  loaded(placed: PlacedMessages): void;
}

/** What a durable queue was before the restart; its messages follow with `StoredQueue.loaded`. */
export interface RecoveredQueue {
  /** Connects the queue that was made for it. */
  attach(queue: StoredQueue): QueueStore;
  readonly nextPosition: number;
  readonly deliveredTo: number;
  readonly deliveryCounts: ReadonlyMap<number, number>;
  /** Bytes of the bodies of all its messages, where they are limited. */
  readonly bodyBytes?: number;
}

export interface MessageStore extends Durability {
  /** A new queue: logged when it is durable, and given room on disk either way. */
  createQueue(virtualHost: string, queue: StoredQueue): QueueStore;
  exchangeDeclared(virtualHost: string, settings: ExchangeSettings): void;
  exchangeDeleted(virtualHost: string, name: string): void;
  bound(virtualHost: string, binding: BindingRequest): void;
  unbound(virtualHost: string, binding: BindingRequest): void;
}

/** Whether a queue is there again after a restart: an exclusive one goes with its connection, durable or not. */
export function survivesRestart(settings: QueueSettings): boolean {
  return settings.durable && settings.owner === null;
}
