// Time for a store under test: it passes when the harness says so, while the turns of the event loop end by themselves, since
// the simulated disk needs them. When the process "dies", nothing that it had planned happens any more.
import type { Clock, Timer } from '../../lib/core/ports.ts';

interface Planned {
  at: number;
  readonly periodMs: number;
  readonly task: () => void;
}

const EPOCH_MS = 1_700_000_000_000;

export class StoreClock implements Clock {
  readonly #failed: (error: unknown) => void;
  #planned: Planned[] = [];
  #now = 0;
  #turnTasks = 0;
  isDead = false;

  /** @param failed hears of what a task throws: nobody else would catch it */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Tasks that wait for the end of the turn. */
  get turnTasks(): number {
    return this.#turnTasks;
  }

  now(): number {
    return this.#now;
  }

  epochMs(): number {
    return EPOCH_MS + this.#now;
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#plan({ at: this.#now + delayMs, periodMs: 0, task });
  }

  every(periodMs: number, task: () => void): Timer {
    return this.#plan({ at: this.#now + periodMs, periodMs, task });
  }

  endOfTurn(task: () => void): void {
    this.#turnTasks++;
    setImmediate(() => {
      this.#turnTasks--;
      this.#run(task);
    });
  }

  /** Lets time pass: what is due happens in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    while (!this.isDead) {
      let next: Planned | undefined;
      for (const planned of this.#planned) if (next === undefined || planned.at < next.at) next = planned;
      if (next === undefined || next.at > until) break;
      this.#now = next.at;
      if (next.periodMs > 0) next.at += next.periodMs;
      else this.#drop(next);
      this.#run(next.task);
    }
    this.#now = until;
  }

  #plan(planned: Planned): Timer {
    this.#planned.push(planned);
    return { cancel: () => this.#drop(planned) };
  }

  #drop(planned: Planned): void {
    this.#planned = this.#planned.filter((other) => other !== planned);
  }

  #run(task: () => void): void {
    if (this.isDead) return;
    try {
      task();
    } catch (error) {
      this.#failed(error);
    }
  }
}
