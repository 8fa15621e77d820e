// Watches how much space is free on the disk of the data folder, and raises the disk alarm before it is full. Who writes to
// that disk may find it full all the same, and says so.
import type { Clock, Timer } from '../core/ports.ts';
import type { FileSystem } from './file-system.ts';

const CALM_MS = 10_000;
const ALERT_MS = 1000;
/** Below so many times the limit the disk is looked at more often: it takes some seconds to fill what is left. */
const ALERT_FACTOR = 4;

export interface DiskMonitorOptions {
  readonly fileSystem: Pick<FileSystem, 'freeBytes'>;
  readonly directory: string;
  /** The alarm is raised below so much free space; 0: only when somebody finds the disk full. */
  readonly limitBytes: number;
  readonly clock: Pick<Clock, 'after'>;
  /** Called when the alarm is raised (true) or cleared (false). */
  readonly listener: (raised: boolean) => void;
  /** Called when the free space can't be found out: once, until it can be again. */
  readonly warn: (error: unknown) => void;
}

export class DiskMonitor {
  readonly #options: DiskMonitorOptions;
  #freeBytes: number | undefined;
  /** Less than the limit is free, as far as is known. */
  #low = false;
  /** Somebody could not write for want of space, and has not been able to since. */
  #full = false;
  #raised = false;
  #warned = false;
  #checking = false;
  #closed = false;
  #timer: Timer | undefined;

  constructor(options: DiskMonitorOptions) {
    this.#options = options;
  }

  /** What the last check found; undefined before it, and when that can't be found out. */
  get freeBytes(): number | undefined {
    return this.#freeBytes;
  }

  /** Checks for the first time, and then again and again. Never rejects. */
  start(): Promise<void> {
    return this.#check();
  }

  /** The disk is full, as somebody found who tried to write (ENOSPC). Raises the alarm at once, whatever is said to be free. */
  full(): void {
    if (this.#closed) return;
    this.#full = true;
    this.#update();
    this.#schedule();
  }

  /** Writing works again. The alarm clears when a check finds that there is room, too, and that is made now. */
  recovered(): void {
    if (!this.#full) return;
    this.#full = false;
    void this.#check();
  }

  /** Looks and tells no more. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #check(): Promise<void> {
    if (this.#checking || this.#closed) return;
    this.#checking = true;
    this.#timer?.cancel();
    const { fileSystem, directory, limitBytes, warn } = this.#options;
    try {
      this.#freeBytes = await fileSystem.freeBytes(directory);
      this.#low = this.#freeBytes < limitBytes;
      this.#warned = false;
    } catch (error) {
      // What was known last stands: an alarm that was raised stays, and none is raised for this.
      this.#freeBytes = undefined;
      if (!this.#warned && !this.#closed) warn(error);
      this.#warned = true;
    }
    this.#checking = false;
    this.#update();
    this.#schedule();
  }

  #update(): void {
    const raised = this.#low || this.#full;
    if (raised === this.#raised || this.#closed) return;
    this.#raised = raised;
    this.#options.listener(raised);
  }

  #schedule(): void {
    this.#timer?.cancel();
    // The check that is under way schedules the next one.
    if (this.#checking || this.#closed) return;
    const { clock, limitBytes } = this.#options;
    const isNear = this.#freeBytes !== undefined && this.#freeBytes < limitBytes * ALERT_FACTOR;
    this.#timer = clock.after(this.#raised || isNear ? ALERT_MS : CALM_MS, () => void this.#check());
  }
}
