// When the broker dies. A plan names a moment and a delay, drawn from the seed; what the moment hits is the machine's doing.
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Dice } from '../helper/random-client.ts';
import { between } from './random.ts';
import type { Moment } from './session.ts';

export interface KillPlan {
  readonly moment: Moment;
  /** The so-manieth of these moments. */
  readonly nth: number;
  readonly delayMs: number;
  /** `stop`: SIGTERM, and SIGKILL so many ms later; `graceful`: SIGTERM alone; `rest`: all clients stop and all is compared before. */
  readonly how: 'kill' | 'stop' | 'graceful' | 'rest';
  readonly stopMs: number;
  /** When the moment does not come. */
  readonly latestMs: number;
}

/** @param brief no life takes longer than a second */
export function drawPlan(dice: Dice, brief: boolean): KillPlan {
  const ways = ['kill', 'kill', 'kill', 'kill', 'kill', 'kill', 'kill', 'stop', 'rest', 'graceful'] as const;
  const how = dice.pick(ways);
  return { ...drawMoment(dice, brief), how, stopMs: dice.roll(200), latestMs: brief ? 1000 : 5000 };
}

function drawMoment(dice: Dice, brief: boolean): Pick<KillPlan, 'moment' | 'nth' | 'delayMs'> {
  switch (dice.roll(15)) {
    case 0:
      return { moment: 'confirm', nth: 1, delayMs: 0 };
    case 1:
      return { moment: 'confirm', nth: between(dice, 2, 5000), delayMs: dice.roll(20) };
    case 2:
      return { moment: 'commit sent', nth: between(dice, 1, 60), delayMs: dice.roll(4) };
    case 3:
      return { moment: 'commit', nth: between(dice, 1, 60), delayMs: dice.roll(4) };
    case 4:
      return { moment: 'flush', nth: between(dice, 1, 30), delayMs: 0 };
    case 5:
      return { moment: 'topology', nth: between(dice, 1, 20), delayMs: dice.roll(4) };
    case 6:
      return { moment: 'purge', nth: between(dice, 1, 4), delayMs: dice.roll(4) };
    case 7:
    case 8:
      return { moment: 'file', nth: between(dice, 1, 40), delayMs: dice.roll(4) };
    case 9:
      return { moment: 'drain', nth: 1, delayMs: dice.roll(100) };
    case 10:
      return { moment: 'rejection', nth: between(dice, 1, 40), delayMs: dice.roll(4) };
    case 11:
      return { moment: 'dead letter', nth: between(dice, 1, 200), delayMs: dice.roll(4) };
    case 12:
      return { moment: 'letter confirmed', nth: between(dice, 1, 100), delayMs: 0 };
    case 13:
      // Long enough for backlogs that don't fit in memory.
      return { moment: 'started', nth: 1, delayMs: brief ? between(dice, 300, 800) : between(dice, 500, 4000) };
    default:
      return { moment: 'started', nth: 1, delayMs: between(dice, 5, 500) };
  }
}

/** Carries out a plan: calls `act` once. */
export class Executioner {
  readonly #plan: KillPlan;
  readonly #act: () => void;
  readonly #timers: NodeJS.Timeout[] = [];
  #left: number;
  #done = false;

  constructor(plan: KillPlan, act: () => void) {
    this.#plan = plan;
    this.#act = act;
    this.#left = plan.nth;
  }

  notice(moment: Moment): void {
    if (moment === 'started') this.#timers.push(setTimeout(() => this.#fire(), this.#plan.latestMs));
    if (moment !== this.#plan.moment || --this.#left !== 0) return;
    if (this.#plan.delayMs === 0) this.#fire();
    else this.#timers.push(setTimeout(() => this.#fire(), this.#plan.delayMs));
  }

  /** Nothing is to be killed any more. */
  dismiss(): void {
    this.#done = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #fire(): void {
    if (this.#done) return;
    this.dismiss();
    this.#act();
  }
}

/** Tells of files that come, go and are renamed in a data folder: segments, pages, checkpoints. */
export class FolderWatch {
  readonly #watchers: FSWatcher[] = [];

  constructor(folder: string, changed: () => void) {
    for (const path of [folder, join(folder, 'log'), join(folder, 'pages')]) {
      if (!existsSync(path)) continue;
      this.#watchers.push(
        watch(path, (event) => {
          if (event === 'rename') changed();
        }),
      );
    }
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }
}
