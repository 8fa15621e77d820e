// The ready messages of a queue with priorities against an array, with a part of them on disk.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { MESSAGE_OVERHEAD_BYTES, MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import { LEVEL_SPAN, levelOf } from '../../lib/core/positions.ts';
import { createReady, PriorityMessages } from '../../lib/core/priority-messages.ts';
import { ReadyMessages } from '../../lib/core/ready-messages.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { messageOf, queueSettings, type Step, sequenceOf, stepsOf, table } from './helper.ts';
import { NaiveStore } from './naive-store.ts';
import { integer } from './queue-helper.ts';

interface Entry {
  readonly message: Message;
  readonly position: number;
  /** How it came here last; what was loaded may stand with what was returned. */
  readonly came: 'new' | 'returned' | 'loaded';
}

const MAX_PRIORITY = 3;

class Checked {
  readonly ready = new PriorityMessages(MAX_PRIORITY);
  readonly store: NaiveStore;
  readonly slab = new RetentionSlab();
  waiting: Entry[] = [];
  readonly out: Entry[] = [];
  readonly #delivered = new Set<number>();
  /** By level. */
  readonly #next = new Map<number, number>();

  constructor() {
    const queue = {
      settings: queueSettings(),
      levels: [],
      deliveryCounts: new Map(),
      isIdle: true,
      readyBytes: 0,
      giveUp: (through: number) => this.ready.giveUp(through),
      loaded: () => undefined,
      deadlinesFound: () => undefined,
    };
    this.store = new NaiveStore(queue, new MemoryAccount(2 ** 40, 2 ** 40));
    this.ready.store = this.store;
  }

  push(priority: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const message = messageOf('', { properties: { priority }, chunkBytes: 1024 });
      const level = MAX_PRIORITY - Math.min(priority, MAX_PRIORITY);
      const expected = this.#next.get(level) ?? level * LEVEL_SPAN;
      this.#next.set(level, expected + 1);
      const position = this.ready.push(message);
      assert.equal(position, expected);
      this.#add({ message, position, came: 'new' });
    }
  }

  shift(count: number): void {
    for (let i = 0; i < count; i++) {
      const [first] = this.waiting;
      const message = this.ready.shift();
      if (first === undefined || this.store.nextPaged < first.position) {
        assert.equal(message, undefined, 'it waits for the disk');
        return;
      }
      this.waiting.shift();
      assert.equal(message, first.message);
      assert.equal(this.ready.position, first.position);
      assert.equal(this.ready.redelivered, this.#delivered.has(first.position));
      const isLast = ![...this.#delivered].some(
        (position) => levelOf(position) === levelOf(first.position) && position >= first.position,
      );
      assert.equal(this.ready.markDelivered(first.position), isLast);
      this.#delivered.add(first.position);
      this.out.push(first);
    }
  }

  take(choice: number): void {
    if (this.waiting.length === 0) return;
    const [{ message, position }] = this.waiting.splice(choice % this.waiting.length, 1);
    assert.ok(this.ready.has(position));
    assert.equal(this.ready.take(position), message);
    assert.ok(!this.ready.has(position));
    assert.equal(this.ready.take(position), undefined);
  }

  giveBack(choice: number): void {
    if (this.out.length === 0) return;
    const [{ message, position }] = this.out.splice(choice % this.out.length, 1);
    this.ready.giveBack(message, position);
    this.#add({ message, position, came: 'returned' });
  }

  /** All but the first leave memory; what came back stays. */
  giveUp(kept: number): void {
    this.ready.isolate(this.slab);
    const { messages, positions } = this.ready.giveUp(kept);
    const left = this.waiting.filter(({ position }) => positions.includes(position));
    assert.deepEqual(
      left.map(({ position }) => position),
      positions,
      'in order',
    );
    assert.ok(left.every(({ message }, i) => message === messages[i]));
    assert.ok(!left.some(({ came }) => came === 'returned'));
    this.waiting = this.waiting.filter(({ position }) => !positions.includes(position));
    if (kept === 0) assert.ok(this.waiting.every(({ came }) => came !== 'new'));
    else assert.ok(positions.length === 0 || this.waiting.length >= kept);
    for (const entry of left) this.store.paged.push(entry);
    this.store.paged.sort((a, b) => a.position - b.position);
  }

  load(count: number): void {
    const loaded = this.store.paged.splice(0, count);
    this.ready.addLoaded({
      messages: loaded.map(({ message }) => message),
      positions: loaded.map(({ position }) => position),
    });
    for (const { message, position } of loaded) this.#add({ message, position, came: 'loaded' });
  }

  clear(): void {
    const cleared: number[] = [];
    assert.equal(
      this.ready.clear((_message, position) => cleared.push(position)),
      this.waiting.length,
    );
    assert.deepEqual(
      cleared.sort((a, b) => a - b),
      this.waiting.map(({ position }) => position),
    );
    this.waiting = [];
  }

  check(): void {
    const { ready, waiting } = this;
    assert.equal(ready.length, waiting.length);
    const bytes = waiting.reduce((sum, { message }) => sum + message.size + MESSAGE_OVERHEAD_BYTES, 0);
    assert.ok(ready.bytes <= bytes);
    assert.ok(waiting.length === 0 || ready.firstPosition >= waiting[0].position);
    for (const { nextPosition } of ready.levels) {
      const level = levelOf(nextPosition);
      assert.equal(nextPosition, this.#next.get(level) ?? level * LEVEL_SPAN);
    }
  }

  #add(entry: Entry): void {
    this.waiting.push(entry);
    this.waiting.sort((a, b) => a.position - b.position);
  }
}

