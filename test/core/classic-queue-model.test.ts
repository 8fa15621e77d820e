// Any use of a classic queue, compared with a naive model.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { sequenceOf } from './helper.ts';
import { QueueBench, type Settlement } from './queue-bench.ts';

type Step = (bench: QueueBench) => void;

const side = fc.integer({ min: 0, max: 1 });
const sides = fc.constantFrom([0], [1], [0, 1]);
const settlement = fc.constantFrom<Settlement>('acknowledge', 'reject', 'requeue');
const consumer = fc.record({
  prefetch: fc.integer({ min: 0, max: 3 }),
  noAck: fc.boolean(),
  priority: fc.integer({ min: 0, max: 1 }),
});

const publish = fc
  .tuple(sides, fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 4 }))
  .map(([to, size, count]): Step => {
    return (bench) => {
      for (let i = 0; i < count; i++) bench.publish(to, size);
    };
  });
const settle = fc
  .tuple(side, settlement, fc.nat(), fc.integer({ min: 1, max: 4 }))
  .map(([at, how, choice, count]): Step => {
    return (bench) => bench.sides[at].settle(how, choice, count);
  });
const addConsumer = fc.tuple(side, consumer).map(([at, options]): Step => {
  return (bench) => bench.addConsumer(at, options);
});
const removeConsumer = fc.tuple(side, fc.nat()).map(([at, choice]): Step => {
  return (bench) => bench.removeConsumer(at, choice);
});
const setOutputs = fc.tuple(side, fc.nat({ max: 15 })).map(([at, full]): Step => {
  return (bench) => bench.setOutputs(at, full);
});
const get = fc.tuple(side, fc.boolean()).map(
  ([at, noAck]): Step =>
    (bench) =>
      bench.sides[at].get(noAck),
);
const purge = side.map(
  (at): Step =>
    (bench) =>
      bench.sides[at].purge(),
);
const close = side.map(
  (at): Step =>
    (bench) =>
      bench.sides[at].close(),
);

const step = fc.oneof(
  { weight: 6, arbitrary: publish },
  { weight: 5, arbitrary: settle },
  { weight: 2, arbitrary: get },
  { weight: 2, arbitrary: addConsumer },
  { weight: 2, arbitrary: removeConsumer },
  { weight: 2, arbitrary: setOutputs },
  { weight: 1, arbitrary: purge },
  { weight: 2, arbitrary: fc.constant<Step>((bench) => bench.endTurn()) },
);

function run(steps: readonly Step[]): QueueBench {
  const bench = new QueueBench();
  for (const each of steps) {
    each(bench);
    bench.check();
  }
  return bench;
}

t.test('each message is in one place, in order, and accounted for, whatever is done to a queue', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 80), (steps) => {
      run(steps);
    }),
    { numRuns: 500 },
  );
});

t.test('the memory account is back at zero when queues are closed and deliveries settled, in any order', async () => {
  const ending = sequenceOf(fc.oneof(settle, close), 8);
  fc.assert(
    fc.property(sequenceOf(step, 40), ending, settlement, (steps, last, how) => {
      const bench = run([...steps, ...last]);
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
