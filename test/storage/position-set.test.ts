// Sets of positions against JavaScript's own sets.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { type Step, sequenceOf, stepsOf } from '../core/helper.ts';
import { fastestMs, intervals, intervalsOf } from './format-helper.ts';

const MOST = 40;

/** A position set beside the naive thing that it must equal. */
class Checked {
  set = new PositionSet();
  model = new Set<number>();

  add(position: number): void {
    assert.equal(this.set.add(position), !this.model.has(position));
    this.model.add(position);
  }

  addRange(first: number, length: number): void {
    let added = 0;
    for (let position = first; position < first + length; position++) {
      if (!this.model.has(position)) added++;
      this.model.add(position);
    }
    assert.equal(this.set.addRange(first, first + length - 1), added);
  }

  cut(first: number, length: number): void {
    const last = first + length - 1;
    const cut = this.set.cut(first, last);
    check(cut, new Set([...this.model].filter((position) => position >= first && position <= last)));
  }

  replaceByClone(): void {
    const { set } = this;
    this.set = set.clone();
    set.add(MOST + 1);
    set.clear();
  }

  clear(): void {
    this.set.clear();
    this.model.clear();
  }
}

function check(set: PositionSet, model: ReadonlySet<number>): void {
  assert.equal(set.size, model.size);
  assert.equal(set.isEmpty, model.size === 0);
  const sorted = [...model].sort((a, b) => a - b);
  assert.equal(set.first, sorted[0] ?? -1);
  assert.equal(set.last, sorted.at(-1) ?? -1);
  for (let position = 0; position <= MOST + 20; position++) {
    assert.equal(set.has(position), model.has(position));
    let gap = position;
    while (model.has(gap)) gap++;
    assert.equal(set.nextGap(position), gap);
  }
  const list = intervalsOf(set);
  assert.equal(set.intervalCount, list.length);
  assert.deepEqual(
    list.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
    sorted,
  );
  // Intervals neither overlap nor touch.
  for (const [i, [first, last]] of list.entries()) {
    assert.ok(first <= last);
    assert.ok(i === 0 || first > list[i - 1][1] + 1);
    assert.equal(set.intervalFirst(i), first);
    assert.equal(set.intervalLast(i), last);
  }
}

const position = fc.nat({ max: MOST });
const range = fc.tuple(position, fc.nat({ max: 12 }));
const stepOf = stepsOf<Checked>();
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 6, arbitrary: stepOf('add', position, (checked, value) => checked.add(value)) },
  { weight: 3, arbitrary: stepOf('add range', range, (checked, [first, length]) => checked.addRange(first, length)) },
  { weight: 1, arbitrary: stepOf('cut', range, (checked, [first, length]) => checked.cut(first, length)) },
  { weight: 1, arbitrary: stepOf('clone', fc.constant(null), (checked) => checked.replaceByClone()) },
  { weight: 1, arbitrary: stepOf('clear', fc.constant(null), (checked) => checked.clear()) },
);

t.test('it holds what was added, in the fewest intervals', async () => {
  fc.assert(
    fc.property(sequenceOf(step), (steps) => {
      const checked = new Checked();
      for (const each of steps) {
        each(checked);
        check(checked.set, checked.model);
      }
    }),
    { numRuns: 500 },
  );
});

t.test('it is made from intervals in any order', async () => {
  fc.assert(
    fc.property(intervals, fc.infiniteStream(fc.nat()), (list, random) => {
      const shuffled = [...list].sort(() => ((random.next().value ?? 0) & 1) - 0.5);
      assert.deepEqual(intervalsOf(PositionSet.of([...shuffled, ...list])), list);
    }),
  );
});

t.test('an empty range adds nothing', async (t) => {
  const set = PositionSet.of([[5, 4]]);
  t.ok(set.isEmpty);
  t.equal(set.intervalCount, 0);
  t.ok(PositionSet.of([[1, 9]]).cut(5, 4).isEmpty);
});

t.test('positions may be as large as numbers are exact', async (t) => {
  const most = Number.MAX_SAFE_INTEGER - 1;
  const set = PositionSet.of([[most - 5, most - 1]]);
  t.ok(set.add(most));
  t.notOk(set.add(most));
  t.ok(set.has(most));
  t.equal(set.size, 6);
  t.strictSame(intervalsOf(set), [[most - 5, most]]);
});

t.test('a queue that is consumed in order, and one out of order, cost little', async (t) => {
  const perAdd = (add: (set: PositionSet) => void, count: number) =>
    (fastestMs(() => add(new PositionSet())) * 1e6) / count;
  const inOrder = perAdd((set) => {
    for (let i = 0; i < 1_000_000; i++) set.add(i);
  }, 1_000_000);
  t.ok(inOrder < 100, `${inOrder.toFixed(1)} ns in order`);
  // Every second first, so that there are 10,000 intervals, then the others from the back, which join them again.
  const outOfOrder = perAdd((set) => {
    for (let i = 0; i < 20_000; i += 2) set.add(i);
    for (let i = 19_999; i > 0; i -= 2) set.add(i);
    if (set.intervalCount !== 1) throw new Error('the intervals are not joined');
  }, 20_000);
  t.ok(outOfOrder < 20_000, `${outOfOrder.toFixed(0)} ns out of order`);
});
