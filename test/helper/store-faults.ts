// A store on a disk that fails: it runs full for a while, or a call of it ends with an error that no waiting helps against.
import { seededRandom } from './sim-disk.ts';
import type { DiskCall } from './sim-faults.ts';
import { type Ending, type Scene, sceneOf } from './store-crash.ts';
import { FOLDER } from './store-life.ts';
import { observe } from './store-observe.ts';
import { Dice, type Profile, profileOf, Workload } from './store-workload.ts';
import { StoreWorld } from './store-world.ts';

export interface FaultPlan {
  readonly seed: number;
  readonly profile: Profile;
  readonly steps: number;
  /** Of the first call that fails. */
  readonly call: number;
  readonly code: string;
  readonly count?: number;
  readonly partial?: boolean;
  readonly kinds?: readonly 'read'[];
  /** Opens that fail from now and then on, so many in a row. */
  readonly openFault?: { readonly code: string; readonly count: number };
}

/** What a faulty disk did. */
export interface FaultRun extends Ending {
  /** Calls that failed. */
  readonly failed: readonly DiskCall[];
  /** One of them was to prepare space: the record was written without, and nobody need hear of it. */
  readonly isSpareLost?: boolean;
}

/** Runs a workload on a disk of which some calls fail; goes on for a few steps when the store has failed. */
export async function runFaulty(plan: FaultPlan): Promise<FaultRun> {
  const { seed, profile, steps, call, code, count = 1, partial, kinds, openFault } = plan;
  const scene = sceneOf(seed, profile);
  const { disk, history, model, trap } = scene;
  const failed: DiskCall[] = [];
  const last = new Map<string, DiskCall>();
  let isSpareLost = false;
  trap.onEach = (begun) => {
    // What is left of it is cut off before anything else is done to the file; at the end of a segment it is, too.
    const isOfSpare = begun.kind === 'truncate' && begun.path.startsWith(`${FOLDER}/log/`);
    const before = last.get(begun.path);
    last.set(begun.path, begun);
    isSpareLost ||= isOfSpare && before !== undefined && failed.includes(before);
    const number = kinds === undefined ? begun.number : disk.callsOf(kinds);
    const counts = kinds === undefined ? COUNTED.has(begun.kind) : begun.kind === 'read';
    if (!counts || number < call || number >= call + count) return;
    failed.push(begun);
    isSpareLost ||= isOfSpare;
  };
  disk.failAt(call, code, { count, partial, kinds });
  const ending = { ...scene, crashedAt: null, isTearable: false, failed };
  let world: StoreWorld;
  try {
    world = await StoreWorld.open(disk, profile, history, model);
  } catch (error) {
    // Whoever can't open the folder says why, and has promised nothing.
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error;
    return { ...ending, world: null };
  }
  const workload = new Workload(world, new Dice(seed), profile);
  for (let left = steps; left > 0; left -= 5) {
    if (openFault !== undefined) world.life.process.openFault = { ...openFault };
    await workload.run(Math.min(5, left), true);
  }
  await world.flush();
  if (world.life.hasFailed) await workload.run(8, true);
  if (world.life.defects.length > 0) throw world.life.defects[0];
  return { ...ending, world, isSpareLost };
}

const COUNTED: ReadonlySet<string> = new Set([
  'write',
  'dataSync',
  'truncate',
  'create',
  'rename',
  'remove',
  'syncDirectory',
]);

/**
 * A sync of records that is no part of a durable write may be the end, whatever it fails with: nobody knows what is on the disk then.
 * A write is made again.
 */
export function isFinal({ kind, path }: DiskCall): boolean {
  return kind === 'dataSync' && path.startsWith(`${FOLDER}/log/`);
}

