// What a restart learns of one queue from the log, and what follows from it.
import type { Message } from '../core/message.ts';
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
  /** Messages that are alive, in runs: the newest run first. */
  readonly runs: { messages: Message[]; positions: number[] }[] = [];

  constructor(queue: DiskQueue) {
    this.queue = queue;
  }

  /** The messages in order of their positions. */
  placed(): { messages: Message[]; positions: number[] } {
    const messages: Message[] = [];
    const positions: number[] = [];
    for (const run of this.runs.reverse()) {
      for (const message of run.messages) messages.push(message);
      for (const position of run.positions) positions.push(position);
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
