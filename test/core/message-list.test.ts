// The list of messages against an array: positions with and without gaps, blocks of all sizes, and taking away from anywhere.
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import t from 'tap';
import { MESSAGE_OVERHEAD_BYTES } from '../../lib/core/memory-account.ts';
import { Message } from '../../lib/core/message.ts';
import { MessageList } from '../../lib/core/message-list.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { routeOf, type Step, sequenceOf, stepsOf } from './helper.ts';

const chunk = Buffer.alloc(65_536);
const route = routeOf('', 'q');

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Bytes that are in use. */
function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

function newMessage(size: number): Message {
  return new Message(route, chunk, 100, 102, chunk, 102, size, null);
}

/** A list beside the array that it must equal. */
class Checked {
  readonly list = new MessageList();
  readonly slab = new RetentionSlab();
  expected: { message: Message; position: number }[] = [];
  #next = 0;

  push(count: number, gap: number): void {
    this.#next += gap;
    for (let i = 0; i < count; i++) {
      const message = newMessage(i % 7);
      this.list.push(message, this.#next);
      this.expected.push({ message, position: this.#next++ });
    }
    this.check();
  }

  shift(count: number): void {
    for (let i = 0; i < count; i++) {
      const expected = this.expected.shift();
      assert.equal(this.list.shift(), expected?.message);
      if (expected !== undefined) assert.equal(this.list.position, expected.position);
    }
    this.check();
  }

  takeBack(kept: number): void {
    this.isolate();
    const messages: Message[] = [];
    const positions: number[] = [];
    this.list.takeBack(kept, messages, positions);
    const taken = this.expected.splice(kept);
    assert.deepEqual(
      positions,
      taken.map(({ position }) => position),
    );
    assert.ok(messages.every((message, i) => message === taken[i].message));
    this.check();
  }

  /** Takes from anywhere, and finds nothing where nothing stands. */
  take(choice: number, count: number, stride: number): void {
    for (let i = 0; i < count && this.expected.length > 0; i++) {
      const at = (choice + i * stride) % this.expected.length;
      const [{ message, position }] = this.expected.splice(at, 1);
      assert.ok(this.list.has(position));
      assert.equal(this.list.take(position), message);
      assert.ok(!this.list.has(position));
      assert.equal(this.list.take(position), undefined);
    }
    this.check();
  }

  /** Looks at every position that is or was, and some that never were. */
  look(): void {
    const standing = new Set(this.expected.map(({ position }) => position));
    for (let position = -2; position < this.#next + 2; position++) {
      assert.equal(this.list.has(position), standing.has(position), `position ${position}`);
      if (!standing.has(position)) assert.equal(this.list.take(position), undefined);
    }
    this.check();
  }

  isolate(): void {
    this.list.isolate(this.slab);
    assert.ok(this.expected.every(({ message }) => message.bodyBuffer !== chunk));
  }

  check(): void {
    const { list, expected } = this;
    assert.equal(list.length, expected.length);
    const bytes = expected.reduce((sum, { message }) => sum + message.size + MESSAGE_OVERHEAD_BYTES, 0);
    assert.equal(list.bytes, bytes);
    if (expected.length === 0) return;
    assert.equal(list.firstPosition, expected[0].position);
    assert.ok(list.lastPosition >= expected[expected.length - 1].position, 'which may have been taken');
    assert.ok(list.lastPosition < this.#next);
  }
}

const stepOf = stepsOf<Checked>();
const nothing = fc.constant(null);
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 4, arbitrary: stepOf('push', fc.tuple(fc.nat(90), fc.nat(2)), (c, [n, gap]) => c.push(n, gap)) },
  { weight: 1, arbitrary: stepOf('push many', fc.integer({ min: 400, max: 1200 }), (c, n) => c.push(n, 0)) },
  { weight: 3, arbitrary: stepOf('shift', fc.nat(100), (c, n) => c.shift(n)) },
  {
    weight: 3,
    arbitrary: stepOf('take', fc.tuple(fc.nat(), fc.nat(100), fc.nat(20)), (c, [choice, n, stride]) =>
      c.take(choice, n, stride),
    ),
  },
  {
    // Whole blocks from their beginning on: they leave from between others.
    weight: 1,
    arbitrary: stepOf('take a run', fc.tuple(fc.nat(), fc.integer({ min: 500, max: 1100 })), (c, [choice, n]) =>
      c.take(choice, n, 0),
    ),
  },
  { weight: 1, arbitrary: stepOf('take back', fc.nat(200), (c, n) => c.takeBack(n)) },
  { weight: 1, arbitrary: stepOf('isolate', nothing, (c) => c.isolate()) },
  { weight: 1, arbitrary: stepOf('look', nothing, (c) => c.look()) },
);

t.test('it holds what an array would, in the same places', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 40), (steps) => {
      const checked = new Checked();
      for (const each of steps) each(checked);
      checked.look();
      checked.shift(checked.expected.length + 1);
    }),
    { numRuns: 300 },
  );
});

t.test('what comes and goes behind a message that stays leaves nothing behind', async (t) => {
  const message = newMessage(1);
  for (const behind of [0, 1, 700]) {
    const list = new MessageList();
    let next = 0;
    for (; next <= behind; next++) list.push(message, next);
    const churn = (count: number): void => {
      for (const end = next + count; next < end; next++) {
        list.push(message, next);
        list.take(next - behind);
      }
    };
    churn(50_000);
    // Places that stayed behind would be 5 MB; what is measured otherwise is far less.
    const before = heapBytes();
    churn(600_000);
    t.ok(heapBytes() - before < 2 ** 20, `the heap has not grown with ${behind} behind`);
    t.equal(list.length, behind + 1);
    t.equal(list.firstPosition, 0);
  }
});

t.test('the ends of blocks, with nothing kept, one less, all', async (t) => {
  for (const count of [1, 15, 16, 17, 79, 80, 81, 335, 336, 337, 848, 849, 1400]) {
    for (const kept of [0, 1, 15, 16, 17, 80, 336, count - 1, count]) {
      const checked = new Checked();
      checked.push(count, 0);
      checked.takeBack(Math.min(kept, count));
      checked.push(20, 1);
      checked.shift(checked.expected.length + 1);
    }
  }
  t.pass('each of them');
});
