// Calls back at points in time: one timer for all queues of a broker, however many wait for something.
import type { Clock, Timer } from './ports.ts';

/** Something that waits for a point in time. One wait at a time. */
export interface DeadlineTask {
  /** When it is due, in milliseconds since 1970, and where it stands; `Deadlines`' alone. */
  readonly deadline: Deadline;
  /** The time has come; there is no deadline any more. */
  deadlineReached(nowMs: number): void;
}

/** What `Deadlines` notes of a task. */
export interface Deadline {
  atMs: number;
  index: number;
}

export function newDeadline(): Deadline {
  return { atMs: Infinity, index: -1 };
}

/** Deadlines that come sooner one after the other than this are handled together. */
const LEAST_WAIT_MS = 2;
/** The timer counts from now; that the system's clock was set is noticed as soon. */
const MOST_WAIT_MS = 60_000;

export class Deadlines {
  readonly #clock: Clock;
  readonly #defect: (error: unknown) => void;
  /** A binary heap; each task knows its index. */
  readonly #heap: DeadlineTask[] = [];
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  #isRunning = false;
  #isStopped = false;

  /** @param defect logs what a task throws */
  constructor(clock: Clock, defect: (error: unknown) => void) {
    this.#clock = clock;
    this.#defect = defect;
  }

  /** Makes a task due at `atMs`, instead of when it was due before; Infinity for never. */
  set(task: DeadlineTask, atMs: number): void {
    const { deadline } = task;
    if (deadline.atMs === atMs) return;
    const earlier = atMs < deadline.atMs || deadline.index < 0;
    deadline.atMs = atMs;
    if (atMs === Infinity) {
      this.#remove(deadline.index);
      deadline.index = -1;
      return;
    }
    if (deadline.index < 0) {
      deadline.index = this.#heap.length;
      this.#heap.push(task);
    }
    if (earlier) this.#up(deadline.index);
    else this.#down(deadline.index);
    if (!this.#isRunning) this.#arm();
  }

  /** Nothing is due any more, for ever. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#isStopped) return;
    const first = this.#heap[0];
    if (first === undefined || first.deadline.atMs >= this.#timerAtMs) return;
    const now = this.#clock.epochMs();
    const wait = Math.min(Math.max(first.deadline.atMs - now, LEAST_WAIT_MS), MOST_WAIT_MS);
    // Who is due already waits no longer because another one comes.
    if (now + wait >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = now + wait;
    this.#timer = this.#clock.after(wait, () => this.#run());
  }

  #run(): void {
    this.#timer = null;
    this.#timerAtMs = Infinity;
    this.#isRunning = true;
    const now = this.#clock.epochMs();
    const due: DeadlineTask[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.deadline.atMs <= now; first = this.#heap[0]) {
      this.#remove(0);
      first.deadline.index = -1;
      due.push(first);
    }
    for (const task of due) {
      const { deadline } = task;
      // One before it may have said that it is not due any more, or later.
      if (deadline.atMs > now || deadline.index >= 0) continue;
      deadline.atMs = Infinity;
      try {
        task.deadlineReached(now);
      } catch (error) {
        this.#defect(error);
      }
    }
    this.#isRunning = false;
    this.#arm();
  }

  #remove(index: number): void {
    if (index < 0) return;
    const last = this.#heap.pop();
    if (last === undefined || index === this.#heap.length) return;
    this.#place(last, index);
    this.#up(index);
    this.#down(last.deadline.index);
  }

  #up(from: number): void {
    const task = this.#heap[from];
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#heap[parent].deadline.atMs <= task.deadline.atMs) break;
      this.#place(this.#heap[parent], at);
      at = parent;
    }
    this.#place(task, at);
  }

  #down(from: number): void {
    const heap = this.#heap;
    const task = heap[from];
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].deadline.atMs < heap[child].deadline.atMs) child++;
      if (heap[child].deadline.atMs >= task.deadline.atMs) break;
      this.#place(heap[child], at);
      at = child;
    }
    this.#place(task, at);
  }

  #place(task: DeadlineTask, index: number): void {
    this.#heap[index] = task;
    task.deadline.index = index;
  }
}
