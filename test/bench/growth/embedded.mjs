// Forked by idle.ts: how long a broker of this very process takes to start and to close, again and again, without and with a data folder.
// Prints the milliseconds as JSON.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { createBroker } = await import(new URL('../../../dist/lib/index.js', import.meta.url).href);
const ROUNDS = 40;
/** Of the rounds: those that count, as code is compiled before. */
const COUNTED = 20;

async function times(options) {
  const all = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { dataDir } = options;
    const startedAt = performance.now();
    const broker = await createBroker({
      port: 0,
      ...(dataDir === undefined ? {} : { dataDir: join(dataDir, `${round}`) }),
    });
    await broker.close();
    all.push(performance.now() - startedAt);
  }
  return all.slice(-COUNTED);
}

const folder = mkdtempSync(join(tmpdir(), 'leveret-embedded-'));
try {
  console.log(JSON.stringify({ memory: await times({}), disk: await times({ dataDir: folder }) }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
