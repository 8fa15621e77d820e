// Checks the arguments of a new queue as RabbitMQ does, value by value and in its words. What they do is the queue's business.
// See https://www.rabbitmq.com/docs/queues#optional-arguments
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { queueTypeOf } from './declaration-checks.ts';
import { BrokerError } from './errors.ts';
import { fieldTypeName, integerProblem } from './field-values.ts';
import type { QueueSettings } from './queue.ts';

/** What is wrong with a value, as RabbitMQ prints it; undefined when nothing is. */
type Check = (value: FieldValue, args: FieldTable) => string | undefined;

function quoted(text: string): string {
  return `"${text}"`;
}

const notNegative: Check = (value) =>
  integerProblem(value) ?? (Number(value.value) < 0 ? `{value_negative,${value.value}}` : undefined);

const positive: Check = (value, args) =>
  notNegative(value, args) ?? (Number(value.value) === 0 ? '{value_zero,0}' : undefined);

/** Ten years. */
const MOST_MS = 315_360_000_000;

const milliseconds: Check = (value, args) =>
  notNegative(value, args) ?? (Number(value.value) > MOST_MS ? `{value_too_large,${value.value}}` : undefined);

const positiveMilliseconds: Check = (value, args) =>
  milliseconds(value, args) ?? (Number(value.value) === 0 ? '{value_zero,0}' : undefined);

const priority: Check = (value, args) =>
  notNegative(value, args) ?? (Number(value.value) > 255 ? `{max_value_exceeded,${value.value}}` : undefined);

const version: Check = (value, args) =>
  notNegative(value, args) ??
  (value.value === 1 || value.value === 2 ? undefined : quoted(`unsupported queue version '${value.value}'`));

function ofType(type: FieldValue['type'], then: Check = () => undefined): Check {
  return (value, args) =>
    value.type === type ? then(value, args) : `{unacceptable_type,${fieldTypeName(value.type)}}`;
}

const deadLetterRoutingKey = ofType('S', (_value, args) =>
  args.has('x-dead-letter-exchange') ? undefined : 'routing_key_but_no_dlx_defined',
);

function oneOf(values: readonly string[], problem: (value: unknown) => string): Check {
  return ofType('S', ({ value }) => (values.some((known) => known === value) ? undefined : problem(value)));
}

/** Where a leader is put among nodes: one node has one place, so none of them has an effect. */
const LEADER_LOCATORS = ['client-local', 'random', 'least-leaders', 'balanced'];

/**
 * In the order in which RabbitMQ checks them. A value is looked at only when the queue's type knows the argument.
 * `x-delivery-limit` is not here: RabbitMQ takes any value for it.
 */
const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ['x-queue-type', oneOf(['classic', 'quorum', 'stream'], (type) => quoted(`unsupported queue type '${type}'`))],
  ['x-expires', positiveMilliseconds],
  ['x-message-ttl', milliseconds],
  ['x-dead-letter-routing-key', deadLetterRoutingKey],
  ['x-dead-letter-strategy', oneOf(['at-most-once', 'at-least-once'], () => 'invalid_dlx_strategy')],
  ['x-max-length', notNegative],
  ['x-max-length-bytes', notNegative],
  ['x-max-in-memory-length', notNegative],
  ['x-max-in-memory-bytes', notNegative],
  ['x-max-priority', priority],
  ['x-overflow', oneOf(['drop-head', 'reject-publish', 'reject-publish-dlx'], () => 'invalid_overflow')],
  ['x-queue-mode', oneOf(['default', 'lazy'], (mode) => quoted(`unsupported queue mode '${mode}'`))],
  ['x-queue-version', version],
  ['x-single-active-consumer', ofType('t')],
  ['x-quorum-initial-group-size', positive],
  ['x-queue-leader-locator', oneOf(LEADER_LOCATORS, () => 'invalid_queue_locator_arg')],
  // RabbitMQ 3.12 and later know it, for both types; 3.10 lets any value pass.
  ['x-consumer-timeout', positive],
];

