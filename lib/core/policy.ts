// A policy: what is asked of all queues and exchanges whose names match a pattern, beside their arguments. Which policies apply to
// one of them, and what that comes to; pure. See https://www.rabbitmq.com/docs/parameters#policies

/** Operator policies are a second set, which can only make limits tighter. */
export type PolicyKind = 'policy' | 'operator_policy';

export const POLICY_TARGETS = ['queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges', 'all'] as const;
export type PolicyTarget = (typeof POLICY_TARGETS)[number];

/** RabbitMQ's keys, such as `message-ttl`, with their values as in JSON. */
export type PolicyDefinition = Readonly<Record<string, unknown>>;

export interface Policy {
  readonly name: string;
  /** A regular expression; one that is empty matches every name. */
  readonly pattern: string;
  /** Whether the pattern matches a name. */
  readonly matches: (name: string) => boolean;
  readonly definition: PolicyDefinition;
  /** The highest wins. */
  readonly priority: number;
  readonly applyTo: PolicyTarget;
}

/** A queue or an exchange, as far as policies look at it. */
export interface PolicySubject {
  readonly name: string;
  /** `classic`, `quorum` or `stream`; null for an exchange. */
  readonly queueType: string | null;
}

/** What applies to one queue or exchange. */
export interface AppliedPolicies {
  readonly policy: Policy | null;
  readonly operatorPolicy: Policy | null;
  /** Both together; null when there is neither. */
  readonly definition: PolicyDefinition | null;
}

const TYPE_OF_TARGET: Readonly<Record<string, string>> = {
  classic_queues: 'classic',
  quorum_queues: 'quorum',
  streams: 'stream',
};

/** A policy with one of these keys does not apply to such a queue at all; any other key that means nothing to it is ignored. */
const UNSUPPORTED_KEYS: Readonly<Record<string, readonly string[]>> = {
  classic: [
    'dead-letter-strategy',
    'delivery-limit',
    'initial-cluster-size',
    'max-age',
    'queue-leader-locator',
    'stream-max-segment-size-bytes',
  ],
  quorum: [
    'ha-mode',
    'ha-params',
    'ha-promote-on-failure',
    'ha-promote-on-shutdown',
    'ha-sync-mode',
    'initial-cluster-size',
    'max-age',
    'queue-master-locator',
    'queue-mode',
    'stream-max-segment-size-bytes',
  ],
  stream: [
    'consumer-timeout',
    'dead-letter-exchange',
    'dead-letter-routing-key',
    'dead-letter-strategy',
    'delivery-limit',
    'expires',
    'ha-mode',
    'ha-params',
    'ha-promote-on-failure',
    'ha-promote-on-shutdown',
    'ha-sync-mode',
    'max-in-memory-bytes',
    'max-in-memory-length',
    'max-length',
    'message-ttl',
    'overflow',
    'queue-master-locator',
    'queue-mode',
  ],
};

/** The order of precedence. RabbitMQ does not say which of two policies of one priority wins; here it is the first by name. */
export function comparePolicies(one: Policy, other: Policy): number {
  if (one.priority !== other.priority) return other.priority - one.priority;
  return one.name < other.name ? -1 : 1;
}

/** The one policy that applies, of a list in the order of precedence; null when there is none. */
export function findPolicy(policies: readonly Policy[], subject: PolicySubject): Policy | null {
  return policies.find((policy) => appliesTo(policy, subject)) ?? null;
}

function appliesTo({ applyTo, definition, matches }: Policy, { name, queueType }: PolicySubject): boolean {
  if (!isTarget(applyTo, queueType)) return false;
  if (queueType !== null && UNSUPPORTED_KEYS[queueType]?.some((key) => Object.hasOwn(definition, key))) return false;
  return matches(name);
}

function isTarget(target: PolicyTarget, queueType: string | null): boolean {
  if (target === 'all') return true;
  if (queueType === null) return target === 'exchanges';
  return target === 'queues' || TYPE_OF_TARGET[target] === queueType;
}

/** What a policy and an operator policy ask for together: of a limit that both have, the smaller one. */
export function mergeDefinitions(
  policy: PolicyDefinition | null,
  operatorPolicy: PolicyDefinition | null,
): PolicyDefinition | null {
  if (policy === null || operatorPolicy === null) return policy ?? operatorPolicy;
  const merged: Record<string, unknown> = { ...policy };
  // Operator policies hold nothing but numbers.
  for (const [key, limit] of Object.entries(operatorPolicy)) {
    merged[key] = Object.hasOwn(policy, key) ? Math.min(Number(policy[key]), Number(limit)) : limit;
  }
  return merged;
}
