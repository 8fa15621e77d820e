// Loaded into a broker that is measured (`--import inside.mjs?report=FILE`): notes how long each garbage collection stops it. On SIGUSR2 it
// writes what it noted since the last time, and the memory before and after a full collection if `&collect` was asked for, into FILE.
import { renameSync, writeFileSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { memoryUsage } from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const { searchParams } = new URL(import.meta.url);
const file = searchParams.get('report');
const KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak callbacks'],
]);

let pauses = [];
new PerformanceObserver((list) => {
  for (const { duration, detail } of list.getEntries()) pauses.push([KINDS.get(detail.kind), duration]);
}).observe({ entryTypes: ['gc'] });

let collect = () => {};
if (searchParams.has('collect')) {
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc');
}

process.on('SIGUSR2', () => {
  const noted = pauses;
  collect();
  writeFileSync(`${file}.part`, JSON.stringify({ pauses: noted, memory: memoryUsage() }));
  renameSync(`${file}.part`, file);
  // Entries come after the collection that they tell of: ours is not one of the broker's.
  setImmediate(() => {
    pauses = [];
  });
});
