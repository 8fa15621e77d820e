// Any use of a delay queue, compared with a list that is sorted by the time at which messages are due.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { DelayBench, delayIn, type Held } from './delay-bench.ts';
import { type Step, sequenceOf, stepsOf } from './helper.ts';

/** A bench with what was published, in the order in which it is to leave. */
class ModelBench extends DelayBench {
  readonly published: Held[] = [];

  add(delayMs: number, persistent: boolean): void {
    const dueMs = this.nowMs + delayMs;
    this.published.push({ text: this.publish(delayMs, persistent), dueMs });
  }

  /** What must have left by now, and what may have. */
  expected(lateMs: number): string[] {
    const due = this.published.filter(({ dueMs }) => dueMs <= this.nowMs - lateMs);
    return due.sort((a, b) => a.dueMs - b.dueMs).map(({ text }) => text);
  }
}

const stepOf = stepsOf<ModelBench>();
/** Often the same, or the same as another one that was published a little earlier. */
const delay = fc.oneof(
  fc.integer({ min: 1, max: 20 }),
  fc.constantFrom(5, 10, 1000, 1001, 1999, 2000, 5000, 86_400_000),
);

const publish = stepOf(
  'publish',
  fc.tuple(fc.array(delay, { minLength: 1, maxLength: 5 }), fc.boolean()),
  (bench, [delays, persistent]) => {
    for (const each of delays) bench.add(each, persistent);
  },
);
const advance = stepOf(
  'advance',
  fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constantFrom(100, 995, 1000, 2000, 4000)),
  (bench, ms) => bench.advance(ms),
);
const pageOut = stepOf('page out', fc.boolean(), (bench, all) => bench.store.pageOut(all));
const answer = stepOf('answer', fc.integer({ min: 0, max: 4 }), (bench, count) => {
  if (bench.store.isLoading) bench.store.answer(count);
});
const settle = stepOf('settle', fc.constant(null), (bench) => bench.settle());
const usual: { weight: number; arbitrary: fc.Arbitrary<Step<ModelBench>> }[] = [
  { weight: 6, arbitrary: publish },
  { weight: 5, arbitrary: advance },
  { weight: 2, arbitrary: pageOut },
  { weight: 3, arbitrary: answer },
  { weight: 1, arbitrary: settle },
];

t.test('each message leaves once, in order, never early, and as soon as the disk has it', async () => {
  const property = fc.property(sequenceOf(fc.oneof(...usual), 60), (steps) => {
    const bench = new ModelBench();
    for (const step of steps) {
      step(bench);
      bench.check();
    }
    bench.settle();
    // A timer may be two milliseconds late.
    const expected = bench.expected(10);
    assert.deepEqual(bench.sent.slice(0, expected.length), expected);
    bench.clock.advance(100_000_000);
    bench.settle();
    assert.deepEqual(bench.sent, bench.expected(0));
    assert.equal(bench.sent.length, bench.published.length);
    assert.equal(bench.memory.usedBytes, 0);
    bench.close();
  });
  fc.assert(property, { numRuns: 300 });
});

t.test('it can be closed at any time', async () => {
  const property = fc.property(sequenceOf(fc.oneof(...usual), 30), (steps) => {
    const bench = new ModelBench();
    for (const step of steps) step(bench);
    const sent = bench.sent.length;
    bench.close();
    bench.advance(10_000);
    assert.equal(bench.sent.length, sent);
    assert.equal(bench.clock.pendingTimers <= 1, true, 'one timer of the broker may be left');
  });
  fc.assert(property, { numRuns: 100 });
});

t.test('a clock that is set loses nothing, and no place is given twice', async () => {
  const set = stepOf('set the clock', fc.constantFrom(-5000, -1000, -10, -1, 1, 1000, 5000), (bench, ms) => {
    bench.clock.offsetMs += ms;
  });
  const property = fc.property(sequenceOf(fc.oneof(...usual, { weight: 2, arbitrary: set }), 60), (steps) => {
    const bench = new ModelBench();
    for (const step of steps) {
      step(bench);
      bench.check();
    }
    bench.settle();
    bench.clock.advance(200_000_000);
    bench.settle();
    assert.equal(bench.sent.length, bench.published.length);
    assert.equal(new Set(bench.sent).size, bench.sent.length);
    assert.equal(new Set(bench.positions).size, bench.positions.length);
    for (let i = 1; i < bench.positions.length; i++) assert.ok(bench.positions[i - 1] < bench.positions[i], 'in order');
    assert.ok(bench.sent.every((text) => delayIn(text) > 0));
    bench.close();
  });
  fc.assert(property, { numRuns: 300 });
});
