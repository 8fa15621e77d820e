// Which policy applies to a queue or an exchange, and what it comes to together with an operator policy and arguments.
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import {
  comparePolicies,
  findPolicy,
  mergeDefinitions,
  type Policy,
  type PolicyDefinition,
  type PolicyTarget,
} from '../../lib/core/policy.ts';
import { featuresOf, PLAIN_FEATURES, type QueueFeatures, sameFeatures } from '../../lib/core/queue-features.ts';
import { table } from './helper.ts';

function policyOf(options: Partial<Policy> = {}): Policy {
  const { pattern = '' } = options;
  const defaults = { name: 'p', pattern, definition: { 'max-length': 1 }, priority: 0, applyTo: 'all' as const };
  return { ...defaults, matches: (name) => name.includes(pattern), ...options };
}

const QUEUE = { name: 'q', queueType: 'classic' };

t.test('a policy applies to what it names', async (t) => {
  const subjects = {
    exchange: null,
    classic: 'classic',
    quorum: 'quorum',
    stream: 'stream',
  };
  const expected: Record<PolicyTarget, string[]> = {
    all: ['exchange', 'classic', 'quorum', 'stream'],
    exchanges: ['exchange'],
    queues: ['classic', 'quorum', 'stream'],
    classic_queues: ['classic'],
    quorum_queues: ['quorum'],
    streams: ['stream'],
  };
  for (const applyTo of Object.keys(expected) as PolicyTarget[]) {
    const policies = [policyOf({ applyTo, definition: { 'max-length-bytes': 1 } })];
    const found = Object.entries(subjects).filter(
      ([, queueType]) => findPolicy(policies, { name: 'x', queueType }) !== null,
    );
    t.strictSame(
      found.map(([name]) => name),
      expected[applyTo],
      applyTo,
    );
  }
});

t.test('of those that match the highest priority applies, and the first by name among equals', async (t) => {
  const policies = [
    policyOf({ name: 'low', priority: -1 }),
    policyOf({ name: 'b', priority: 2 }),
    policyOf({ name: 'a', priority: 2 }),
    policyOf({ name: 'other', priority: 9, pattern: 'x' }),
    policyOf({ name: 'exchanges', priority: 9, applyTo: 'exchanges' }),
  ].sort(comparePolicies);
  t.equal(findPolicy(policies, QUEUE)?.name, 'a');
  t.equal(findPolicy(policies, { name: 'x', queueType: 'classic' })?.name, 'other');
  t.equal(findPolicy(policies, { name: 'e', queueType: null })?.name, 'exchanges');
  t.equal(findPolicy([], QUEUE), null);
});

t.test('a policy with a key that a queue type does not know leaves the queue to the next one', async (t) => {
  const unknownTo = (key: string): string[] =>
    ['classic', 'quorum', 'stream'].filter((queueType) => {
      const policies = [policyOf({ definition: { [key]: 1 } }), policyOf({ name: 'next', definition: {} })];
      return findPolicy(policies, { name: 'q', queueType })?.name === 'next';
    });
  // As RabbitMQ 3.10.8 answered for each key, but for consumer-timeout, which it does not know.
  const expected: Record<string, string[]> = {
    'alternate-exchange': [],
    'consumer-timeout': ['stream'],
    'dead-letter-exchange': ['stream'],
    'dead-letter-routing-key': ['stream'],
    'dead-letter-strategy': ['classic', 'stream'],
    'delivery-limit': ['classic', 'stream'],
    expires: ['stream'],
    'ha-mode': ['quorum', 'stream'],
    'initial-cluster-size': ['classic', 'quorum'],
    'max-age': ['classic', 'quorum'],
    'max-in-memory-bytes': ['stream'],
    'max-in-memory-length': ['stream'],
    'max-length': ['stream'],
    'max-length-bytes': [],
    'message-ttl': ['stream'],
    overflow: ['stream'],
    'queue-leader-locator': ['classic'],
    'queue-master-locator': ['quorum', 'stream'],
    'queue-mode': ['quorum', 'stream'],
    'queue-version': [],
    'stream-max-segment-size-bytes': ['classic', 'quorum'],
  };
  for (const [key, types] of Object.entries(expected)) t.strictSame(unknownTo(key), types, key);
});

t.test('an operator policy makes the limits of a policy tighter, never looser', async (t) => {
  const policy = { 'max-length': 10, expires: 5, 'dead-letter-exchange': 'x' };
  const operator = { 'max-length': 3, expires: 7, 'message-ttl': 9 };
  const both = { 'max-length': 3, expires: 5, 'message-ttl': 9, 'dead-letter-exchange': 'x' };
  t.strictSame(mergeDefinitions(policy, operator), both);
  t.strictSame(mergeDefinitions(policy, null), policy);
  t.strictSame(mergeDefinitions(null, operator), operator);
  t.equal(mergeDefinitions(null, null), null);
});

