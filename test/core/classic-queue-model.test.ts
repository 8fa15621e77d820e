// Any use of a classic queue, compared with a naive model.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type Step, sequenceOf, stepsOf } from './helper.ts';
import { type Limit, QueueBench, type Settlement } from './queue-bench.ts';

const stepOf = stepsOf<QueueBench>();
const side = fc.integer({ min: 0, max: 1 });
const sides = fc.constantFrom([0], [1], [0, 1]);
const settlement = fc.constantFrom<Settlement>('acknowledge', 'reject', 'requeue');
const consumer = fc.record({
  prefetch: fc.integer({ min: 0, max: 3 }),
  noAck: fc.boolean(),
  priority: fc.integer({ min: 0, max: 1 }),
});

const publish = stepOf(
  'publish',
  fc.tuple(sides, fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 4 })),
  (bench, [to, size, count]) => {
    for (let i = 0; i < count; i++) bench.publish(to, size);
  },
);
const settle = stepOf(
  'settle',
  fc.tuple(side, settlement, fc.nat(), fc.integer({ min: 1, max: 4 })),
  (bench, [at, how, choice, count]) => bench.sides[at].settle(how, choice, count),
);
const close = stepOf('close', side, (bench, at) => bench.sides[at].close());
const step: fc.Arbitrary<Step<QueueBench>> = fc.oneof(
  { weight: 6, arbitrary: publish },
  { weight: 5, arbitrary: settle },
  {
    weight: 2,
    arbitrary: stepOf('get', fc.tuple(side, fc.boolean()), (bench, [at, noAck]) => bench.sides[at].get(noAck)),
  },
  {
    weight: 2,
    arbitrary: stepOf('add consumer', fc.tuple(side, consumer), (bench, what) => bench.addConsumer(...what)),
  },
  {
    weight: 2,
    arbitrary: stepOf('remove consumer', fc.tuple(side, fc.nat()), (bench, what) => bench.removeConsumer(...what)),
  },
  {
    weight: 2,
    arbitrary: stepOf('fill outputs', fc.tuple(side, fc.nat({ max: 15 })), (bench, what) => bench.setOutputs(...what)),
  },
  { weight: 1, arbitrary: stepOf('purge', side, (bench, at) => bench.sides[at].purge()) },
  { weight: 2, arbitrary: stepOf('end turn', fc.constant(null), (bench) => bench.endTurn()) },
);

const limit = fc.option(
  fc.record({
    messages: fc.integer({ min: 0, max: 5 }),
    bytes: fc.constantFrom(0, 500, 100_000),
    rejectPublish: fc.boolean(),
  }),
);

function run(steps: readonly Step<QueueBench>[], limited: Limit | null): QueueBench {
  const bench = new QueueBench(limited);
  for (const each of steps) {
    each(bench);
    bench.check();
  }
  return bench;
}

t.test('each message is in one place, in order, and accounted for, whatever is done to a queue', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 80), limit, (steps, limited) => {
      run(steps, limited);
    }),
    { numRuns: 500 },
  );
});

t.test('the memory account is back at zero when queues are closed and deliveries settled, in any order', async () => {
  const ending = sequenceOf(fc.oneof(settle, close), 8);
  fc.assert(
    fc.property(sequenceOf(step, 40), ending, settlement, limit, (steps, last, how, limited) => {
      const bench = run([...steps, ...last], limited);
      for (const each of bench.sides) each.close();
      bench.endTurn();
      bench.check();
      for (const each of bench.sides) each.settle(how, 0, each.held.length);
      bench.check();
      assert.equal(bench.memory.usedBytes, 0);
    }),
    { numRuns: 300 },
  );
});
