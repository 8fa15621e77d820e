// Looks for defects of the store for as long as somebody has time: crashes at every call of many seeds, or one seed's crash again.
//
//   npx tsx test/helper/store-long.ts points --seed 17 [--seeds 100] [--steps 50] [--points 1000] [--call 23]
//   npx tsx test/helper/store-long.ts lives --seed 17 [--seeds 100]
import { parseArgs } from 'node:util';
import { filesOf, folderToDamage, verdictOn } from './store-damage.ts';
import { faults, runOutOfRoom } from './store-faults.ts';
import { crashPoints, lives } from './store-points.ts';
import { largeMessages, lazySync, manyMessages, profileOf } from './store-workload.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '50' },
    points: { type: 'string', default: '1000000' },
    call: { type: 'string' },
    failures: { type: 'string', default: '5' },
  },
});
const PROFILES = [profileOf, lazySync, profileOf, manyMessages, lazySync, profileOf, largeMessages] as const;
const [kind] = positionals;
const counts = { calls: 0, points: 0, outcomes: 0, recoveryCrashes: 0 };
let failures = 0;

async function runSeed(seed: number): Promise<void> {
  const steps = Number(values.steps);
  if (kind === 'lives') return lives(seed, 12, PROFILES[seed % PROFILES.length](seed, steps));
  if (kind === 'faults') {
    counts.points += await faults(seed, steps, Number(values.points));
    return;
  }
  if (kind === 'damage') return damage(seed, steps);
  if (kind === 'room') return void (await runOutOfRoom(seed, profileOf(seed), steps));
  const call = values.call === undefined ? undefined : Number(values.call);
  await crashPoints({ seed, steps, points: Number(values.points), call }, counts);
}

/** Turns over a bit of every byte of every file. */
async function damage(seed: number, steps: number): Promise<void> {
  const ending = await folderToDamage(seed, profileOf(seed), steps);
  const tally: Record<string, number> = {};
  for (const [path, bytes] of await filesOf(ending.disk.crash({ mode: 'keep' }))) {
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.of(bytes[at] ^ (1 << (at % 8)));
      let verdict: string;
      try {
        verdict = await verdictOn(ending, path, (copy) => copy.poke(path, at, flipped));
      } catch (error) {
        throw new Error(`seed ${seed}: byte ${at} of ${path}, which has ${bytes.length}`, { cause: error });
      }
      const kind = `${path.replace(/\d+/, 'n')} ${verdict}`;
      tally[kind] = (tally[kind] ?? 0) + 1;
    }
  }
  console.log(seed, tally);
}

async function main(): Promise<void> {
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.seeds) && failures < Number(values.failures); seed++) {
    try {
      await runSeed(seed);
    } catch (error) {
      failures++;
      console.error(error);
    }
  }
  console.log(counts, `failures: ${failures}`);
}

process.on('unhandledRejection', (error) => {
  console.error('nobody handles this:', error);
  process.exit(1);
});
void main();
