// Messages that came back, against a sorted array: added in any order, taken in order or from anywhere.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Message } from '../../lib/core/message.ts';
import { ReturnedInTurn, ReturnedMessages } from '../../lib/core/returned-messages.ts';
import { messageOf, type Step, sequenceOf, stepsOf } from './helper.ts';

class Checked {
  readonly returned = new ReturnedMessages();
  expected: { message: Message; position: number }[] = [];

  add(positions: readonly number[]): void {
    for (const position of positions) {
      if (this.expected.some((entry) => entry.position === position)) continue;
      const message = messageOf('');
      this.returned.add(message, position);
      this.expected.push({ message, position });
    }
    this.expected.sort((a, b) => a.position - b.position);
    this.check();
  }

  /** In order, or from a place on. */
  take(at: number, count: number): void {
    for (let i = 0; i < count && this.expected.length > 0; i++) {
      const [{ message, position }] = this.expected.splice(at % this.expected.length, 1);
      assert.equal(this.returned.take(position), message);
      assert.equal(this.returned.take(position), undefined);
      this.check();
    }
  }

  clear(): void {
    const cleared: { message: Message; position: number }[] = [];
    this.returned.clear((message, position) => cleared.push({ message, position }));
    assert.ok(cleared.every(({ message }, i) => message === this.expected[i].message));
    assert.deepEqual(
      cleared.map(({ position }) => position),
      this.expected.map(({ position }) => position),
    );
    this.expected = [];
    this.check();
  }

  check(): void {
    const { returned, expected } = this;
    assert.equal(returned.size, expected.length);
    assert.equal(returned.firstPosition, expected[0]?.position ?? Infinity);
    assert.ok(expected.every(({ position }) => returned.has(position)));
    assert.ok(!returned.has(-1));
  }
}

const stepOf = stepsOf<Checked>();
const positions = fc.array(fc.oneof(fc.nat(300), fc.maxSafeNat()), { maxLength: 60, size: 'max' });
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 4, arbitrary: stepOf('add', positions, (c, each) => c.add(each)) },
  { weight: 2, arbitrary: stepOf('take first', fc.nat(40), (c, count) => c.take(0, count)) },
  { weight: 3, arbitrary: stepOf('take', fc.tuple(fc.nat(), fc.nat(60)), (c, [at, count]) => c.take(at, count)) },
  { weight: 1, arbitrary: stepOf('clear', fc.constant(null), (c) => c.clear()) },
);

t.test('the lowest position is the first, whatever came and went', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 40), (steps) => {
      const checked = new Checked();
      for (const each of steps) each(checked);
      checked.take(0, checked.expected.length);
    }),
    { numRuns: 300 },
  );
});

t.test('a position comes back once', async (t) => {
  const returned = new ReturnedMessages();
  returned.add(messageOf(''), 3);
  t.throws(() => returned.add(messageOf(''), 3), { message: 'position 3 came back twice' });
});

t.test('in turn: first come, first served, but for what is put back at once', async () => {
  const positions = fc.uniqueArray(fc.nat(500), { maxLength: 40, size: 'max' });
  const takes = fc.array(fc.option(fc.nat(), { freq: 3 }), { maxLength: 40, size: 'max' });
  const round = fc.record({ positions, takes, putsBack: fc.boolean() });
  fc.assert(
    fc.property(fc.array(round, { maxLength: 12, size: 'max' }), (rounds) => {
      const returned = new ReturnedInTurn();
      const expected: { message: Message; position: number }[] = [];
      const gone = new Set<number>();
      const take = (at: number): { message: Message; position: number } => {
        const [entry] = expected.splice(at % expected.length, 1);
        assert.equal(returned.take(entry.position), entry.message);
        assert.ok(!returned.has(entry.position));
        return entry;
      };
      for (const { positions, takes, putsBack } of rounds) {
        for (const position of positions) {
          if (gone.has(position) || returned.has(position)) continue;
          const message = messageOf('');
          returned.add(message, position);
          expected.push({ message, position });
        }
        for (const at of takes) {
          if (expected.length === 0) break;
          const { message, position } = take(at ?? 0);
          // What expires where it stands never comes back.
          if (at !== null) gone.add(position);
          else if (putsBack) {
            returned.add(message, position, true);
            expected.unshift({ message, position });
          }
          assert.equal(returned.size, expected.length);
          assert.equal(returned.firstPosition, expected[0]?.position ?? Infinity);
        }
      }
      const cleared: number[] = [];
      returned.clear((_message, position) => cleared.push(position));
      assert.deepEqual(new Set(cleared), new Set(expected.map(({ position }) => position)));
      assert.equal(returned.size, 0);
    }),
    { numRuns: 300 },
  );
});
