// Many waits and one timer: who is called when, against a naive list.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Deadlines, type DeadlineTask, newDeadline } from '../../lib/core/deadlines.ts';
import { defect, type Step, sequenceOf, stepsOf, TestClock } from './helper.ts';

/** Deadlines that come sooner one after the other than this are handled together. */
const GRAIN_MS = 2;

class Task implements DeadlineTask {
  readonly deadline = newDeadline();
  readonly calls: number[] = [];
  onCall: ((nowMs: number) => void) | null = null;

  deadlineReached(nowMs: number): void {
    this.calls.push(nowMs);
    this.onCall?.(nowMs);
  }
}

function setUp() {
  const clock = new TestClock();
  clock.epoch = 0;
  const defects: unknown[] = [];
  const deadlines = new Deadlines(clock, (error) => defects.push(error));
  return { clock, defects, deadlines };
}

t.test('a task is called when it is time, once', async (t) => {
  const { clock, deadlines } = setUp();
  const [a, b] = [new Task(), new Task()];
  deadlines.set(a, 100);
  deadlines.set(b, 50);
  t.equal(clock.pendingTimers, 1, 'one timer for all');
  clock.advance(49);
  t.same([a.calls, b.calls], [[], []]);
  clock.advance(1);
  t.same([a.calls, b.calls], [[], [50]]);
  clock.advance(1000);
  t.same([a.calls, b.calls], [[100], [50]]);
  t.equal(clock.pendingTimers, 0);
});

t.test('a deadline in the past is near', async (t) => {
  const { clock, deadlines } = setUp();
  clock.epoch = 1000;
  const task = new Task();
  deadlines.set(task, 0);
  t.same(task.calls, [], 'not while it is set');
  clock.advance(GRAIN_MS);
  t.same(task.calls, [1002]);
});

t.test('a task that throws is a defect, and the others go on', async (t) => {
  const { clock, deadlines, defects } = setUp();
  const [bad, good, later] = [new Task(), new Task(), new Task()];
  bad.onCall = () => {
    throw new Error('mine');
  };
  deadlines.set(bad, 10);
  deadlines.set(good, 10);
  deadlines.set(later, 20);
  clock.advance(10);
  t.match(defects, [{ message: 'mine' }]);
  t.same(good.calls, [10]);
  clock.advance(10);
  t.same(later.calls, [20]);
  deadlines.set(bad, 30);
  clock.advance(10);
  t.equal(bad.calls.length, 2, 'it may wait again');
});

t.test('a task that sets itself again is called again, not at once', async (t) => {
  const { clock, deadlines } = setUp();
  const task = new Task();
  task.onCall = (nowMs) => {
    if (task.calls.length < 4) deadlines.set(task, nowMs - 5);
  };
  deadlines.set(task, 10);
  clock.advance(100);
  t.same(task.calls, [10, 12, 14, 16]);
});

t.test('what a task says of another that is due at the same time holds', async (t) => {
  const { clock, deadlines } = setUp();
  const [first, cleared, delayed] = [new Task(), new Task(), new Task()];
  first.onCall = () => {
    deadlines.set(cleared, Infinity);
    deadlines.set(delayed, 20);
  };
  deadlines.set(first, 10);
  deadlines.set(cleared, 10);
  deadlines.set(delayed, 10);
  clock.advance(10);
  t.same([first.calls, cleared.calls, delayed.calls], [[10], [], []]);
  clock.advance(10);
  t.same([first.calls, cleared.calls, delayed.calls], [[10], [], [20]]);
});

t.test('who is due waits no longer because others keep coming', async (t) => {
  const { clock, deadlines } = setUp();
  const task = new Task();
  deadlines.set(task, 1);
  for (let i = 0; i < 10; i++) {
    clock.advance(1);
    deadlines.set(new Task(), clock.epoch + 1);
  }
  t.same(task.calls, [2]);
});

t.test('when the clock is set forward, what is due by then comes within a minute', async (t) => {
  const { clock, deadlines } = setUp();
  const task = new Task();
  deadlines.set(task, 10_000_000);
  clock.advance(60_000);
  t.same(task.calls, []);
  t.equal(clock.pendingTimers, 1, 'the timer has looked, and looks again');
  clock.epoch = 10_000_000;
  clock.advance(60_000);
  t.equal(task.calls.length, 1);
});

/** Tasks, and when each should be called. */
class Checked {
  readonly clock = new TestClock();
  readonly deadlines = new Deadlines(this.clock, defect);
  readonly tasks = Array.from({ length: 12 }, () => new Task());
  readonly dueMs = this.tasks.map(() => Infinity);
  /** When they must have been called. */
  readonly lateMs = this.tasks.map(() => Infinity);
  #calls = 0;

  constructor() {
    for (const [i, task] of this.tasks.entries()) {
      task.onCall = (nowMs) => {
        assert.ok(this.dueMs[i] <= nowMs, 'not before it is due, nor twice');
        this.dueMs[i] = this.lateMs[i] = Infinity;
        // Some set themselves or others again.
        if (this.#calls++ % 3 === 0) this.set(i, (i * 7) % 20);
        if (this.#calls % 4 === 0) this.set((i + 5) % 12, i % 2 === 0 ? Infinity : i - 4);
      };
    }
  }

  set(at: number, inMs: number): void {
    this.dueMs[at] = this.clock.epoch + inMs;
    this.lateMs[at] = Math.max(this.dueMs[at], this.clock.epoch) + GRAIN_MS;
    this.deadlines.set(this.tasks[at], this.dueMs[at]);
  }

  advance(ms: number): void {
    this.clock.advance(ms);
    assert.ok(
      this.lateMs.every((lateMs) => lateMs > this.clock.epoch),
      'who is due is called',
    );
    assert.ok(this.clock.pendingTimers <= 1);
  }
}

const stepOf = stepsOf<Checked>();
const inMs = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -5, max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, 70_000, 200_000) },
);
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 5, arbitrary: stepOf('set', fc.tuple(fc.nat(11), inMs), (c, [at, ms]) => c.set(at, ms)) },
  { weight: 3, arbitrary: stepOf('advance', fc.nat(20), (c, ms) => c.advance(ms)) },
  { weight: 1, arbitrary: stepOf('advance far', fc.nat(100_000), (c, ms) => c.advance(ms)) },
);

t.test('whoever waits is called in time, and nobody else', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 80), (steps) => {
      const checked = new Checked();
      for (const each of steps) each(checked);
    }),
    { numRuns: 300 },
  );
});
