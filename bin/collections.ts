// When V8 collects garbage in a process that is a broker and nothing else. An embedded broker leaves that to the program around it.
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';

/** By so much the heap may grow, whatever its size. */
const LEAST_GROWTH_BYTES = 64 * 1024 * 1024;
const MOST_GROWTH_PERCENT = 1000;
/** Both halves of the young generation. V8 lets it grow to 32 MiB, and to 128 MiB in Node 24. */
const MOST_YOUNG_BYTES = 8 * 1024 * 1024;

/** Sets the pace, and keeps setting it as the heap grows and shrinks. */
export function paceCollections(): void {
  let percent = 0;
  let growth = 0;
  const pace = (): void => {
    const wantedPercent = growthPercent();
    if (wantedPercent !== percent) setFlagsFromString(`--heap-growing-percent=${wantedPercent}`);
    percent = wantedPercent;
    const wantedGrowth = youngGrowth();
    if (wantedGrowth !== growth) setFlagsFromString(`--semi-space-growth-factor=${wantedGrowth}`);
    growth = wantedGrowth;
  };
  pace();
  new PerformanceObserver(pace).observe({ entryTypes: ['gc'] });
}

/**
 * V8 collects when the heap has grown by so many percent, received chunks included. A large heap may double: its own choice, up to four
 * times, is 150 MB of garbage with a backlog on its way to the disk (Node 20, 10 million messages). But for a small one that is 8 MB, which 1 KB
 * messages fill 50 times a second: with 64 MB a message costs 2.5 instead of 3.7 µs of CPU, one of 1 MB 1.1 instead of 1.6 ms.
 */
function growthPercent(): number {
  const share = LEAST_GROWTH_BYTES / getHeapStatistics().used_heap_size;
  return Math.min(MOST_GROWTH_PERCENT, 100 * Math.max(1, Math.round(share)));
}

/**
 * By what V8 multiplies the young generation when much of it survives: 1 once it is large enough. Everything stands still while the survivors are
 * copied: of messages that a queue keeps that was 5 ms 15 times a second, and is 1 ms 70 times. Throughput is the same.
 */
function youngGrowth(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return young !== undefined && young.space_size >= MOST_YOUNG_BYTES ? 1 : 2;
}
