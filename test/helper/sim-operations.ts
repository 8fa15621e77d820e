// Operations of a simulated disk on their way: each ends some time later, in an order that the random function gives, fails when
// it is told to, and finds the disk dead when it has crashed meanwhile.
import { type DiskCall, type DiskCallKind, DiskFaults } from './sim-faults.ts';
import { type SimState, systemError } from './sim-state.ts';

/** A call that is counted and can be made to fail. */
export interface Operation<T> {
  readonly kind: DiskCallKind;
  readonly path: string;
  /** Does it: to the state of the disk, or to a copy, when a crash finds it under way. */
  readonly apply: (state: SimState) => T;
  /** What it does when it fails by order. */
  readonly fail?: (state: SimState, isPartial: boolean) => void;
  /** Changes something, so that a crash that finds it under way may leave it done. */
  readonly isChange?: boolean;
}

type Change = (state: SimState) => unknown;

export class SimOperations {
  readonly state: SimState;
  readonly random: () => number;
  readonly onCall: (call: DiskCall) => void;
  readonly faults = new DiskFaults();
  readonly #underWay = new Set<Change>();
  #interrupted: readonly Change[] | null = null;

  constructor(state: SimState, random: () => number, onCall: (call: DiskCall) => void) {
    this.state = state;
    this.random = random;
    this.onCall = onCall;
  }

  /** Ends all operations; returns the changes that were under way then, also when it is called again. */
  crash(): readonly Change[] {
    this.#interrupted ??= [...this.#underWay];
    return this.#interrupted;
  }

  /** A random whole number below `limit`. */
  roll(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  operate<T>({ kind, path, apply, fail, isChange = false }: Operation<T>): Promise<T> {
    const fault = this.faults.count(kind);
    // One function a call, since the set tells them apart.
    const change = (state: SimState): T => apply(state);
    if (isChange && fault === undefined) this.#underWay.add(change);
    return this.later(kind, path, (state) => {
      this.#underWay.delete(change);
      if (fault === undefined) return change(state);
      fail?.(state, fault.isPartial);
      throw systemError(fault.code, path);
    });
  }

  /** Takes a step some time later, unless the disk has crashed by then. */
  later<T>(kind: string, path: string, step: (state: SimState) => T): Promise<T> {
    this.onCall({ kind, path, number: this.faults.calls });
    return new Promise((resolve, reject) => {
      this.#wait(this.roll(6), () => {
        try {
          if (this.#interrupted !== null) throw systemError('ECRASHED', path);
          resolve(step(this.state));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Waits for 1 to 3 microtasks, or for 1 to 3 turns of the event loop. */
  #wait(delay: number, step: () => void): void {
    if (delay < 3) queueMicrotask(() => (delay === 0 ? step() : this.#wait(delay - 1, step)));
    else setImmediate(() => (delay === 3 ? step() : this.#wait(delay - 1, step)));
  }
}
