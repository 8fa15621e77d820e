// Fails when codec or exchanges are covered by less than 95% of their lines. Run after the tests: `npm run coverage`.
// tap writes what ran; tsx's source maps come without the sources, without which every file would count as one line, so
// they are put back first.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_PERCENT = 95;
const FOLDERS = ['codec', 'exchanges'];
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COVERAGE = join(ROOT, '.tap/coverage');

interface SourceMap {
  sources?: string[];
  sourcesContent?: (string | null)[];
}

interface Lines {
  readonly total: number;
  readonly covered: number;
}

/** Puts the sources into the source maps of one file of coverage data. */
function mend(path: string): void {
  const coverage: { 'source-map-cache'?: Record<string, { data?: SourceMap | null }> } = JSON.parse(
    readFileSync(path, 'utf8'),
  );
  for (const { data } of Object.values(coverage['source-map-cache'] ?? {})) {
    if (!data?.sourcesContent?.includes(null)) continue;
    data.sourcesContent = (data.sources ?? []).map((source) => readFileSync(new URL(source), 'utf8'));
  }
  writeFileSync(path, JSON.stringify(coverage));
}

/** Covered lines by path within the project. */
function report(): Map<string, Lines> {
  const tap = join(ROOT, 'node_modules/tap/dist/esm/run.mjs');
  execFileSync(process.execPath, [tap, 'report', 'json-summary'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const summary: Record<string, { lines: Lines }> = JSON.parse(
    readFileSync(join(ROOT, '.tap/report/coverage-summary.json'), 'utf8'),
  );
  return new Map(Object.entries(summary).map(([path, { lines }]) => [relative(ROOT, path), lines]));
}

/** A file that no test loaded has no line covered, unless it holds types alone. */
function linesOfUnloaded(path: string): Lines {
  const source = readFileSync(join(ROOT, path), 'utf8');
  const hasCode = /^export (const|let|function|class|abstract|async|\{)/m.test(source);
  return { total: hasCode ? source.split('\n').length - 1 : 0, covered: 0 };
}

function check(folder: string, loaded: ReadonlyMap<string, Lines>): boolean {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const files = names
    .map((name) => join(folder, name))
    .map((path) => ({ path, ...(loaded.get(path) ?? linesOfUnloaded(path)) }));
  const total = files.reduce((sum, file) => sum + file.total, 0);
  const covered = files.reduce((sum, file) => sum + file.covered, 0);
  const percent = total === 0 ? 0 : (covered / total) * 100;
  const isEnough = percent >= LEAST_PERCENT;
  console.log(
    `${folder}: ${percent.toFixed(2)}% of ${total} lines, ${isEnough ? 'enough' : `less than ${LEAST_PERCENT}%`}`,
  );
  for (const file of files) {
    const isLow = file.covered < (file.total * LEAST_PERCENT) / 100;
    if (isLow) console.log(`  ${file.path}: ${file.covered} of ${file.total} lines`);
  }
  return isEnough;
}

for (const name of readdirSync(COVERAGE)) mend(join(COVERAGE, name));
const loaded = report();
process.exitCode = FOLDERS.map((folder) => check(folder, loaded)).every(Boolean) ? 0 : 1;
