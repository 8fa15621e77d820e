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
