// Messages with their positions: picked, and found.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';

export function filterPlaced(
  { messages, positions }: PlacedMessages,
  keep: (position: number) => boolean,
): PlacedMessages {
  const kept: { messages: Message[]; positions: number[] } = { messages: [], positions: [] };
  for (let i = 0; i < messages.length; i++) {
    if (!keep(positions[i])) continue;
    kept.messages.push(messages[i]);
    kept.positions.push(positions[i]);
  }
  return kept;
}

/** Where a position stands in a rising list; -1 when it does not. */
export function indexOfPosition(positions: readonly number[], position: number): number {
  let low = 0;
  let high = positions.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (positions[middle] === position) return middle;
    if (positions[middle] < position) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
