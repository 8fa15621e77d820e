// Random policies and arguments, against a model that asks the questions one by one.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import { POLICY_TARGETS, type Policy, type PolicyDefinition, type PolicyKind } from '../../lib/core/policy.ts';
import { PLAIN_FEATURES, type QueueFeatures } from '../../lib/core/queue-features.ts';
import { queueSettings, table } from './helper.ts';
import { createVirtualHost, exchangeSettings } from './virtual-host-helper.ts';

const NAMES = ['a', 'b', 'ab', 'ba'];
const LIMITS = ['message-ttl', 'expires', 'max-length', 'max-length-bytes'] as const;
const TEXTS = {
  overflow: fc.constantFrom('drop-head', 'reject-publish', 'reject-publish-dlx'),
  'dead-letter-exchange': fc.constantFrom('', 'dlx-1', 'dlx-2'),
  'dead-letter-routing-key': fc.constantFrom('', 'k-1', 'k-2'),
};

const number = fc.integer({ min: 1, max: 9 });
const limits = fc.record(
  { 'message-ttl': number, expires: number, 'max-length': number, 'max-length-bytes': number },
  { requiredKeys: [] },
);
const definition = fc.tuple(
  limits,
  fc.record({ ...TEXTS, 'alternate-exchange': fc.constantFrom('', 'ae-1', 'ae-2') }, { requiredKeys: [] }),
  // With it the policy is not for classic queues.
  fc.record({ 'max-age': fc.constant('1h') }, { requiredKeys: [] }),
);

function policies(definitions: fc.Arbitrary<PolicyDefinition>): fc.Arbitrary<Policy[]> {
  const policy = fc.record({
    name: fc.constantFrom('p', 'q', 'r', 's', 't'),
    pattern: fc.constantFrom('', 'a', 'b', 'ab', '^b', 'a$'),
    definition: definitions,
    priority: fc.integer({ min: -1, max: 1 }),
    applyTo: fc.constantFrom(...POLICY_TARGETS),
  });
  const complete = policy.map((each) => ({ ...each, matches: (name: string) => new RegExp(each.pattern).test(name) }));
  return fc.array(complete, { maxLength: 6 });
}

/** The arguments of a declaration that say the same as a policy would. */
function argumentsOf(said: PolicyDefinition): Map<string, FieldValue> {
  const fields = new Map<string, FieldValue>();
  for (const [key, value] of Object.entries(said)) {
    if (typeof value === 'string') fields.set(`x-${key}`, { type: 'S', value });
    else if (typeof value === 'number') fields.set(`x-${key}`, { type: 'I', value });
  }
  return fields;
}

/** The one that applies: looked for one by one, of the last policy of each name. */
function modelOf(all: readonly Policy[], name: string, kind: 'queue' | 'exchange'): Policy | null {
  let best: Policy | null = null;
  for (const [index, policy] of all.entries()) {
    if (all.slice(index + 1).some((later) => later.name === policy.name)) continue;
    const targets = kind === 'queue' ? ['all', 'queues', 'classic_queues'] : ['all', 'exchanges'];
    if (!targets.includes(policy.applyTo) || !policy.matches(name)) continue;
    if (kind === 'queue' && 'max-age' in policy.definition) continue;
    const isBetter =
      best === null ||
      policy.priority > best.priority ||
      (policy.priority === best.priority && policy.name < best.name);
    if (isBetter) best = policy;
  }
  return best;
}

function expectedFeatures(
  args: PolicyDefinition,
  policy: Policy | null,
  operator: Policy | null,
): Partial<Record<keyof QueueFeatures, unknown>> {
  const said = [args, policy?.definition ?? {}, operator?.definition ?? {}];
  const least = (key: string): number =>
    Math.min(Infinity, ...said.flatMap((one) => (one[key] === undefined ? [] : [Number(one[key])])));
  const first = (key: string): unknown => said.find((one) => one[key] !== undefined)?.[key] ?? null;
  const [messageTtlMs, expiresMs, maxLength, maxLengthBytes] = LIMITS.map(least);
  return {
    messageTtlMs,
    expiresMs,
    maxLength,
    maxLengthBytes,
    overflow: first('overflow') ?? 'drop-head',
    deadLetterExchange: first('dead-letter-exchange'),
    deadLetterRoutingKey: first('dead-letter-routing-key'),
  };
}

t.test('queues and exchanges have what the model says, whenever they came and whatever was there before', async () => {
  const merged = definition.map((parts): PolicyDefinition => Object.assign({}, ...parts));
  fc.assert(
    fc.property(
      policies(merged),
      policies(limits),
      fc.tuple(limits, fc.record(TEXTS, { requiredKeys: [] })),
      fc.option(fc.constantFrom('', 'ae-0'), { nil: undefined }),
      fc.array(fc.constantFrom('p', 'q', 'r', 's', 't')),
      fc.nat(12),
      (userPolicies, operatorPolicies, argumentParts, alternate, removed, moment) => {
        const { 'dead-letter-routing-key': key, ...others } = Object.assign({}, ...argumentParts);
        // Without an exchange beside it, such an argument is refused.
        const args: PolicyDefinition =
          'dead-letter-exchange' in others ? { ...others, 'dead-letter-routing-key': key } : others;
        const host = createVirtualHost();
        const declare = (): void => {
          for (const name of NAMES) {
            host.declareQueue(queueSettings({ name, arguments: argumentsOf(args) }));
            const exchangeArguments = table(alternate === undefined ? {} : { 'alternate-exchange': alternate });
            host.declareExchange(exchangeSettings({ name, type: 'fanout', arguments: exchangeArguments }));
          }
        };
        const steps: [PolicyKind, Policy][] = [
          ...userPolicies.map((policy): [PolicyKind, Policy] => ['policy', policy]),
          ...operatorPolicies.map((policy): [PolicyKind, Policy] => ['operator_policy', policy]),
        ];
        for (const [index, [kind, policy]] of steps.entries()) {
          if (index === moment) declare();
          host.policies.put(kind, policy);
        }
        declare();
        for (const name of removed) host.policies.remove('policy', name);
        const left = userPolicies.filter(({ name }) => !removed.some((gone) => gone === name));
        for (const name of NAMES) {
          const queue = host.queues.get(name);
          const policy = modelOf(left, name, 'queue');
          const operator = modelOf(operatorPolicies, name, 'queue');
          const exchange = host.exchanges.get(name);
          const exchangePolicy = modelOf(left, name, 'exchange');
          if (queue === undefined || exchange === undefined) throw new Error('they were declared');
          assert.deepEqual(queue.features, { ...PLAIN_FEATURES, ...expectedFeatures(args, policy, operator) });
          const byPolicy = exchangePolicy?.definition['alternate-exchange'] ?? '';
          assert.equal(exchange.alternateName, alternate ?? byPolicy);
          const ofQueue = host.policyOf(queue);
          assert.deepEqual([ofQueue.policy, ofQueue.operatorPolicy], [policy, operator]);
          assert.equal(host.policyOf(exchange).policy, exchangePolicy);
        }
      },
    ),
    { numRuns: 200 },
  );
});