/** What the other queue types know and this one refuses, whatever the value. */
const UNSUPPORTED: Readonly<Record<string, ReadonlySet<string>>> = {
  classic: new Set([
    'x-dead-letter-strategy',
    'x-delivery-limit',
    'x-initial-cluster-size',
    'x-max-age',
    'x-max-in-memory-bytes',
    'x-max-in-memory-length',
    'x-queue-leader-locator',
    'x-quorum-initial-group-size',
    'x-stream-max-segment-size-bytes',
  ]),
  quorum: new Set([
    'x-initial-cluster-size',
    'x-max-age',
    'x-max-priority',
    'x-queue-master-locator',
    'x-queue-mode',
    'x-queue-version',
    'x-stream-max-segment-size-bytes',
  ]),
};

/**
 * Checks the values of the arguments that the queue's type knows.
 * @param resource `queue 'q' in vhost '/'`
 * @throws {BrokerError} PRECONDITION_FAILED for the first argument that is wrong
 */
export function checkQueueArguments(resource: string, args: FieldTable): void {
  if (args.size === 0) return;
  const exchange = args.get('x-dead-letter-exchange');
  if (exchange !== undefined && exchange.type !== 'S') {
    const type = fieldTypeName(exchange.type);
    throw preconditionFailed(`invalid type '${type}' for arg 'x-dead-letter-exchange' in ${resource}`);
  }
  const unsupported = UNSUPPORTED[queueTypeOf(args)];
  for (const [name, check] of CHECKS) {
    const value = args.get(name);
    if (value === undefined || unsupported?.has(name)) continue;
    const problem = check(value, args);
    if (problem !== undefined) throw invalidArgument(name, `${resource}: ${problem}`);
  }
}

/** @throws {BrokerError} PRECONDITION_FAILED for an argument that a classic queue does not know but another type does */
export function checkClassicArguments(resource: string, args: FieldTable): void {
  refuseUnsupported('classic', resource, args);
}

/** @throws {BrokerError} PRECONDITION_FAILED for an argument or a property that a quorum queue can't have */
export function checkQuorumArguments(resource: string, settings: QueueSettings): void {
  refuseUnsupported('quorum', resource, settings.arguments);
  if (settings.autoDelete) throw invalidProperty('auto-delete', resource);
  if (settings.owner !== null) throw invalidProperty('exclusive-owner', resource);
  if (!settings.durable) throw invalidProperty('non-durable', resource);
}

/**
 * What RabbitMQ looks at before everything else when a client lets it name the queue: a queue that lives on must be found again.
 * @throws {BrokerError} PRECONDITION_FAILED for a type whose queues outlive their connection
 */
export function checkServerNamed(args: FieldTable): void {
  const type = queueTypeOf(args);
  if (type !== 'quorum' && type !== 'stream') return;
  throw preconditionFailed(`Cannot declare a server-named queue for type ${moduleOf(type)}`);
}

function refuseUnsupported(type: string, resource: string, args: FieldTable): void {
  // In the client's own order, unlike the values.
  for (const name of args.keys()) {
    if (UNSUPPORTED[type]?.has(name)) throw invalidArgument(name, `${resource} of queue type ${moduleOf(type)}`);
  }
}

/** RabbitMQ names a queue type by the module that implements it. */
function moduleOf(type: string): string {
  return `rabbit_${type}_queue`;
}

function invalidArgument(name: string, where: string): BrokerError {
  return preconditionFailed(`invalid arg '${name}' for ${where}`);
}

function invalidProperty(property: string, resource: string): BrokerError {
  return preconditionFailed(`invalid property '${property}' for ${resource}`);
}

function preconditionFailed(text: string): BrokerError {
  return new BrokerError('PRECONDITION_FAILED', text);
}
