// The heap of deadlines against a sorted array.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { DeadlineHeap } from '../../lib/core/deadline-heap.ts';
import { type Step, sequenceOf, stepsOf } from './helper.ts';

type Pair = readonly [deadlineMs: number, position: number];

class Checked {
  readonly heap = new DeadlineHeap();
  expected: Pair[] = [];

  add(pairs: readonly Pair[]): void {
    for (const [deadlineMs, position] of pairs) {
      this.heap.add(deadlineMs, position);
      this.expected.push([deadlineMs, position]);
    }
    this.expected.sort(([a, one], [b, other]) => a - b || one - other);
    this.check();
  }

  shift(count: number): void {
    for (let i = 0; i < count && this.expected.length > 0; i++) {
      this.expected.shift();
      this.heap.shift();
      this.check();
    }
  }

  filter(divisor: number): void {
    this.expected = this.expected.filter(([, position]) => position % divisor === 0);
    this.heap.filter((position) => position % divisor === 0);
    this.check();
  }

  visit(deadlineMs: number): void {
    const visited: number[] = [];
    this.heap.forEachUpTo(deadlineMs, (position) => visited.push(position));
    const expected = this.expected.filter(([each]) => each <= deadlineMs).map(([, position]) => position);
    assert.deepEqual(sorted(visited), sorted(expected));
  }

  clear(): void {
    this.heap.clear();
    this.expected = [];
    this.check();
  }

  check(): void {
    const { heap, expected } = this;
    assert.equal(heap.size, expected.length);
    assert.equal(heap.firstMs, expected[0]?.[0] ?? Infinity);
    if (expected.length > 0) assert.equal(heap.firstPosition, expected[0][1]);
  }
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}

const stepOf = stepsOf<Checked>();
// Few different deadlines, so that many are the same; positions beyond 32 bits, as those of priorities are.
const pair = fc.tuple(fc.nat(30), fc.oneof(fc.nat(50), fc.maxSafeNat()));
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 4, arbitrary: stepOf('add', fc.array(pair, { maxLength: 60, size: 'max' }), (c, pairs) => c.add(pairs)) },
  { weight: 4, arbitrary: stepOf('shift', fc.nat(80), (c, count) => c.shift(count)) },
  { weight: 1, arbitrary: stepOf('filter', fc.integer({ min: 1, max: 9 }), (c, divisor) => c.filter(divisor)) },
  { weight: 2, arbitrary: stepOf('visit', fc.nat(32), (c, deadlineMs) => c.visit(deadlineMs)) },
  { weight: 1, arbitrary: stepOf('clear', fc.constant(null), (c) => c.clear()) },
);

t.test('deadlines come out in order, those of the same time by position', async () => {
  fc.assert(
    fc.property(sequenceOf(step), (steps) => {
      const checked = new Checked();
      for (const each of steps) each(checked);
      checked.shift(checked.expected.length);
      assert.equal(checked.heap.firstMs, Infinity);
    }),
    { numRuns: 300 },
  );
});

t.test('it grows and shrinks with what it holds', async (t) => {
  const heap = new DeadlineHeap();
  const count = 100_000;
  for (let i = 0; i < count; i++) heap.add((i * 7919) % count, i);
  heap.filter((position) => position % 1000 === 0);
  t.equal(heap.size, count / 1000);
  for (let i = 0; i < count; i++) heap.add(count + i, i);
  let last = -1;
  for (; heap.size > 0; heap.shift()) {
    assert.ok(heap.firstMs >= last);
    last = heap.firstMs;
  }
  t.equal(last, 2 * count - 1);
});
