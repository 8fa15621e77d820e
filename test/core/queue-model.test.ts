// Any queue under any use, compared with a naive model: priorities, expiry, limits, dead letters, and a disk that answers late.
import fc from 'fast-check';
import t from 'tap';
import type { QueueFeatures } from '../../lib/core/queue-features.ts';
import { type Step, sequenceOf, stepsOf } from './helper.ts';
import { QueueModel, type Settlement } from './queue-model.ts';
import type { ModelSettings } from './queue-rules.ts';

const stepOf = stepsOf<QueueModel>();
const nothing = fc.constant(null);
const settlement = fc.constantFrom<Settlement>('acknowledge', 'reject', 'requeue', 'abandon');

const publish = stepOf(
  'publish',
  fc.tuple(
    fc.nat(4),
    fc.integer({ min: 1, max: 300 }),
    fc.option(fc.constantFrom(0, 1, 5, 20, 50, 2000, 10_000), { freq: 2 }),
    fc.boolean(),
    fc.integer({ min: 1, max: 4 }),
  ),
  (model, [priority, size, ttlMs, isPersistent, count]) => {
    for (let i = 0; i < count; i++) model.publish(priority, size, ttlMs, isPersistent);
  },
);
const settle = stepOf(
  'settle',
  fc.tuple(settlement, fc.nat(), fc.integer({ min: 1, max: 4 })),
  (model, [how, choice, count]) => model.settle(how, choice, count),
);
const advance = stepOf(
  'advance',
  fc.oneof({ weight: 6, arbitrary: fc.nat(30) }, { weight: 1, arbitrary: fc.constantFrom(1000, 5000, 12_000) }),
  (model, ms) => model.clock.advance(ms),
);
const consumer = fc.record({
  prefetch: fc.integer({ min: 0, max: 3 }),
  noAck: fc.boolean(),
  priority: fc.integer({ min: 0, max: 1 }),
});
const common: fc.WeightedArbitrary<Step<QueueModel>>[] = [
  { weight: 7, arbitrary: publish },
  { weight: 5, arbitrary: settle },
  { weight: 4, arbitrary: advance },
  { weight: 2, arbitrary: stepOf('get', fc.boolean(), (model, noAck) => model.get(noAck)) },
  { weight: 1, arbitrary: stepOf('add consumer', consumer, (model, options) => model.addConsumer(options)) },
  { weight: 1, arbitrary: stepOf('remove consumer', fc.nat(), (model, choice) => model.removeConsumer(choice)) },
  { weight: 2, arbitrary: stepOf('fill outputs', fc.nat(15), (model, full) => model.setOutputs(full)) },
  { weight: 1, arbitrary: stepOf('purge', nothing, (model) => model.purge()) },
  { weight: 1, arbitrary: stepOf('end turn', nothing, (model) => model.clock.endTurn()) },
  { weight: 2, arbitrary: stepOf('settle letters', fc.boolean(), (model, accepted) => model.settleLetters(accepted)) },
];
const ofDisk: fc.WeightedArbitrary<Step<QueueModel>>[] = [
  { weight: 4, arbitrary: stepOf('page out', fc.boolean(), (model, all) => model.pageOut(all)) },
  {
    weight: 3,
    arbitrary: stepOf('load', fc.integer({ min: 1, max: 6 }), ({ store }, count) => {
      if (store?.isLoading === true) store.answer(count);
    }),
  },
  { weight: 2, arbitrary: stepOf('fetch', nothing, (model) => model.store?.answerFetch()) },
  { weight: 2, arbitrary: stepOf('settle disk', nothing, (model) => model.settleDisk()) },
  { weight: 1, arbitrary: stepOf('confirm', nothing, (model) => model.store?.confirm()) },
];

function limitOf(...values: number[]): fc.Arbitrary<number> {
  return fc.oneof(fc.constant(Infinity), fc.constantFrom(...values));
}

/**
 * Without a disk what leaves is seen by its dead letter alone, so there is one.
 * @param limitsBytes not where the limit comes later: the sizes of what leaves the disk unread before are guessed
 */
function featuresOn(hasDisk: boolean, limitsBytes = true): fc.Arbitrary<Partial<QueueFeatures>> {
  return fc.record({
    messageTtlMs: limitOf(0, 3, 20, 60, 3000),
    maxLength: limitOf(0, 1, 3, 6),
    maxLengthBytes: limitsBytes ? limitOf(0, 200, 800) : fc.constant(Infinity),
    overflow: fc.constantFrom('drop-head', 'drop-head', 'reject-publish', 'reject-publish-dlx'),
    deadLetterExchange: hasDisk ? fc.constantFrom('dead', null) : fc.constant('dead'),
    deadLetterStrategy: fc.constantFrom('at-most-once', 'at-least-once'),
    deliveryLimit: limitOf(0, 1, 2),
  });
}

function settingsOn(hasDisk: boolean, features = featuresOn(hasDisk)): fc.Arbitrary<ModelSettings> {
  const singleActive = fc.boolean();
  return fc.oneof(
    fc.record({
      maxPriority: fc.constantFrom(0, 1, 3),
      isQuorum: fc.constant(false),
      singleActive,
      hasDisk: fc.constant(hasDisk),
      features,
    }),
    fc.record({
      maxPriority: fc.constant(0),
      isQuorum: fc.constant(true),
      singleActive,
      hasDisk: fc.constant(hasDisk),
      features,
    }),
  );
}

function run(settings: ModelSettings, steps: readonly Step<QueueModel>[], end: Settlement): void {
  const model = new QueueModel(settings);
  for (const each of steps) {
    each(model);
    model.check();
  }
  model.settleDisk();
  model.end(end);
}

for (const [name, hasDisk, steps] of [
  ['in memory', false, common],
  ['with a disk that nothing leaves memory for', true, common],
  ['with a part on a disk that answers late', true, [...common, ...ofDisk]],
] as const) {
  t.test(`a queue ${name} does what the model says`, async () => {
    fc.assert(fc.property(settingsOn(hasDisk), sequenceOf(fc.oneof(...steps), 80), settlement, run), {
      numRuns: 800,
      interruptAfterTimeLimit: 20_000,
    });
  });

  t.test(`a queue ${name} whose features change does what the model says`, async () => {
    const features = featuresOn(hasDisk, steps === common);
    const apply = stepOf('apply', features, (model, next) => model.applyFeatures(next));
    const step = fc.oneof(...steps, { weight: 2, arbitrary: apply });
    fc.assert(fc.property(settingsOn(hasDisk, features), sequenceOf(step, 60), settlement, run), {
      numRuns: 800,
      interruptAfterTimeLimit: 20_000,
    });
  });
}