/** The store had to survive its disk: it serves as if nothing had been, and stops in good order. */
export async function mustSurvive(run: FaultRun): Promise<void> {
  const { world, disk, profile, history, model } = run;
  if (world === null) return;
  const { life } = world;
  // What nobody waits for may still be tried again.
  for (let i = 0; i < 6; i++) {
    await life.quiet();
    life.clock.advance(1000);
  }
  await life.quiet();
  disk.clearFaults();
  life.process.openFault = null;
  if (life.hasFailed) throw new Error('the store failed', { cause: life.failures[0] });
  const mustTell = run.failed.length > 0 && run.isSpareLost !== true;
  if (life.room.recoveredCount === 0 && mustTell) throw new Error('nobody was told of the room');
  await world.close();
  const { lines, warnings } = await observe(disk.crash({ mode: 'drop' }), profile, history);
  if (warnings.length > 0) throw new Error(`a clean stop left something to repair: ${warnings.join(', ')}`);
  model.match(lines, 'stop');
}

/** The store had to give up: it says so once, promises nothing any more, can be closed, and what it promised is there. */
export async function mustFail(run: FaultRun): Promise<void> {
  const { world, disk, profile, history, model, seed } = run;
  if (world === null) return;
  const { life } = world;
  await life.quiet();
  if (life.failures.length !== 1) throw new Error(`the store failed ${life.failures.length} times`);
  await life.close();
  if (life.failures.length !== 1) throw new Error(`the store failed ${life.failures.length} times`);
  for (const mode of ['drop', 'keep', 'random'] as const) {
    const { lines } = await observe(disk.crash({ mode, random: seededRandom(seed) }), profile, history);
    model.match(lines, 'crash');
  }
}

/** A disk that runs full now and then, and gets room some time later. */
export async function runOutOfRoom(seed: number, profile: Profile, steps: number): Promise<Scene & { waits: number }> {
  const scene = sceneOf(seed, profile);
  const { disk, history, model } = scene;
  const dice = new Dice(seed ^ 0xf011);
  const world = await StoreWorld.open(disk, profile, history, model);
  const { life } = world;
  disk.capacityBytes = 300 + dice.roll(2000);
  life.room.onFull = (count) => {
    if (count % 4 === 0) disk.capacityBytes += dice.roll(1500);
  };
  const workload = new Workload(world, new Dice(seed), profile);
  await workload.run(steps);
  await world.flush();
  disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  const waits = life.room.fullCount;
  await mustSurvive({ ...scene, world, crashedAt: null, isTearable: false, failed: [] });
  return { ...scene, waits };
}

/** Goes through the calls of a seed's run, and has each fail in every way. */
export async function faults(seed: number, steps: number, points: number, only?: number): Promise<number> {
  const profile = profileOf(seed);
  const calls = await callsOf(seed, profile, steps);
  const step = Math.max(1, calls / points);
  let count = 0;
  for (let at = only ?? 1; at <= (only ?? calls); at += step) {
    const call = Math.floor(at);
    const plan = { seed, profile, steps, call };
    for (const ways of WAYS) {
      let failures = 'before anything failed';
      try {
        const run = await runFaulty({ ...plan, ...ways });
        failures = run.failed.map(({ kind, path }) => `${kind} ${path}`).join(', ');
        count++;
        await check(run, ways.code);
      } catch (error) {
        throw new Error(`faults --seed ${seed} --steps ${steps} --call ${call}: ${JSON.stringify(ways)}, ${failures}`, {
          cause: error,
        });
      }
    }
  }
  return count;
}

async function check(run: FaultRun, code: string): Promise<void> {
  const { failed, world } = run;
  if (failed.length === 0) return mustSurvive(run);
  if (code === 'EIO') return mustFail(run);
  const mayFail = failed.some((call) => isFinal(call));
  await world?.life.quiet();
  await (mayFail && world?.life.hasFailed ? mustFail(run) : mustSurvive(run));
}

const WAYS: readonly Pick<FaultPlan, 'code' | 'count' | 'partial'>[] = [
  { code: 'ENOSPC' },
  { code: 'ENOSPC', partial: true },
  { code: 'ENOSPC', partial: true, count: 3 },
  { code: 'EIO' },
  { code: 'EIO', partial: true, count: Infinity },
];

async function callsOf(seed: number, profile: Profile, steps: number): Promise<number> {
  const run = await runFaulty({ seed, profile, steps, call: Number.MAX_SAFE_INTEGER, code: 'EIO' });
  return run.disk.calls;
}
