// Work that is done once per turn of the event loop, however often it is asked for: flushing outputs, copying leftovers.
import type { Clock } from './ports.ts';

/** Something with work for the end of the turn. */
export interface TurnTask {
  /** Called once at the end of each turn in which the task was added. */
  endTurn(): void;
  /** `endTurn` threw: a defect of ours, which must not harm the other tasks. */
  turnFailed(error: unknown): void;
}

/** Gathers the tasks of a turn. A task guards itself against being added twice in a turn. */
export class TurnScheduler {
  readonly #clock: Clock;
  readonly #ended: () => void;
  #tasks: TurnTask[] = [];
  readonly #run = (): void => this.#endTurn();

  /** @param ended called at the end of each turn that had tasks, after them */
  constructor(clock: Clock, ended: () => void = () => {}) {
    this.#clock = clock;
    this.#ended = ended;
  }

  add(task: TurnTask): void {
    if (this.#tasks.push(task) === 1) this.#clock.endOfTurn(this.#run);
  }

  #endTurn(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) {
      try {
        task.endTurn();
      } catch (error) {
        task.turnFailed(error);
      }
    }
    this.#ended();
  }
}
