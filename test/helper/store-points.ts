// Goes through the calls of a run and crashes at each of them; and goes from crash to crash at random, for whoever has more time.
import {
  afterClose,
  afterCrash,
  checkDrained,
  crashRecovery,
  type Ending,
  live,
  liveOn,
  outcomesOf,
  type Scene,
  sceneOf,
} from './store-crash.ts';
import { observe } from './store-observe.ts';
import { Dice, type Profile, profileOf } from './store-workload.ts';

export interface PointOptions {
  readonly seed: number;
  readonly steps: number;
  /** About so many calls are crashed at. */
  readonly points: number;
  /** The only call to crash at. */
  readonly call?: number;
  readonly profile?: Profile;
}

/** How much was done. */
export interface PointCounts {
  calls: number;
  points: number;
  outcomes: number;
  recoveryCrashes: number;
}

/** Crashes at the calls of a seed's run, and checks everything that each crash may leave. */
export async function crashPoints(options: PointOptions, counts: PointCounts): Promise<void> {
  const { seed, steps, points, call: only, profile = profileOf(seed) } = options;
  const whole = await live(sceneOf(seed, profile), { steps });
  await afterClose(whole);
  const calls = whole.disk.calls;
  counts.calls += calls;
  const step = Math.max(1, calls / points);
  for (let at = only ?? 1; at <= (only ?? calls); at += step) {
    await crashPoint(seed, profile, steps, Math.floor(at), counts);
  }
}

async function crashPoint(
  seed: number,
  profile: Profile,
  steps: number,
  call: number,
  counts: PointCounts,
): Promise<void> {
  let name = 'the run itself';
  try {
    const ending = await live(sceneOf(seed, profile), { steps, call });
    if (ending.crashedAt === null) return;
    counts.points++;
    const crashesRecovery = call % 3 === 0;
    const dice = new Dice(seed * 1000 + call);
    const outcomes = outcomesOf(ending, 12);
    const chosen = dice.pick(outcomes);
    for (const outcome of outcomes) {
      ({ name } = outcome);
      counts.outcomes++;
      const scene = await afterCrash(ending, outcome);
      if (outcome !== chosen) continue;
      name = `${outcome.name}, then a crash in the recovery`;
      if (crashesRecovery) counts.recoveryCrashes += await crashRecovery(ending, outcome, scene.model);
      name = `${outcome.name}, and on`;
      await afterClose(await live({ ...scene, seed: seed + call }, { steps: 12 }));
    }
  } catch (error) {
    const repeat = `points --seed ${seed} --steps ${steps} --call ${call} --profile ${profile.kind}`;
    throw new Error(`${repeat} (${name})`, { cause: error });
  }
}

/** Tears what was written last at every byte, whenever it is about to be synced; returns at how many bytes, by kind of file. */
export async function tearEverywhere(seed: number, steps: number, profile: Profile): Promise<Map<string, number>> {
  const offsets = new Map<string, number>();
  for (let call = 1; ; call++) {
    const ending = await live(sceneOf(seed, profile), { steps, call });
    const { crashedAt, isTearable, disk, history, model } = ending;
    if (crashedAt === null) return offsets;
    if (crashedAt.kind !== 'dataSync' || !isTearable) continue;
    const kind = /checkpoint|log|page/.exec(crashedAt.path)?.[0] ?? 'other';
    const { lastWriteLength } = disk;
    // The first of each kind, and then and when, are enough of what is large.
    if (lastWriteLength > 400 && (offsets.get(kind) ?? 0) > 4000) continue;
    for (let at = 0; at <= lastWriteLength; at++) {
      try {
        const { lines } = await observe(disk.crash({ tearLastWriteAt: at }), profile, history);
        model.match(lines, 'crash');
      } catch (error) {
        const repeat = `tears --seed ${seed} --steps ${steps} --profile ${profile.kind}`;
        throw new Error(`${repeat} (${crashedAt.path} torn at ${at}, call ${call})`, { cause: error });
      }
    }
    offsets.set(kind, (offsets.get(kind) ?? 0) + lastWriteLength + 1);
  }
}

/** Lives several lives in a row, each of which ends with a crash or in good order, and checks what each leaves. */
export async function lives(seed: number, generations: number, profile: Profile): Promise<void> {
  let scene: Scene = sceneOf(seed, profile);
  const dice = new Dice(seed ^ 0x11fe);
  const repeat = `lives --seed ${seed} --lives ${generations} --steps ${profile.steps} --profile ${profile.kind}`;
  let wasKilled = false;
  for (let generation = 0; generation < generations; generation++) {
    const end = dice.roll(6);
    const steps = 5 + dice.roll(profile.steps);
    const call = end === 0 ? Infinity : 1 + dice.roll(steps * 2);
    const onlyProcess = end === 1 || end === 2;
    let name = `life ${generation} of ${steps} steps, ${onlyProcess ? 'killed' : 'crash'} at call ${call}`;
    try {
      // A broker that is started with another mode goes on with the same folder.
      const fsync = profile.fsync === 'always' ? 'always' : dice.pick(['always', 'interval', 'never'] as const);
      const begin = { ...scene, seed: seed * 100 + generation, profile: { ...profile, fsync } };
      const ending: Ending = await (wasKilled ? liveOn : live)(begin, { steps, call, onlyProcess });
      wasKilled = onlyProcess && ending.crashedAt !== null;
      if (wasKilled) {
        scene = ending;
      } else if (ending.crashedAt === null) {
        scene = await afterClose(ending);
      } else {
        const outcome = dice.pick(outcomesOf(ending, 5));
        name += `, ${outcome.name}`;
        scene = await afterCrash(ending, outcome);
      }
    } catch (error) {
      throw new Error(`${repeat} (${name})`, { cause: error });
    }
  }
  try {
    if (wasKilled) return;
    await checkDrained(scene);
  } catch (error) {
    throw new Error(`${repeat} (drained)`, { cause: error });
  }
}
