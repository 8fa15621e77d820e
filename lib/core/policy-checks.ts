// Checks a policy as RabbitMQ does, in its words. See https://www.rabbitmq.com/docs/parameters#policies
import { formatTerm } from '../../exchanges/field-value.ts';
import { POLICY_TARGETS, type PolicyKind } from './policy.ts';

/** What is wrong with a value; undefined when nothing is. */
type Check = (value: unknown, definition: Readonly<Record<string, unknown>>) => string | undefined;

const isInteger = (value: unknown, least: number, most = Infinity): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;

const isText = (value: unknown): boolean => typeof value === 'string';

const isAge = (value: unknown): boolean =>
  typeof value === 'string' && /^\d+[YMDhms]$/.test(value) && Number.parseInt(value, 10) > 0;

function valid(isValid: (value: unknown) => boolean, what: string): Check {
  return (value) => (isValid(value) ? undefined : `${formatJson(value)} is not a valid ${what}`);
}

function among(values: readonly unknown[], what: string): Check {
  return valid((value) => values.includes(value), what);
}

const atLeast = (least: number) => (value: unknown) => isInteger(value, least);

/** 3 GB, RabbitMQ's most. */
const MAX_SEGMENT_BYTES = 3_000_000_000;

const MASTER_LOCATORS = ['min-masters', 'client-local', 'random'];
const LEADER_LOCATORS = ['client-local', 'random', 'least-leaders', 'balanced'];

const masterLocator: Check = (value) =>
  MASTER_LOCATORS.some((known) => known === value)
    ? undefined
    : `${formatJson(value)} invalid queue-master-locator value`;

/** By key, in the order in which RabbitMQ checks them; the settings of mirrored queues come after these. */
const CHECKS: Readonly<Record<string, Check>> = {
  'queue-master-locator': masterLocator,
  'alternate-exchange': valid(isText, 'alternate exchange name'),
  // RabbitMQ 3.12 and later know it.
  'consumer-timeout': valid(atLeast(1), 'consumer timeout'),
  'dead-letter-exchange': valid(isText, 'dead letter exchange name'),
  'dead-letter-routing-key': valid(isText, 'dead letter routing key'),
  'dead-letter-strategy': among(['at-most-once', 'at-least-once'], 'dead letter strategy'),
  'delivery-limit': valid(atLeast(0), 'delivery limit'),
  expires: valid(atLeast(1), 'queue expiry'),
  'initial-cluster-size': valid(atLeast(0), 'cluster size'),
  'max-age': valid(isAge, 'max age'),
  // RabbitMQ says the same of both.
  'max-in-memory-bytes': valid(atLeast(0), 'maximum memory in bytes'),
  'max-in-memory-length': valid(atLeast(0), 'maximum memory in bytes'),
  'max-length': valid(atLeast(0), 'maximum length'),
  'max-length-bytes': valid(atLeast(0), 'maximum length in bytes'),
  'message-ttl': valid(atLeast(0), 'message TTL'),
  overflow: among(['drop-head', 'reject-publish', 'reject-publish-dlx'], 'overflow value'),
  'queue-leader-locator': among(LEADER_LOCATORS, 'queue leader locator value'),
  'queue-mode': among(['default', 'lazy'], 'queue-mode value'),
  'queue-version': among([1, 2], 'queue-version value'),
  'stream-max-segment-size-bytes': valid((value) => isInteger(value, 0, MAX_SEGMENT_BYTES), 'segment size'),
};

/** Mirrored queues: one node has nothing to mirror to, so these have no effect; but they are checked. */
const MIRROR_CHECKS: Readonly<Record<string, Check>> = {
  'ha-mode': (value, definition) => mirrorModeProblem(value, definition['ha-params']),
  'ha-params': () => undefined, // with the mode
  'ha-sync-mode': oneOf('ha-sync-mode', ['manual', 'automatic']),
  'ha-sync-batch-size': (value) =>
    isInteger(value, 1) ? undefined : `ha-sync-batch-size takes an integer greater than 0, ${formatJson(value)} given`,
  'ha-promote-on-shutdown': oneOf('ha-promote-on-shutdown', ['always', 'when-synced']),
  'ha-promote-on-failure': oneOf('ha-promote-on-failure', ['always', 'when-synced']),
};

/** All that an operator may limit. */
const OPERATOR_KEYS = new Set([
  'delivery-limit',
  'expires',
  'max-in-memory-bytes',
  'max-in-memory-length',
  'max-length',
  'max-length-bytes',
  'message-ttl',
]);

/** A policy as it is asked for, of any type yet. */
export interface PolicyRequest {
  readonly definition: Readonly<Record<string, unknown>>;
  readonly applyTo: unknown;
  readonly pattern: unknown;
  readonly priority: unknown;
}

