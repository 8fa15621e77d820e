// What a restart learns of one queue from the log, and what follows from it.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { LogEntry } from './log-entry.ts';
import { PositionSet } from './position-set.ts';

/** What the log says of one queue. */
export class ReplayedQueue {
  readonly queue: DiskQueue;
  readonly acknowledged = new PositionSet();
  readonly deliveryCounts = new Map<number, number>();
  nextPosition = 0;
  deliveredTo = 0;
  /** Bytes of all bodies, where they are limited. */
  bodyBytes = 0;
  /** Messages that are alive: rising positions within a record, the newest record first. */
  readonly #messages: Message[] = [];
  readonly #positions: number[] = [];

  constructor(queue: DiskQueue) {
    this.queue = queue;
  }

  add(message: Message, position: number): void {
    this.#messages.push(message);
    this.#positions.push(position);
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
    return { messages, positions };
  }
}

/** What was acknowledged since the checkpoint is dead in its page, too. */
export function finishRanges({ queue, acknowledged }: ReplayedQueue): void {
  for (const range of [...queue.ranges]) {
    const settled = acknowledged.cut(range.first, range.last);
    settled.forEachInterval((first, last) => range.dead.addRange(first, last));
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
