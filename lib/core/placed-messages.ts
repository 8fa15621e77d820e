// Messages of a queue with their positions: put in order, and divided.
import type { Message } from './message.ts';
import type { PlacedMessages } from './message-store.ts';
import { levelOf } from './positions.ts';

/** The two lists in order of the positions. */
export function inOrder(messages: Message[], positions: number[]): PlacedMessages {
  if (isRising(positions)) return { messages, positions };
  const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b]);
  return { messages: order.map((i) => messages[i]), positions: order.map((i) => positions[i]) };
}

function isRising(positions: readonly number[]): boolean {
  for (let i = 1; i < positions.length; i++) if (positions[i - 1] > positions[i]) return false;
  return true;
}

/** Divides messages in rising order, at least one, by the levels of their positions. */
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
