// Segments of a log as files, for tests that damage them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The newest segment of a data folder, and how many bytes were written to it: behind them are zeros alone. */
export function newestSegment(dataDir: string): { readonly path: string; readonly writtenBytes: number } | undefined {
  const name = readdirSync(join(dataDir, 'log')).sort().at(-1);
  if (name === undefined) return undefined;
  const path = join(dataDir, 'log', name);
  return { path, writtenBytes: readFileSync(path).findLastIndex((byte) => byte !== 0) + 1 };
}
