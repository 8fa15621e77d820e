// What this process holds, after a full collection of garbage: for tests that compare before and after.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Bytes in use after several collections, with turns of the event loop between them for what is freed late. */
export async function memoryInUse(): Promise<{ readonly heap: number; readonly buffers: number }> {
  for (let i = 0; i < 4; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

export interface Growth {
  readonly heap: number;
  readonly buffers: number;
}

/**
 * Runs rounds one after the other and gives what every round added: the second smallest growth. What is forgotten is forgotten
 * in every round; what V8 keeps for itself (code, feedback, tables that double) comes in some rounds, mostly the first, and goes
 * in others.
 */
export async function steadyGrowth(rounds: number, run: (round: number) => Promise<void>): Promise<Growth> {
  const [heap, buffers]: [number[], number[]] = [[], []];
  let before = await memoryInUse();
  for (let round = 0; round < rounds; round++) {
    await run(round);
    const after = await memoryInUse();
    heap.push(after.heap - before.heap);
    buffers.push(after.buffers - before.buffers);
    before = after;
  }
  return { heap: secondSmallest(heap), buffers: secondSmallest(buffers) };
}

function secondSmallest(values: number[]): number {
  return values.sort((a, b) => a - b)[1];
}
