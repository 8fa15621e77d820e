// What a scenario is: what it moves, and what it tells.
import type { Lap, Session } from './session.ts';

/** One measured figure. */
export interface Figure {
  readonly value: number;
  /** The broker's CPU seconds for a million of what was moved; NaN where nobody tells. */
  readonly cpuPerMillion: number;
}

/** A line of the table. */
export interface Row {
  readonly name: string;
  readonly unit: string;
}

export interface Scenario {
  readonly name: string;
  /** One for each figure. */
  readonly rows: readonly Row[];
  /** @param scale of all counts */
  run(session: Session, scale: number): Promise<readonly Figure[]>;
}

/** A count at the scale, but at least 1. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** So many were moved in a lap: how many a second. */
export function rateOf(count: number, lap: Lap): Figure {
  return { value: count / lap.seconds, cpuPerMillion: cpuPerMillion(count, lap) };
}

export function cpuPerMillion(count: number, lap: Lap): number {
  return (lap.cpuSeconds / count) * 1e6;
}

/** A scenario with one figure, of which more is better. */
export function rate(
  name: string,
  run: (session: Session, scale: number) => Promise<Figure>,
  unit = 'messages/s',
): Scenario {
  return { name, rows: [{ name, unit }], run: async (session, scale) => [await run(session, scale)] };
}
