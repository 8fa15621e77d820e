// The list of messages against an array: positions with and without gaps, blocks of all sizes, and taking away from the back.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { MESSAGE_OVERHEAD_BYTES } from '../../lib/core/memory-account.ts';
import { Message } from '../../lib/core/message.ts';
import { MessageList } from '../../lib/core/message-list.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { routeOf } from './helper.ts';

const chunk = Buffer.alloc(65_536);
const route = routeOf('', 'q');

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
    assert.equal(list.lastPosition, expected[expected.length - 1].position);
  }
}

type Step = (checked: Checked) => void;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(90), fc.nat(2)).map(
      ([n, gap]) =>
        (c: Checked) =>
          c.push(n, gap),
    ),
  },
  { weight: 3, arbitrary: fc.nat(100).map((n) => (c: Checked) => c.shift(n)) },
  { weight: 1, arbitrary: fc.nat(200).map((n) => (c: Checked) => c.takeBack(n)) },
  { weight: 1, arbitrary: fc.constant((c: Checked) => c.isolate()) },
);

t.test('it holds what an array would, in the same places', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const checked = new Checked();
      for (const each of steps) each(checked);
      checked.shift(checked.expected.length + 1);
    }),
    { numRuns: 500 },
  );
  t.pass('500 lists');
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
