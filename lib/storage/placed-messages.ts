// Messages with their positions: put in order, picked, or divided.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import { levelOf } from '../core/positions.ts';

/** The two lists sorted by position. */
export function inOrder(messages: Message[], positions: number[]): PlacedMessages {
  if (isRising(positions)) return { messages, positions };
  const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b]);
  return { messages: order.map((i) => messages[i]), positions: order.map((i) => positions[i]) };
}

function isRising(positions: readonly number[]): boolean {
  for (let i = 1; i < positions.length; i++) if (positions[i - 1] > positions[i]) return false;
  return true;
}

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

/** Divides messages in rising order by the levels of their positions. */
export function byLevel(placed: PlacedMessages): PlacedMessages[] {
  const { messages, positions } = placed;
  const last = levelOf(positions[positions.length - 1]);
  if (levelOf(positions[0]) === last) return [placed];
  const parts: PlacedMessages[] = [];
  for (let start = 0; start < positions.length; ) {
    const level = levelOf(positions[start]);
    let end = start + 1;
    while (end < positions.length && levelOf(positions[end]) === level) end++;
    parts.push({ messages: messages.slice(start, end), positions: positions.slice(start, end) });
    start = end;
  }
  return parts;
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
