// What a restart learns of one queue from the log, and what follows from it.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import { inOrder } from '../core/placed-messages.ts';
import { LEVEL_SPAN, levelOf, type QueueLevel } from '../core/positions.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { LogEntry } from './log-entry.ts';
import { PositionSet } from './position-set.ts';

type Level = { -readonly [Key in keyof QueueLevel]: QueueLevel[Key] };

/** What the log says of one queue. */
export class ReplayedQueue {
  readonly queue: DiskQueue;
  readonly acknowledged = new PositionSet();
  readonly deliveryCounts = new Map<number, number>();
  /** The level that most queues have alone. */
  readonly #first: Level = { nextPosition: 0, deliveredTo: 0 };
  /** The others, by their numbers; null until there is one. */
  #others: Map<number, Level> | null = null;
  /** Bytes of all bodies, where they are limited. */
  bodyBytes = 0;
  /** Messages that are alive: in the order of a record, the newest record first. */
  readonly #messages: Message[] = [];
  readonly #positions: number[] = [];

  constructor(queue: DiskQueue) {
    this.queue = queue;
  }

  add(message: Message, position: number): void {
    this.#messages.push(message);
    this.#positions.push(position);
  }

  /** How far it is, for each level that was used; one at least. */
  get levels(): QueueLevel[] {
    const others = [...(this.#others?.values() ?? [])];
    return others.length > 0 && this.#first.nextPosition === 0 ? others : [this.#first, ...others];
  }

  /** No new message may take this position, nor one of its level below. */
  used(position: number): void {
    const level = position < LEVEL_SPAN ? this.#first : this.#level(position);
    if (position >= level.nextPosition) level.nextPosition = position + 1;
  }

  /** A level was so far at least. */
  reached(nextPosition: number, deliveredTo: number): void {
    const level = this.#level(nextPosition);
    level.nextPosition = Math.max(level.nextPosition, nextPosition);
    level.deliveredTo = Math.max(level.deliveredTo, deliveredTo);
  }

  /** The messages in order of their positions. */
  placed(): PlacedMessages {
    const messages: Message[] = [];
    const positions: number[] = [];
    for (let end = this.#positions.length; end > 0; ) {
      let start = end - 1;
      while (start > 0 && this.#positions[start - 1] < this.#positions[start]) start--;
      for (let i = start; i < end; i++) {
        messages.push(this.#messages[i]);
        positions.push(this.#positions[i]);
      }
      end = start;
    }
    // In a queue with levels, or whose messages are not consumed in the order in which they came, this is not all.
    return inOrder(messages, positions);
  }

  #level(position: number): Level {
    const number = levelOf(position);
    if (number === 0) return this.#first;
    this.#others ??= new Map();
    let level = this.#others.get(number);
    if (level === undefined) {
      const base = number * LEVEL_SPAN;
      level = { nextPosition: base, deliveredTo: base };
      this.#others.set(number, level);
    }
    return level;
  }
}

/** What was acknowledged since the checkpoint is dead in its page, too. */
export function finishRanges({ queue, acknowledged }: ReplayedQueue): void {
  for (const range of [...queue.ranges]) {
    range.dead.addAll(acknowledged.cut(range.first, range.last));
    queue.rangeRecovered(range);
  }
}

export function countsOfLiving({ deliveryCounts, acknowledged }: ReplayedQueue): Map<number, number> {
  return new Map([...deliveryCounts].filter(([position]) => !acknowledged.has(position)));
}

/** Lets go of messages whose queues are not there any more. */
export function dropDeleted(all: Iterable<LogEntry>): void {
  for (const entry of all) {
    for (const { queue, position } of [...entry.places()]) if (queue.deleted) entry.drop(queue, position);
  }
}
