// Looks for defects of the store for as long as somebody has time, or repeats what a test found.
//
//   npx tsx test/helper/store-long.ts points --seed 17 [--seeds 100] [--steps 50] [--points 1000] [--call 23]
//   npx tsx test/helper/store-long.ts lives --seed 17 [--seeds 100] [--lives 12]
//   npx tsx test/helper/store-long.ts faults | room | damage | tears --seed 17 [--seeds 100]
//
// Each with --profile small, lazy, many, large or tiny; without it they take turns where there is a choice.
import { parseArgs } from 'node:util';
import { filesOf, folderToDamage, verdictOn } from './store-damage.ts';
import { faults, runOutOfRoom } from './store-faults.ts';
import { crashPoints, lives, tearEverywhere } from './store-points.ts';
import { PROFILES, type Profile, profileOf, tinyMessages } from './store-workload.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '50' },
    lives: { type: 'string', default: '12' },
    points: { type: 'string', default: '1000000' },
    call: { type: 'string' },
    profile: { type: 'string' },
    failures: { type: 'string', default: '5' },
  },
});
const TURNS = ['small', 'lazy', 'small', 'many', 'lazy', 'small', 'large'] as const;
const [kind] = positionals;
const steps = Number(values.steps);
const call = values.call === undefined ? undefined : Number(values.call);
const counts = { calls: 0, points: 0, outcomes: 0, recoveryCrashes: 0 };
let failures = 0;
let done = 0;

function chosenProfile(seed: number, otherwise: string): Profile {
  const name = values.profile ?? otherwise;
  const make = PROFILES[name];
  if (make === undefined) throw new Error(`no profile is called ${name}`);
  return make(seed, steps);
}

const KINDS: Readonly<Record<string, (seed: number) => Promise<unknown>>> = {
  points: (seed) => {
    return crashPoints(
      { seed, steps, points: Number(values.points), call, profile: chosenProfile(seed, 'small') },
      counts,
    );
  },
  lives: (seed) => lives(seed, Number(values.lives), chosenProfile(seed, TURNS[seed % TURNS.length])),
  faults: async (seed) => {
    counts.points += await faults(seed, steps, Number(values.points), call);
  },
  room: (seed) => runOutOfRoom(seed, profileOf(seed), steps),
  tears: async (seed) => console.log(seed, await tearEverywhere(seed, steps, tinyMessages(seed, steps))),
  damage,
};

/** Turns over a bit of every byte of every file. */
async function damage(seed: number): Promise<void> {
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
      const what = `${path.replace(/\d+/, 'n')} ${verdict}`;
      tally[what] = (tally[what] ?? 0) + 1;
    }
  }
  console.log(seed, tally);
}

async function main(): Promise<void> {
  const run = KINDS[kind];
  if (run === undefined) throw new Error(`one of: ${Object.keys(KINDS).join(', ')}`);
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.seeds) && failures < Number(values.failures); seed++) {
    try {
      await run(seed);
      done++;
    } catch (error) {
      failures++;
      console.error(error);
    }
  }
  summarize();
}

function summarize(): void {
  console.log(`${done} seeds`, counts, `failures: ${failures}`);
  if (failures > 0) process.exitCode = 1;
}

// Whoever stops it early learns how far it came.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    summarize();
    process.exit();
  });
}
process.on('unhandledRejection', (error) => {
  console.error('nobody handles this:', error);
  process.exit(1);
});
void main();