/**
 * All that is wrong with a policy, in RabbitMQ's words and order; empty when nothing is.
 * @param compile throws when a pattern is no regular expression
 */
export function policyProblems(kind: PolicyKind, request: PolicyRequest, compile: (pattern: string) => void): string[] {
  const { definition, applyTo, pattern, priority } = request;
  const problems = [
    definitionProblem(kind, definition),
    targetProblem(applyTo),
    patternProblem(pattern, compile),
    numberProblem('priority', priority, Number.isFinite),
  ];
  return problems.filter((problem) => problem !== undefined);
}

/** What RabbitMQ says of a setting that should be a number. */
export function numberProblem(
  name: string,
  value: unknown,
  isRight: (value: unknown) => boolean = Number.isInteger,
): string | undefined {
  return isRight(value) ? undefined : `${name} should be a number, actually was ${formatJson(value)}`;
}

function definitionProblem(kind: PolicyKind, definition: PolicyRequest['definition']): string | undefined {
  const keys = Object.keys(definition).sort();
  if (keys.length === 0) return 'no policy provided';
  const isKnown = (key: string): boolean =>
    kind === 'policy' ? Object.hasOwn(CHECKS, key) || Object.hasOwn(MIRROR_CHECKS, key) : OPERATOR_KEYS.has(key);
  for (const [key, check] of Object.entries(CHECKS)) {
    const problem = Object.hasOwn(definition, key) && isKnown(key) ? check(definition[key], definition) : undefined;
    if (problem !== undefined) return problem;
  }
  const problem = kind === 'policy' ? mirrorProblem(definition) : undefined;
  if (problem !== undefined) return problem;
  const unknown = keys.filter((key) => !isKnown(key)).map((key) => formatPair(key, definition[key]));
  return unknown.length === 0 ? undefined : `[${unknown.join()}] are not recognised policy settings`;
}

function mirrorProblem(definition: PolicyRequest['definition']): string | undefined {
  const given = Object.entries(MIRROR_CHECKS).filter(([key]) => Object.hasOwn(definition, key));
  if (given.length > 0 && !Object.hasOwn(definition, 'ha-mode')) {
    return 'ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown';
  }
  for (const [key, check] of given) {
    const problem = check(definition[key], definition);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function mirrorModeProblem(mode: unknown, params: unknown): string | undefined {
  const given = params === undefined ? 'none' : formatJson(params);
  switch (mode) {
    case 'all':
      return params === undefined ? undefined : 'ha-mode="all" does not take parameters';
    case 'exactly':
      return isInteger(params, 1) ? undefined : `ha-mode="exactly" takes an integer, ${given} given`;
    case 'nodes':
      return nodesProblem(params, given);
    default:
      return `${formatJson(mode)} is not a valid ha-mode value`;
  }
}

function nodesProblem(nodes: unknown, given: string): string | undefined {
  if (!Array.isArray(nodes)) return `ha-mode="nodes" takes a list, ${given} given`;
  if (nodes.length === 0) return 'ha-mode="nodes" list must be non-empty';
  const others = nodes.filter((node) => typeof node !== 'string');
  if (others.length === 0) return undefined;
  return `ha-mode="nodes" takes a list of strings, ${formatJson(others)} was not a string`;
}

function oneOf(key: string, values: readonly [string, string]): Check {
  return (value) =>
    values.some((known) => known === value)
      ? undefined
      : `${key} must be "${values[0]}" or "${values[1]}", got ${formatJson(value)}`;
}

function targetProblem(target: unknown): string | undefined {
  if (POLICY_TARGETS.some((known) => known === target)) return undefined;
  const shown = typeof target === 'string' ? target : formatJson(target);
  const known = POLICY_TARGETS.map((name) => `'${name}'`);
  return `apply-to '${shown}' unrecognised; should be one of: ${known.slice(0, -1).join(', ')}, or ${known.at(-1)}`;
}

function patternProblem(pattern: unknown, compile: (pattern: string) => void): string | undefined {
  if (typeof pattern !== 'string') return `pattern should be a binary but was ${formatJson(pattern)}`;
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `pattern should be regular expression but is invalid: ${reason}`;
  }
}

/** A pair of an Erlang list: `{<<"message-ttl">>,1000}`. */
export function formatPair(key: string, value: unknown): string {
  return `{${formatJson(key)},${formatJson(value)}}`;
}

/** What JSON holds, as RabbitMQ prints it. */
function formatJson(value: unknown): string {
  if (typeof value === 'string') return formatTerm({ type: 'S', value });
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : formatTerm({ type: 'd', value });
  if (Array.isArray(value)) return `[${value.map(formatJson).join()}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = Object.entries(value).map(([key, field]) => `${formatJson(key)} => ${formatJson(field)}`);
  return `#{${fields.sort().join()}}`;
}