const int = (value: number): FieldValue => ({ type: 'I', value });

t.test('what a queue has to do by arguments and policies', async (t) => {
  const cases: [Parameters<typeof table>[0], PolicyDefinition | null, Partial<QueueFeatures>][] = [
    [{}, null, {}],
    [{}, { 'queue-mode': 'lazy', 'alternate-exchange': 'x' }, {}],
    [{ 'x-message-ttl': int(0) }, { 'message-ttl': 5 }, { messageTtlMs: 0 }],
    [{ 'x-message-ttl': int(9) }, { 'message-ttl': 5 }, { messageTtlMs: 5 }],
    [{ 'x-expires': int(4) }, { expires: 5 }, { expiresMs: 4 }],
    [{}, { expires: 5 }, { expiresMs: 5 }],
    [{ 'x-max-length': int(5) }, { 'max-length': 3 }, { maxLength: 3 }],
    [{ 'x-max-length-bytes': { type: 'l', value: 5n } }, { 'max-length-bytes': 30 }, { maxLengthBytes: 5 }],
    [{ 'x-overflow': 'drop-head' }, { overflow: 'reject-publish' }, { overflow: 'drop-head' }],
    [{}, { overflow: 'reject-publish' }, { overflow: 'reject-publish' }],
    [{}, { overflow: 'reject-publish-dlx' }, { overflow: 'reject-publish-dlx' }],
    [{ 'x-queue-type': 'quorum' }, { overflow: 'reject-publish-dlx' }, { overflow: 'drop-head' }],
    [{ 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' }, null, { overflow: 'reject-publish' }],
    [
      { 'x-dead-letter-exchange': 'a' },
      { 'dead-letter-exchange': 'b', 'dead-letter-routing-key': 'k' },
      { deadLetterExchange: 'a', deadLetterRoutingKey: 'k' },
    ],
    [{ 'x-dead-letter-exchange': '' }, { 'dead-letter-exchange': 'b' }, { deadLetterExchange: '' }],
    [{}, { 'dead-letter-exchange': 'b' }, { deadLetterExchange: 'b' }],
    // Only a quorum queue that refuses what does not fit keeps messages until their dead letters are safe.
    [{}, { 'dead-letter-strategy': 'at-least-once', overflow: 'reject-publish' }, { overflow: 'reject-publish' }],
    [{ 'x-queue-type': 'quorum' }, { 'dead-letter-strategy': 'at-least-once' }, {}],
    [
      { 'x-queue-type': 'quorum' },
      { 'dead-letter-strategy': 'at-least-once', overflow: 'reject-publish' },
      { deadLetterStrategy: 'at-least-once', overflow: 'reject-publish' },
    ],
    [
      { 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'at-most-once', 'x-overflow': 'reject-publish' },
      { 'dead-letter-strategy': 'at-least-once' },
      { overflow: 'reject-publish' },
    ],
    [{ 'x-consumer-timeout': int(7) }, { 'consumer-timeout': 5 }, { consumerTimeoutMs: 5 }],
    [{}, { 'consumer-timeout': 5 }, { consumerTimeoutMs: 5 }],
  ];
  for (const [args, definition, expected] of cases) {
    const features = featuresOf(table(args), definition);
    t.strictSame(features, { ...PLAIN_FEATURES, ...expected });
  }
});

t.test('the delivery limit of a quorum queue: its argument, its policy, the default of the broker', async (t) => {
  const limitOf = (args: Parameters<typeof table>[0], definition: PolicyDefinition | null, byDefault: number) =>
    featuresOf(table({ 'x-queue-type': 'quorum', ...args }), definition, byDefault).deliveryLimit;
  t.equal(limitOf({}, null, Infinity), Infinity);
  t.equal(limitOf({}, null, 20), 20);
  t.equal(limitOf({}, { 'max-length': 1 }, 20), 20);
  t.equal(limitOf({}, { 'delivery-limit': 50 }, 20), 50);
  t.equal(limitOf({ 'x-delivery-limit': int(5) }, { 'delivery-limit': 50 }, 20), 5);
  t.equal(limitOf({ 'x-delivery-limit': int(5) }, { 'delivery-limit': 0 }, 20), 0);
  t.equal(limitOf({ 'x-delivery-limit': int(-1) }, null, 20), Infinity, 'as in RabbitMQ 4');
  t.equal(limitOf({ 'x-delivery-limit': 'many' }, null, 20), Infinity, 'RabbitMQ lets any value pass');
  t.equal(featuresOf(table(), { 'max-length': 1 }, 20).deliveryLimit, Infinity, 'a classic queue has none');
});

t.test('features that are the same are known as such', async (t) => {
  const features = featuresOf(table(), { 'max-length': 1 });
  t.ok(sameFeatures(features, featuresOf(table({ 'x-max-length': int(1) }))));
  t.notOk(sameFeatures(features, PLAIN_FEATURES));
});
