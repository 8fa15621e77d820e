// Crashes a store at a chosen call to its disk, in every way that a disk can end up, and checks what is left: right after the crash,
// after a crash within the recovery, and when the broker has gone on for a while.
import { SimulatedDisk, seededRandom } from './sim-disk.ts';
import type { DiskCall } from './sim-faults.ts';
import type { CrashOptions } from './sim-state.ts';
import { StoreHistory } from './store-history.ts';
import { FOLDER, StoreLife } from './store-life.ts';
import { type End, StoreModel } from './store-model.ts';
import { observe, takeAll } from './store-observe.ts';
import { assertHealthy, Dice, type Profile, Workload } from './store-workload.ts';
import { StoreWorld } from './store-world.ts';

/** Ends the life that is lived on a disk when it makes a certain call. */
export class Trap {
  #call = Infinity;
  #disk: SimulatedDisk | null = null;
  #life: StoreLife | null = null;
  /** Leaves the disk running: only the process dies. */
  #onlyProcess = false;
  /** The call that it sprang at; null when it did not. */
  sprungAt: DiskCall | null = null;
  /** The last write may be torn: nobody was told that it is safe. */
  isTearable = false;

  /** Hears of every call. */
  onEach: (call: DiskCall) => void = () => undefined;

  /** For the first disk; those that come of its crashes take it over. */
  readonly onCall = (call: DiskCall): void => {
    this.onEach(call);
    if (call.number < this.#call || this.sprungAt !== null) return;
    this.spring(call);
  };

  readonly watch = (life: StoreLife): void => {
    this.#life = life;
  };

  arm(disk: SimulatedDisk, call: number, onlyProcess = false): void {
    this.#disk = disk;
    this.#call = call;
    this.#onlyProcess = onlyProcess;
    this.#life = null;
    this.sprungAt = null;
  }

  spring(call: DiskCall): void {
    this.sprungAt = call;
    this.isTearable = this.#disk?.isLastWriteUnsynced ?? false;
    void this.#life?.kill();
    if (!this.#onlyProcess) this.#disk?.crash({ mode: 'keep' });
  }
}

/** The seed of a run, and what came before the life that is lived now. */
export interface Scene {
  readonly seed: number;
  readonly profile: Profile;
  readonly trap: Trap;
  readonly history: StoreHistory;
  readonly disk: SimulatedDisk;
  /** What the disk must hold. */
  readonly model: StoreModel;
}

/** How a life ended. */
export interface Ending extends Scene {
  /** Null when it died before its store was open. */
  readonly world: StoreWorld | null;
  readonly crashedAt: DiskCall | null;
  readonly isTearable: boolean;
}

/** A new disk. */
export function sceneOf(seed: number, profile: Profile): Scene {
  const trap = new Trap();
  const disk = new SimulatedDisk({ random: seededRandom(seed), onCall: trap.onCall });
  return { seed, profile, trap, history: new StoreHistory(), disk, model: new StoreModel() };
}

export interface LifeOptions {
  readonly steps: number;
  /** The call at which it ends; never by default. */
  readonly call?: number;
  readonly onlyProcess?: boolean;
  /** Whether it ends in good order, if it gets so far. Default: true. */
  readonly closes?: boolean;
}

/** Lives a life, to its end in good order or to the crash, which may come while it ends. */
export async function live(scene: Scene, options: LifeOptions): Promise<Ending> {
  const { call = Infinity, onlyProcess = false } = options;
  const { seed, profile, trap, history, disk, model } = scene;
  trap.arm(disk, call, onlyProcess);
  let world: StoreWorld | null = null;
  const opened = await StoreWorld.open(disk, profile, history, model, trap.watch);
  if (!opened.life.isDead) {
    world = opened;
    await work(world, seed, profile, options);
  }
  if (trap.sprungAt !== null && onlyProcess) await opened.life.kill();
  return { ...scene, world, crashedAt: trap.sprungAt, isTearable: trap.isTearable };
}

async function work(world: StoreWorld, seed: number, profile: Profile, options: LifeOptions): Promise<void> {
  const { steps, closes = true } = options;
  await new Workload(world, new Dice(seed), profile).run(steps);
  // As with a broker, whose clients are gone before its store is closed.
  if (closes) world.leave(seed % 2 === 0);
  if (!world.life.isDead) await world.flush();
  if (!world.life.isDead && closes) await world.close();
}

/** Lives on where only the process died: what was not synced is there, but a power loss may yet come. */
export async function liveOn(scene: Scene, options: LifeOptions): Promise<Ending> {
  const { call = Infinity, onlyProcess = false } = options;
  const { seed, profile, trap, history, disk } = scene;
  const life = await StoreLife.open(disk, profile, trap.watch);
  const { lines, deliveries } = await takeAll(life, history);
  const model = scene.model.match(lines, endOf(profile));
  const world = StoreWorld.adopt(life, history, model, deliveries);
  // Not before: who dies within it has taken something out, and can't say what.
  trap.arm(disk, disk.calls + call, onlyProcess);
  trap.watch(life);
  await work(world, seed, profile, options);
  if (trap.sprungAt !== null && onlyProcess) await life.kill();
  return { ...scene, model, world, crashedAt: trap.sprungAt, isTearable: trap.isTearable };
}

function endOf({ fsync }: Profile): End {
  return fsync === 'always' ? 'crash' : 'lossy crash';
}

/** Checks that after a life that ended in good order nothing has to be repaired, and all is there. */
export async function afterClose(ending: Ending): Promise<Scene> {
  const { disk, profile, history, model, world } = ending;
  if (world === null || world.life.isDead) throw new Error('it did not end in good order');
  const { lines, warnings } = await observe(disk.crash({ mode: 'drop' }), profile, history);
  if (warnings.length > 0) throw new Error(`a clean stop left something to repair: ${warnings.join(', ')}`);
  return { ...ending, disk: disk.crash({ mode: 'drop' }), model: model.match(lines, 'stop') };
}

/** A way for a crash to end. Each call makes options that give the same disk. */
export interface Outcome {
  readonly name: string;
  readonly options: () => CrashOptions;
}

/** @param tears about so many offsets at which the last write is torn, if it may be */
export function outcomesOf({ disk, isTearable, seed }: Ending, tears: number): Outcome[] {
  const outcomes: Outcome[] = [
    { name: 'drop', options: () => ({ mode: 'drop' }) },
    { name: 'keep', options: () => ({ mode: 'keep' }) },
    { name: 'random 1', options: () => ({ mode: 'random', random: seededRandom(seed) }) },
    { name: 'random 2', options: () => ({ mode: 'random', random: seededRandom(seed + 1) }) },
  ];
  if (!isTearable || tears === 0) return outcomes;
  const { lastWriteLength } = disk;
  const step = Math.max(1, Math.floor(lastWriteLength / tears));
  for (let at = seed % step; at <= lastWriteLength; at += step) {
    outcomes.push({ name: `torn at ${at}`, options: () => ({ tearLastWriteAt: at }) });
  }
  return outcomes;
}

/** Checks what one outcome of a crash left, and returns the scene for whoever goes on from there. */
export async function afterCrash(ending: Ending, { options }: Outcome): Promise<Scene> {
  const { disk, profile, history, model } = ending;
  const { lines } = await observe(disk.crash(options()), profile, history);
  return { ...ending, disk: disk.crash(options()), model: model.match(lines, endOf(profile)) };
}

/** Crashes within the recovery, at each of its calls, and checks what that leaves; returns how many calls there were. */
export async function crashRecovery(ending: Ending, outcome: Outcome, model: StoreModel): Promise<number> {
  const { disk, trap, profile, history, seed } = ending;
  for (let call = 1; ; call++) {
    const again = disk.crash(outcome.options());
    trap.arm(again, call);
    const life = await StoreLife.open(again, profile, trap.watch);
    if (!life.isDead) await life.quiet();
    if (trap.sprungAt === null) {
      await life.kill();
      return call - 1;
    }
    for (const mode of ['drop', 'keep', 'random'] as const) {
      const random = seededRandom(seed + call);
      const { lines } = await observe(again.crash({ mode, random }), profile, history);
      try {
        model.match(lines, 'crash');
      } catch (error) {
        throw new Error(`a crash (${mode}) at call ${call} of the recovery`, { cause: error });
      }
    }
  }
}

/** Takes everything out and acknowledges it: then neither memory nor disk holds anything that is not needed. */
export async function checkDrained({ disk, profile, history, model, trap }: Scene): Promise<void> {
  trap.arm(disk, Infinity);
  const world = await StoreWorld.open(disk, profile, history, model);
  const { life } = world;
  for (const queue of world.queues) {
    while (queue.messageCount > 0) {
      world.act(() => world.get(queue, false));
      await life.until(() => world.waitingGets === 0, 'what is drained');
    }
  }
  world.act(() => world.settle(world.unsettled, 'acknowledge'));
  for (let i = 0; i < 3; i++) {
    await world.flush();
    life.clock.advance(2000);
    await life.quiet();
  }
  assertHealthy(world);
  if (life.memory.usedBytes !== 0) throw new Error(`${life.memory.usedBytes} bytes of memory are held by nothing`);
  const pages = await disk.list(`${FOLDER}/pages`);
  if (pages.length > 0) throw new Error(`pages with nothing alive: ${pages.join(', ')}`);
  const segments = await disk.list(`${FOLDER}/log`);
  if (segments.length > 1) throw new Error(`segments with nothing alive: ${segments.join(', ')}`);
  await world.close();
}
