// The unacknowledged deliveries of a channel against a sorted list.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Message } from '../../../lib/core/message.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import {
  type DeliverySource,
  UnackedDeliveries,
  type UnackedDelivery,
} from '../../../lib/protocols/amqp/unacked-deliveries.ts';
import { messageOf, type Step, sequenceOf, stepsOf } from '../../core/helper.ts';

// Only kept and given back: what a source is does not matter here.
const source = { consumer: null } as unknown as DeliverySource;
const shared = messageOf('');

function delivery(tag: number, message: Message = shared): UnackedDelivery {
  return { tag, message, source, position: tag };
}

class Checked {
  readonly unacked = new UnackedDeliveries();
  model: UnackedDelivery[] = [];
  /** Claimed, as by a transaction that may be rolled back. */
  taken: UnackedDelivery[] = [];
  nextTag: number;

  constructor(firstTag = 1) {
    this.nextTag = firstTag;
  }

  /** Adds some, with a gap before each: tags of no-ack deliveries are not here. */
  add(count: number, gap: number): void {
    for (let i = 0; i < count; i++) {
      const added = delivery(this.nextTag + gap);
      this.nextTag = added.tag + 1;
      this.unacked.add(added);
      this.model.push(added);
    }
    this.check();
  }

  /** Takes the one of that index, or asks for a tag that is not there. */
  take(choice: number): void {
    const expected = this.model.splice(choice % (this.model.length + 1), 1)[0];
    const tag = expected?.tag ?? this.nextTag + 5;
    assert.equal(this.unacked.has(tag), expected !== undefined);
    assert.equal(this.unacked.take(tag), expected);
    assert.equal(this.unacked.take(tag), undefined, 'once');
    if (expected !== undefined) this.taken.push(expected);
    this.check();
  }

  /** Takes all up to a tag that may be there, between two, or beyond the last. */
  takeUpTo(choice: number, offset: number): void {
    const tag = (this.model[choice % (this.model.length + 1)]?.tag ?? this.nextTag) + offset;
    const expected = this.model.filter((each) => each.tag <= tag);
    const taken: UnackedDelivery[] = [];
    this.unacked.takeUpTo(tag, (each) => taken.push(each));
    assertSame(taken, expected);
    this.model = this.model.filter((each) => each.tag > tag);
    this.taken.push(...taken);
    this.check();
  }

  takeAll(): void {
    assertSame(this.unacked.takeAll(), this.model);
    this.model = [];
    this.check();
  }

  restore(): void {
    this.unacked.restore(this.taken);
    this.model = [...this.model, ...this.taken].sort((a, b) => a.tag - b.tag);
    this.taken = [];
    this.check();
  }

  check(): void {
    assert.equal(this.unacked.size, this.model.length);
    for (const at of [0, this.model.length >> 1, this.model.length - 1]) {
      if (this.model[at] !== undefined) assert.ok(this.unacked.has(this.model[at].tag));
    }
    assert.notEqual(this.unacked.has(this.nextTag), true);
  }
}

function assertSame(actual: readonly UnackedDelivery[], expected: readonly UnackedDelivery[]): void {
  assert.deepEqual(
    actual.map(({ tag }) => tag),
    expected.map(({ tag }) => tag),
  );
}

const stepOf = stepsOf<Checked>();
const count = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(15, 16, 17, 600));
const gap = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(1, 7, 5000));
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 4, arbitrary: stepOf('add', fc.tuple(count, gap), (checked, what) => checked.add(...what)) },
  { weight: 5, arbitrary: stepOf('take', fc.nat(), (checked, choice) => checked.take(choice)) },
  {
    weight: 2,
    arbitrary: stepOf('take up to', fc.tuple(fc.nat(), fc.integer({ min: -2, max: 2 })), (checked, what) =>
      checked.takeUpTo(...what),
    ),
  },
  { weight: 1, arbitrary: stepOf('take all', fc.constant(null), (checked) => checked.takeAll()) },
  { weight: 1, arbitrary: stepOf('restore', fc.constant(null), (checked) => checked.restore()) },
);

t.test('deliveries come out by tag, whatever was added, taken or restored, with gaps of any size', async () => {
  const firstTag = fc.constantFrom(1, 2 ** 31 - 20, 2 ** 32 - 20, Number.MAX_SAFE_INTEGER - 2 ** 40);
  fc.assert(
    fc.property(firstTag, sequenceOf(step), (first, steps) => {
      const checked = new Checked(first);
      for (const each of steps) each(checked);
      checked.takeAll();
    }),
    { numRuns: 300 },
  );
});

t.test('an old delivery that nobody acknowledges stays at hand while thousands come and go', async () => {
  const checked = new Checked();
  checked.add(2, 0);
  for (let i = 0; i < 20_000; i++) {
    checked.unacked.add(delivery(checked.nextTag));
    assert.equal(checked.unacked.take(checked.nextTag)?.tag, checked.nextTag++);
    if (i === 10_000) checked.add(1, 0);
  }
  checked.check();
  checked.takeUpTo(1, 0);
  checked.takeAll();
});

t.test('up to a tag that is gone takes those before it', async () => {
  const checked = new Checked();
  checked.add(10, 0);
  checked.take(4);
  const taken: number[] = [];
  checked.unacked.takeUpTo(5, ({ tag }) => taken.push(tag));
  assert.deepEqual(taken, [1, 2, 3, 4]);
});

t.test('tags that never were here are not found', async (t) => {
  const unacked = new UnackedDeliveries();
  for (const tag of [0, 1, 2 ** 40]) t.notOk(unacked.has(tag));
  unacked.add(delivery(5));
  for (const tag of [0, 1, 4, 6, 5 + 16, 5 + 2 ** 32]) {
    t.notOk(unacked.has(tag), `${tag}`);
    t.equal(unacked.take(tag), undefined);
  }
  t.ok(unacked.has(5));
});

t.test('isolate copies what was here at the last call already, and is still', async (t) => {
  const unacked = new UnackedDeliveries();
  const slab = new RetentionSlab();
  const messages = Array.from({ length: 40 }, () => messageOf('body', { chunkBytes: 65_536 }));
  const isolated = (): number => messages.filter(({ bodyBuffer }) => bodyBuffer.length <= 16_384).length;
  for (const [i, message] of messages.slice(0, 30).entries()) unacked.add(delivery(i + 1, message));
  unacked.isolate(slab);
  t.equal(isolated(), 0, 'a consumer may be about to acknowledge them');
  for (let i = 30; i < 40; i++) unacked.add(delivery(i + 1, messages[i]));
  for (let tag = 1; tag <= 5; tag++) unacked.take(tag);
  unacked.take(7);
  unacked.isolate(slab);
  t.equal(isolated(), 24);
  unacked.isolate(slab);
  t.equal(isolated(), 34);
  unacked.takeAll();
  unacked.isolate(slab);
});