const stepOf = stepsOf<Checked>();
const few = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 5, arbitrary: stepOf('push', fc.tuple(fc.nat(5), few), (c, what) => c.push(...what)) },
  { weight: 4, arbitrary: stepOf('shift', few, (c, count) => c.shift(count)) },
  { weight: 3, arbitrary: stepOf('take', fc.nat(), (c, choice) => c.take(choice)) },
  { weight: 3, arbitrary: stepOf('give back', fc.nat(), (c, choice) => c.giveBack(choice)) },
  { weight: 1, arbitrary: stepOf('give up', fc.nat(4), (c, kept) => c.giveUp(kept)) },
  { weight: 2, arbitrary: stepOf('load', few, (c, count) => c.load(count)) },
  { weight: 1, arbitrary: stepOf('clear', fc.constant(null), (c) => c.clear()) },
);

t.test('the highest priority comes first, and in each what came first, in memory or on disk', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 80), (steps) => {
      const checked = new Checked();
      for (const each of steps) {
        each(checked);
        checked.check();
      }
      checked.load(Infinity);
      checked.shift(checked.waiting.length + 1);
      assert.equal(checked.waiting.length, 0);
    }),
    { numRuns: 300 },
  );
});

t.test('a queue goes on where its levels were', async (t) => {
  const before = new PriorityMessages(9);
  for (const priority of [0, 9, 9, 20]) before.push(messageOf('', { properties: { priority } }));
  before.push(messageOf(''));
  before.shift();
  before.markDelivered(before.position);
  const levels = before.levels.map(({ nextPosition, deliveredTo }) => ({ nextPosition, deliveredTo }));
  t.same(levels, [
    { nextPosition: 3, deliveredTo: 1 },
    { nextPosition: 9 * LEVEL_SPAN + 2, deliveredTo: 9 * LEVEL_SPAN },
  ]);
  const after = new PriorityMessages(9);
  after.restore(levels);
  t.same(
    after.levels.map(({ nextPosition, deliveredTo }) => ({ nextPosition, deliveredTo })),
    levels,
  );
  t.equal(after.push(messageOf('', { properties: { priority: 9 } })), 3);
  t.equal(after.skip(messageOf('')), 9 * LEVEL_SPAN + 2);
});

t.test('a queue has priorities when it is declared with some', async (t) => {
  t.ok(createReady(table({ 'x-max-priority': integer(1) }), null) instanceof PriorityMessages);
  t.ok(createReady(table({ 'x-max-priority': integer(0) }), null) instanceof ReadyMessages);
  t.ok(createReady(table(), null) instanceof ReadyMessages);
});
