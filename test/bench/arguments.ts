// The arguments of `npm run bench`.
import { parseArgs } from 'node:util';

export const USAGE = 'usage: npm run bench -- [--rounds N] [--scale X] [name-regex...]';

/** Of a wrong command line; the message is for whoever typed it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface BenchArguments {
  /** How often each scenario is run against each broker. */
  readonly rounds: number;
  /** Of all counts. */
  readonly scale: number;
  /** Picks the scenarios whose names match one; all when there are none. */
  readonly patterns: readonly RegExp[];
}

/** @throws {UsageError} */
export function parseArguments(args: readonly string[]): BenchArguments {
  const { values, positionals } = parse(args);
  const rounds = Number(values.rounds ?? 3);
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new UsageError(`--rounds ${values.rounds}: not a number from 1 on`);
  const scale = Number(values.scale ?? 1);
  if (!(scale > 0 && scale <= 100)) throw new UsageError(`--scale ${values.scale}: not a number above 0, up to 100`);
  return { rounds, scale, patterns: positionals.map(patternOf) };
}

function parse(args: readonly string[]): { values: { rounds?: string; scale?: string }; positionals: string[] } {
  try {
    const options = { rounds: { type: 'string' }, scale: { type: 'string' } } as const;
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
