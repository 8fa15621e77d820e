// `npm run bench:micro -- [regex...]`: what single operations cost, without sockets. Times differ from machine to machine, so look at
// how they grow: with ten thousand times the bindings or messages an operation must cost about the same.
import { codecBenchmarks } from './codec.ts';
import { queueBenchmarks } from './queue.ts';
import { routingBenchmarks } from './routing.ts';
import { storageBenchmarks } from './storage.ts';
import { type Benchmark, runGroup, totalChecksum } from './suite.ts';

const USAGE = 'usage: npm run bench:micro -- [name-regex...]';

const GROUPS: readonly (readonly [name: string, benchmarks: readonly Benchmark[]])[] = [
  ['codec', codecBenchmarks()],
  ['routing', routingBenchmarks()],
  ['queues', queueBenchmarks()],
  ['storage', storageBenchmarks()],
];

/** The patterns that pick benchmarks by `group: name`; all when there are none. Undefined, and said why, when one is wrong. */
function patternsOf(args: readonly string[]): RegExp[] | undefined {
  try {
    if (args.some((arg) => arg.startsWith('-'))) throw new Error('there are no options');
    return args.map((arg) => new RegExp(arg));
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return undefined;
  }
}

async function main(patterns: readonly RegExp[]): Promise<void> {
  const isChosen = (group: string, { name }: Benchmark): boolean =>
    patterns.length === 0 || patterns.some((pattern) => pattern.test(`${group}: ${name}`));
  const chosen = GROUPS.map(([group, all]) => [group, all.filter((one) => isChosen(group, one))] as const);
  if (chosen.every(([, benchmarks]) => benchmarks.length === 0)) {
    console.error(`no benchmark matches\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  for (const [group, benchmarks] of chosen) if (benchmarks.length > 0) await runGroup(group, benchmarks);
  console.log(`checksum ${totalChecksum()}`);
}

const patterns = patternsOf(process.argv.slice(2));
if (patterns === undefined) process.exitCode = 2;
else await main(patterns);
