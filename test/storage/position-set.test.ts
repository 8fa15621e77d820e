// Sets of positions against JavaScript's own sets.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { type Step, sequenceOf, stepsOf } from '../core/helper.ts';
import { seededRandom } from '../helper/sim-disk.ts';
import { intervals, intervalsOf } from './format-helper.ts';

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

/** Ways to fill a set that is larger than what is moved at once. */
const orders: Readonly<Record<string, (positions: number[], random: () => number) => number[]>> = {
  rising: (positions) => positions,
  falling: (positions) => [...positions].reverse(),
  'rising within parts that fall': (positions) => {
    const parts = Array.from({ length: Math.ceil(positions.length / 7) }, (_, i) => positions.slice(7 * i, 7 * i + 7));
    return parts.reverse().flat();
  },
  random: (positions, random) => shuffled(positions, random),
};

function shuffled<T>(things: readonly T[], random: () => number): T[] {
  return things
    .map((thing) => ({ thing, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ thing }) => thing);
}

t.test('so it does with many intervals, whatever the order', async () => {
  for (const [name, order] of Object.entries(orders)) {
    for (const [again, orderAgain] of Object.entries(orders)) {
      const random = seededRandom(name.length * 100 + again.length);
      const set = new PositionSet();
      const model = new Set<number>();
      const add = (position: number): void => {
        const last = position + (random() < 0.2 ? 3 : 0);
        for (let at = position; at <= last; at++) model.add(at);
        if (last === position) set.add(position);
        else set.addRange(position, last);
        assert.equal(set.size, model.size);
        assert.equal(set.first, Math.min(...model), `${name}, then ${again}`);
      };
      const all = Array.from({ length: 1200 }, (_, i) => i);
      for (const position of order(
        all.filter((i) => i % 3 === 0),
        random,
      ))
        add(position);
      checkIntervals(set, model);
      const cut = set.cut(300, 700);
      checkIntervals(cut, new Set([...model].filter((position) => position >= 300 && position <= 700)));
      // What is left fills the gaps, so that the intervals grow together.
      for (const position of orderAgain(
        all.filter((i) => i % 3 !== 0),
        random,
      )) {
        add(position);
        if (random() < 0.02) checkIntervals(set, model);
      }
      assert.deepEqual(intervalsOf(set).length, 1);
      checkIntervals(set.clone(), model);
    }
  }
});

function checkIntervals(set: PositionSet, model: ReadonlySet<number>): void {
  const positions = intervalsOf(set).flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i),
  );
  assert.deepEqual(
    positions,
    [...model].sort((a, b) => a - b),
  );
  assert.equal(set.intervalCount, intervalsOf(set).length);
  for (let at = 0; at < 1210; at += 11) assert.equal(set.has(at), model.has(at));
}

t.test('so it does with more intervals than are moved for one position', async () => {
  const random = seededRandom(7);
  const set = new PositionSet();
  const model = new Set<number>();
  const order = shuffled(
    Array.from({ length: 20_000 }, (_, i) => i),
    random,
  );
  for (const position of order) {
    assert.equal(set.add(position), !model.has(position));
    assert.equal(set.add(position), false);
    model.add(position);
    // What was added far from both ends is found as well, however it is asked for.
    assert.ok(set.has(position));
    assert.equal(set.size, model.size);
    if (random() < 0.01) {
      const other = Math.floor(random() * 20_000);
      assert.equal(set.addRange(other, other + 2), [0, 1, 2].filter((j) => !model.has(other + j)).length);
      for (let j = 0; j < 3; j++) model.add(other + j);
    }
    if (random() < 0.002) checkIntervals(set.clone(), model);
    if (random() < 0.002) checkIntervals(set, model);
    if (random() < 0.002) {
      let gap = position;
      while (model.has(gap)) gap++;
      assert.equal(set.nextGap(position), gap);
    }
  }
});

t.test('another set is added, be it small or large', async () => {
  const many = fc.array(fc.nat({ max: 900 }), { maxLength: 400 });
  fc.assert(
    fc.property(many, many, (mine, others) => {
      const set = PositionSet.of(mine.map((position) => [position, position]));
      set.addAll(PositionSet.of(others.map((position) => [position, position])));
      checkIntervals(set, new Set([...mine, ...others]));
      assert.equal(set.size, new Set([...mine, ...others]).size);
    }),
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

t.test('many positions, in the orders in which queues are consumed', async (t) => {
  const set = new PositionSet();
  // Every second first, so that there are 10,000 intervals, then the others from the back, which join them again.
  for (let i = 0; i < 20_000; i += 2) set.add(i);
  t.equal(set.intervalCount, 10_000);
  for (let i = 19_999; i > 0; i -= 2) set.add(i);
  t.strictSame(intervalsOf(set), [[0, 19_999]]);
  // Sparse positions that are consumed from the front, and found again by recovery, the newest first.
  const sparse = PositionSet.of(Array.from({ length: 20_000 }, (_, i) => [1000 * i + 1, 1000 * i + 999] as const));
  for (let i = 0; i < 20_000; i++) sparse.add(1000 * i);
  t.strictSame(intervalsOf(sparse), [[0, 19_999_999]]);
  const falling = new PositionSet();
  for (let i = 20_000; i > 0; i--) falling.add(1000 * i);
  t.equal(falling.intervalCount, 20_000);
  t.equal(falling.size, 20_000);
  const order = shuffled(
    Array.from({ length: 50_000 }, (_, i) => i),
    seededRandom(1),
  );
  const anywhere = new PositionSet();
  for (const position of order) anywhere.add(position);
  t.strictSame(intervalsOf(anywhere), [[0, 49_999]]);
});
