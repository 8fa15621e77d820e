// Tells queues when their messages expire, which they don't know after a restart: at once of what the log held, and bit by bit of
// what is in pages, since these have to be read for that. Only ranges that hold such messages are.
import type { PlacedMessages, StoredQueue } from '../core/message-store.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { PageRange } from './page.ts';
import type { BlockSink } from './page-block.ts';
import type { PageReader } from './page-reader.ts';

/** Tells of messages that are in memory. */
export function tellDeadlines(host: StoredQueue, { messages, positions }: PlacedMessages): void {
  const expiring: number[] = [];
  const deadlinesMs: number[] = [];
  for (let i = 0; i < messages.length; i++) {
    if (messages[i].expiresAtMs === 0) continue;
    expiring.push(positions[i]);
    deadlinesMs.push(messages[i].expiresAtMs);
  }
  if (expiring.length > 0) host.deadlinesFound(expiring, deadlinesMs);
}

export interface DeadlineScanOptions {
  readonly queues: Iterable<DiskQueue>;
  readonly reader: PageReader;
  /** Nobody wants to know any more. */
  readonly isOver: () => boolean;
  readonly defect: (error: unknown) => void;
}

/**
 * Reads the ranges that hide deadlines, those with the earliest first.
 * @throws {Error} when a page can't be read
 */
export async function scanDeadlines(options: DeadlineScanOptions): Promise<void> {
  const hiding: PageRange[] = [];
  for (const { ranges } of options.queues) hiding.push(...ranges.filter(({ hidesDeadlines }) => hidesDeadlines));
  hiding.sort((a, b) => a.firstDeadlineMs - b.firstDeadlineMs);
  for (const range of hiding) {
    if (options.isOver()) return;
    await scan(range, options);
  }
  // Some may have been moved to other pages meanwhile, or were about to be.
  if (hiding.length > 0 && !options.isOver()) await scanDeadlines(options);
}

async function scan(range: PageRange, { reader, isOver, defect }: DeadlineScanOptions): Promise<void> {
  const { page, queue } = range;
  const isWanted = (): boolean => !isOver() && !queue.deleted && page?.ranges.has(range) === true;
  let positions: number[] = [];
  let deadlinesMs: number[] = [];
  const tell = (): boolean => {
    try {
      if (isWanted() && positions.length > 0) queue.host.deadlinesFound(positions, deadlinesMs);
    } catch (error) {
      defect(error);
    }
    positions = [];
    deadlinesMs = [];
    return isWanted();
  };
  try {
    const sink: BlockSink = {
      message: (position, _routeStart, _routeEnd, _propsStart, _propsEnd, _bodyStart, _bodySize, expiresAtMs) => {
        // What was loaded before was told of then.
        if (expiresAtMs === 0 || !range.isPagedOut(position)) return;
        positions.push(position);
        deadlinesMs.push(expiresAtMs);
      },
    };
    if (isWanted()) await reader.eachMessage(range, sink, tell);
  } catch (error) {
    // What nobody wants any more may have gone with its page.
    if (isWanted()) throw error;
  }
  range.hidesDeadlines = false;
}
