// Whose turn it is among the consumers of a queue.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { BLOCKED_BY_OUTPUT, BLOCKED_BY_SESSION_PREFETCH, type Consumer } from '../../lib/core/consumer.ts';
import { ConsumerRing } from '../../lib/core/consumer-ring.ts';
import { consumerOf, Inbox, sequenceOf } from './helper.ts';

/** A ring that its consumers tell of their changes, as a queue's. */
function ringOf(...consumers: Consumer[]): ConsumerRing {
  const ring = new ConsumerRing();
  for (const consumer of consumers) join(ring, consumer);
  return ring;
}

function join(ring: ConsumerRing, consumer: Consumer): void {
  consumer.host = {
    consumerReady: (each) => ring.markReady(each),
    consumerBlocked: (each) => ring.markBlocked(each),
  };
  ring.add(consumer);
}

function leave(ring: ConsumerRing, consumer: Consumer): void {
  if (ring.remove(consumer)) consumer.host = null;
}

function named(tag: string, priority = 0): Consumer {
  return consumerOf(new Inbox(), { tag, priority });
}

function turns(ring: ConsumerRing, count: number): string {
  return Array.from({ length: count }, () => ring.next()?.tag ?? '-').join('');
}

t.test('equals take turns', async (t) => {
  const [a, b, c] = ['a', 'b', 'c'].map((tag) => named(tag));
  const ring = ringOf(a, b, c);
  t.equal(turns(ring, 7), 'abcabca');
  b.block(BLOCKED_BY_OUTPUT);
  t.equal(turns(ring, 4), 'caca');
  b.unblock(BLOCKED_BY_OUTPUT);
  t.equal(turns(ring, 3), 'cab', 'who becomes ready is the last in turn');
});

t.test('a higher priority goes first while it is ready', async (t) => {
  const low = named('l', -1);
  const high = named('h', 5);
  const ring = ringOf(low, named('m'), high, named('n'));
  t.equal(turns(ring, 3), 'hhh');
  high.block(BLOCKED_BY_OUTPUT);
  t.equal(turns(ring, 3), 'mnm');
  high.unblock(BLOCKED_BY_OUTPUT);
  t.equal(turns(ring, 1), 'h');
});

t.test('nobody gets a turn when nobody is ready', async (t) => {
  const a = named('a');
  const ring = ringOf(a);
  a.block(BLOCKED_BY_OUTPUT);
  t.equal(ring.next(), null);
  leave(ring, a);
  t.equal(ring.next(), null);
  t.equal(new ConsumerRing().next(), null);
});

t.test('one who leaves takes no turn from the others', async (t) => {
  const [a, b, c] = ['a', 'b', 'c'].map((tag) => named(tag));
  const ring = ringOf(a, b, c);
  t.equal(turns(ring, 2), 'ab');
  leave(ring, a);
  t.equal(turns(ring, 4), 'cbcb');
  t.notOk(ring.remove(a), 'it is gone already');
});

t.test('counts and turns are right after any changes', async () => {
  const consumerCount = 6;
  const step = fc.record({
    what: fc.constantFrom('add', 'remove', 'block', 'unblock', 'next'),
    who: fc.nat({ max: consumerCount - 1 }),
    reason: fc.constantFrom(BLOCKED_BY_OUTPUT, BLOCKED_BY_SESSION_PREFETCH),
  });
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: consumerCount }),
      sequenceOf(step),
      (ps, steps) => {
        const all = Array.from({ length: consumerCount }, (_, i) => named(String(i), ps[i]));
        const ring = new ConsumerRing();
        const members = new Set<Consumer>();
        for (const { what, who, reason } of steps) {
          const consumer = all[who];
          if (what === 'add' && !members.has(consumer)) {
            members.add(consumer);
            join(ring, consumer);
          } else if (what === 'remove') {
            assert.equal(ring.remove(consumer), members.delete(consumer));
            consumer.host = null;
          } else if (what === 'block') consumer.block(reason);
          else if (what === 'unblock') consumer.unblock(reason);
          check(ring, [...members], what === 'next');
        }
      },
    ),
    { numRuns: 500 },
  );
});

/** Counts, and that one round gives each of the ready consumers of highest priority one turn. */
function check(ring: ConsumerRing, members: readonly Consumer[], takeTurns: boolean): void {
  const ready = members.filter((consumer) => consumer.ready);
  assert.equal(ring.size, members.length);
  assert.equal(ring.ready, ready.length);
  assert.equal([...ring].length, members.length);
  if (!takeTurns) return;
  const highest = Math.max(...ready.map(({ priority }) => priority));
  const first = ready.filter(({ priority }) => priority === highest);
  const round = first.map(() => ring.next());
  assert.deepEqual(new Set(round), new Set(first));
  if (first.length === 0) assert.equal(ring.next(), null);
}
