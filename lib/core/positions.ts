// Positions: a message's place in its queue, which names it for as long as it is there. A queue delivers in order of positions. A
// queue with priorities has a level of positions for each of them, the highest priority first, so that this holds for it, too.

/** Positions of a level: more than are ever used. 512 levels stay below 2^53. */
export const LEVEL_SPAN = 2 ** 44;

/** The level that a position belongs to: 0 in a queue without priorities. */
export function levelOf(position: number): number {
  return position < LEVEL_SPAN ? 0 : Math.floor(position / LEVEL_SPAN);
}

/** How far a queue is with the positions of one level. */
export interface QueueLevel {
  /** The position that the next message gets; tells the level, too. */
  readonly nextPosition: number;
  /** Every position of the level below was delivered at least once. */
  readonly deliveredTo: number;
}
