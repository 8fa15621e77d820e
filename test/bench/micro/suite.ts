// Runs micro-benchmarks with tinybench: many operations a sample, since one takes less time than asking for the time. What they return
// is summed up, so that nothing can be left out as unused.
import { Bench, formatNumber, type Task } from 'tinybench';

const TIME_MS = 400;
const WARM_UP_MS = 150;
/** How often a batch is run to see what it allocates. */
const ALLOCATION_RUNS = 15;
const ALLOCATION_NOISE_BYTES = 10_000;
const NS_PER_MS = 1e6;

export interface Benchmark {
  readonly name: string;
  /** How many operations one call of the body does. */
  readonly operations: number;
  /** Makes what the body needs, and the body. It returns a number that depends on all that it did. */
  readonly prepare: () => () => number;
}

/** What all bodies returned, in one number. */
let checksum = 0;

export function totalChecksum(): number {
  return checksum;
}

/** Runs benchmarks one after the other and prints their table. */
export async function runGroup(name: string, benchmarks: readonly Benchmark[]): Promise<void> {
  const bench = new Bench({
    name,
    time: TIME_MS,
    warmupTime: WARM_UP_MS,
    iterations: 8,
    warmupIterations: 2,
    throws: true,
  });
  const allocated = new Map<string, number>();
  for (const benchmark of benchmarks) add(bench, benchmark, allocated);
  await bench.run();
  console.log(`\n${name}`);
  console.table(bench.table((task) => rowOf(task, allocated.get(task.name) ?? Number.NaN)));
}

function add(bench: Bench, { name, operations, prepare }: Benchmark, allocated: Map<string, number>): void {
  let body: (() => number) | undefined;
  const batch = () => {
    // Not before its turn: some of them need much memory.
    body ??= prepare();
    const startedAt = performance.now();
    checksum = (checksum + body()) % Number.MAX_SAFE_INTEGER;
    const elapsedMs = performance.now() - startedAt;
    return { overriddenDuration: elapsedMs / operations, overriddenIterationCost: elapsedMs };
  };
  const afterAll = (mode?: 'run' | 'warmup'): void => {
    if (mode === 'warmup' || body === undefined) return;
    allocated.set(name, allocatedBytes(body) / operations);
    body = undefined;
  };
  bench.add(name, batch, { async: false, afterAll });
}

/** How many bytes a call allocates. NaN where collections came in between, which makes the runs differ: what allocates some MB a call. */
function allocatedBytes(body: () => number): number {
  const deltas: number[] = [];
  for (let i = 0; i < ALLOCATION_RUNS; i++) {
    const before = heldBytes();
    checksum = (checksum + body()) % Number.MAX_SAFE_INTEGER;
    deltas.push(heldBytes() - before);
  }
  deltas.sort((a, b) => a - b);
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => deltas[Math.floor(ALLOCATION_RUNS * share)]);
  return high - low > Math.max(median / 4, ALLOCATION_NOISE_BYTES) ? Number.NaN : Math.max(0, median);
}

function heldBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function rowOf({ name, result }: Task, bytes: number): Record<string, string | number> {
  if (result.state !== 'completed') return { operation: name, remarks: result.state };
  const { p50, p99, rme } = result.latency;
  return {
    operation: name,
    'median ns': formatNumber(p50 * NS_PER_MS),
    'p99 ns': formatNumber(p99 * NS_PER_MS),
    '±%': formatNumber(rme),
    'operations/s': Math.round(1000 / p50).toLocaleString('en'),
    'allocated bytes': Number.isNaN(bytes) ? '' : Math.round(bytes),
  };
}
