// The ready messages of a queue against a sorted list.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Message } from '../../lib/core/message.ts';
import { ReadyMessages } from '../../lib/core/ready-messages.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { routeOf, type Step, sequenceOf, stepsOf } from './helper.ts';

interface Entry {
  readonly message: Message;
  readonly position: number;
  readonly redelivered: boolean;
}

const chunk = Buffer.alloc(65_536);
const route = routeOf('', 'q');

function newMessage(): Message {
  return new Message(route, chunk, 100, 102, chunk, 102, 5, null);
}

function isIsolated(message: Message): boolean {
  return message.bodyBuffer !== chunk;
}

/** ReadyMessages beside the naive thing that it must equal. */
class Checked {
  readonly ready = new ReadyMessages();
  readonly slab = new RetentionSlab();
  waiting: Entry[] = [];
  readonly out: Entry[] = [];
  #nextPosition = 0;

  push(count: number): void {
    for (let i = 0; i < count; i++) {
      const message = newMessage();
      this.ready.push(message);
      this.waiting.push({ message, position: this.#nextPosition++, redelivered: false });
    }
    this.#checkLength();
  }

  shift(count: number): void {
    for (let i = 0; i < count; i++) {
      const expected = this.waiting.shift();
      const message = this.ready.shift();
      assert.equal(message, expected?.message);
      if (expected === undefined) continue;
      assert.equal(this.ready.position, expected.position);
      assert.equal(this.ready.redelivered, expected.redelivered);
      this.#delivered(expected.position);
      this.out.push(expected);
    }
    this.#checkLength();
  }

  /** What its queue notes at each delivery. */
  #delivered(position: number): void {
    this.ready.deliveredTo = Math.max(this.ready.deliveredTo, position + 1);
  }

  giveBack(choice: number, count: number): void {
    for (let i = 0; i < count && this.out.length > 0; i++) {
      const [{ message, position }] = this.out.splice(choice % this.out.length, 1);
      this.ready.giveBack(message, position);
      const at = this.waiting.findIndex((entry) => entry.position > position);
      this.waiting.splice(at < 0 ? this.waiting.length : at, 0, { message, position, redelivered: true });
    }
    this.#checkLength();
  }

  skip(): void {
    if (this.waiting.length > 0) return;
    const message = newMessage();
    const position = this.ready.skip(message);
    assert.equal(position, this.#nextPosition++);
    this.#delivered(position);
    this.out.push({ message, position, redelivered: false });
  }

  clear(): void {
    const cleared: Message[] = [];
    assert.equal(
      this.ready.clear((message) => cleared.push(message)),
      this.waiting.length,
    );
    assert.ok(cleared.every((message, i) => message === this.waiting[i].message));
    this.waiting = [];
    this.#checkLength();
  }

  isolate(): void {
    const before = this.out.filter(({ message }) => isIsolated(message)).length;
    this.ready.isolate(this.slab);
    for (const { message, redelivered } of this.waiting) assert.ok(redelivered || isIsolated(message));
    assert.equal(this.out.filter(({ message }) => isIsolated(message)).length, before);
  }

  #checkLength(): void {
    assert.equal(this.ready.length, this.waiting.length);
  }
}

/** Small numbers mostly, and those around the first block of 16 and the later ones of 512. */
const count = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) },
  { weight: 1, arbitrary: fc.constantFrom(15, 16, 17, 511, 512, 513, 528, 529, 1040) },
);
const stepOf = stepsOf<Checked>();
const nothing = fc.constant(null);
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 3, arbitrary: stepOf('push', count, (checked, n) => checked.push(n)) },
  { weight: 3, arbitrary: stepOf('shift', count, (checked, n) => checked.shift(n)) },
  {
    weight: 3,
    arbitrary: stepOf('give back', fc.tuple(fc.nat(), count), (checked, what) => checked.giveBack(...what)),
  },
  { weight: 1, arbitrary: stepOf('shift all', nothing, (checked) => checked.shift(checked.waiting.length)) },
  { weight: 1, arbitrary: stepOf('skip', nothing, (checked) => checked.skip()) },
  { weight: 1, arbitrary: stepOf('isolate', nothing, (checked) => checked.isolate()) },
  { weight: 1, arbitrary: stepOf('clear', nothing, (checked) => checked.clear()) },
);

t.test('messages come out by position, whatever was given back, cleared or skipped in between', async () => {
  fc.assert(
    fc.property(sequenceOf(step), (steps) => {
      const checked = new Checked();
      for (const each of steps) each(checked);
      checked.shift(checked.waiting.length + 1);
    }),
    { numRuns: 300 },
  );
});

t.test('order holds at every fill around the ends of blocks', async (t) => {
  for (const size of [1, 15, 16, 17, 527, 528, 529, 1039, 1040, 1041]) {
    for (const taken of [0, 1, size - 1, size]) {
      const checked = new Checked();
      checked.push(size);
      checked.shift(taken);
      checked.push(513);
      checked.giveBack(0, taken);
      checked.shift(size + 513);
      checked.skip();
      checked.push(1);
      checked.shift(2);
      t.equal(checked.ready.length, 0, `${size} messages, ${taken} taken`);
    }
  }
});

t.test('isolate copies what waits and leaves alone what was consumed meanwhile', async (t) => {
  const checked = new Checked();
  checked.push(600);
  checked.shift(530);
  checked.isolate();
  t.equal(checked.waiting.filter(({ message }) => isIsolated(message)).length, 70);
  t.equal(checked.out.filter(({ message }) => isIsolated(message)).length, 0);
  checked.push(3);
  t.equal(checked.waiting.filter(({ message }) => isIsolated(message)).length, 70, 'not before the next call');
  checked.isolate();
  t.equal(checked.waiting.filter(({ message }) => isIsolated(message)).length, 73);
});

t.test('an empty queue gives nothing, again and again', async (t) => {
  const ready = new ReadyMessages();
  t.equal(ready.shift(), undefined);
  t.equal(
    ready.clear(() => t.fail('nothing to clear')),
    0,
  );
  ready.isolate(new RetentionSlab());
  ready.push(newMessage());
  ready.shift();
  t.equal(ready.shift(), undefined);
  t.equal(ready.length, 0);
});
