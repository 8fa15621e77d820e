// Collects copies of messages that are on disk alone, wherever they stand, while the queue goes on: what is looked for may be
// loaded, dropped, or moved to another page meanwhile.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import type { DiskQueue, DiskQueueContext } from './disk-queue.ts';
import type { PageRange } from './page.ts';

/** About so many bytes are read at once. */
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * @param positions rising
 * @param done is given what is still on disk alone at the end, retained, as far as it is not too much at once. Not called when the queue was deleted meanwhile, when the
 *   store has failed or is being closed
 */
export async function fetchPaged(
  queue: DiskQueue,
  positions: readonly number[],
  context: DiskQueueContext,
  done: (placed: PlacedMessages) => void,
): Promise<void> {
  // Later, even if nothing has to be read.
  await null;
  const found = new Map<number, Message>();
  let left = positions;
  let room = MOST_BYTES;
  let hasFailed = false;
  while (room > 0 && !hasFailed && !queue.deleted) {
    const range = queue.firstPagedHome(left);
    if (range === null) break;
    const here = left.filter((position) => range.isPagedOut(position));
    if (range.held === null) here.splice(Math.max(1, Math.floor((room * range.count) / range.bytes)));
    const read = range.held === null ? await context.fetch(range, here) : heldOf(range, here, context);
    if (read !== null) {
      for (let i = 0; i < read.positions.length; i++) {
        found.set(read.positions[i], read.messages[i]);
        room -= read.messages[i].size;
      }
      const looked = new Set(here);
      left = left.filter((position) => !looked.has(position));
    } else {
      // A range that went with its page has left what is still wanted to another.
      hasFailed = queue.ranges.includes(range);
    }
  }
  const isWanted = !hasFailed && !queue.deleted;
  const placed: { messages: Message[]; positions: number[] } = { messages: [], positions: [] };
  for (const position of positions) {
    const message = found.get(position);
    if (message === undefined) continue;
    if (isWanted && queue.isPagedOut(position)) {
      placed.messages.push(message);
      placed.positions.push(position);
    } else {
      context.release(message);
    }
  }
  // In the same go as it was looked at.
  if (isWanted) done(placed);
}

/** What is being written need not be read. */
function heldOf(range: PageRange, wanted: readonly number[], context: DiskQueueContext): PlacedMessages {
  const messages: Message[] = [];
  const positions: number[] = [];
  for (const position of wanted) {
    const message = range.heldAt(position);
    if (message === undefined) continue;
    context.retain(message);
    messages.push(message);
    positions.push(position);
  }
  return { messages, positions };
}
