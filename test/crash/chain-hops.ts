// Where a message of a chain is, since when, and how it may have come on. Times are milliseconds since 1970, of the one clock
// that broker and clients on one machine share.
import type { Stage } from './chain-plans.ts';

/** The clock counts whole milliseconds, and two processes read it: so much is no difference. */
export const CLOCK_MS = 5;

/** What a message is like that goes through a chain. */
export interface Waiting {
  /** Infinity for none. */
  readonly expirationMs: number;
  readonly delayMs: number;
}

/** A message's stay in one stage. */
export interface Stop {
  readonly stage: number;
  /** It did not come earlier than this, nor later than that; Infinity where nobody knows. */
  readonly from: number;
  readonly by: number;
  /** A client got it there. */
  readonly seen: boolean;
  /** How often it came back there at least. */
  readonly returns: number;
}

/** One entry of an x-death header. */
export interface Death {
  readonly reason: string;
  readonly queue: string;
  readonly count: number;
  /** Whole seconds. */
  readonly timeS: number;
}

/** A reason for which only some messages leave a stage. */
export type Push = 'rejected' | 'delivery_limit';

export function stopAt(stage: number, from: number, by = Number.POSITIVE_INFINITY): Stop {
  return { stage, from, by, seen: false, returns: 0 };
}

/** The first queue of a chain: it is where an expiration counts, which dead letters have no more. */
export function firstQueue(stages: readonly Stage[]): number {
  return stages[0].isExchange ? 1 : 0;
}

/** How long a message may wait in a stage. */
export function waitOf(stages: readonly Stage[], stage: number, { expirationMs, delayMs }: Waiting): number {
  const { isExchange, ttlMs } = stages[stage];
  if (isExchange) return delayMs;
  return stage === firstQueue(stages) ? Math.min(ttlMs, expirationMs) : ttlMs;
}

/** The time of the next stop's beginning, which was reached for a reason of x-death; or what is wrong with that reason. */
export function hop(
  stages: readonly Stage[],
  message: Waiting,
  stop: Stop,
  death: Death,
  pushes: ReadonlySet<string>,
  nowMs: number,
): Stop | { readonly kind: 'early' | 'death'; readonly text: string } {
  const stage = stages[stop.stage];
  const isDue = death.reason === 'expired';
  const from = isDue ? stop.from + waitOf(stages, stop.stage, message) : stop.from;
  const diedFrom = death.timeS * 1000;
  const diedBy = diedFrom + 1000;
  if (from === Number.POSITIVE_INFINITY) return { kind: 'death', text: 'nothing can expire there' };
  if (isDue && Math.min(nowMs, diedBy) < from - CLOCK_MS) {
    return { kind: 'early', text: `it expired ${from - Math.min(nowMs, diedBy)} ms before its time` };
  }
  if (diedFrom > nowMs + CLOCK_MS || diedBy < stop.from - CLOCK_MS) {
    return { kind: 'death', text: `died at ${diedFrom}, was there at ${stop.from} and is here at ${nowMs}` };
  }
  const isPossible =
    isDue || (death.reason === 'maxlen' ? stage.isLimited : pushes.has(pushOf(stop.stage, death.reason)));
  if (!isPossible) return { kind: 'death', text: `nothing was ${death.reason} there` };
  return stopAt(stop.stage + 1, Math.max(from, diedFrom), diedBy + CLOCK_MS);
}

/** Names a reason for leaving a stage. */
export function pushOf(stage: number, reason: string): string {
  return `${stage} ${reason}`;
}

/** The earliest time at which a message that nobody touches can have left the last stage, for nowhere. */
export function goneFrom(
  stages: readonly Stage[],
  message: Waiting,
  stop: Stop,
  isPushed: (stage: number) => boolean,
): number {
  let { from } = stop;
  for (let stage = stop.stage; stage < stages.length; stage++) {
    const isLast = stage === stages.length - 1;
    if (!isLast && (stages[stage].isLimited || isPushed(stage))) continue;
    from += waitOf(stages, stage, message);
  }
  return from;
}
