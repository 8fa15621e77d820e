// Checks the arguments of a new queue as RabbitMQ does, value by value and in its words. What they do is the queue's business.
// See https://www.rabbitmq.com/docs/queues#optional-arguments
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { BrokerError } from './errors.ts';
import { fieldTypeName, integerProblem } from './field-values.ts';

/** What is wrong with a value, as RabbitMQ prints it; undefined when nothing is. */
type Check = (value: FieldValue, args: FieldTable) => string | undefined;

function quoted(text: string): string {
  return `"${text}"`;
}

const notNegative: Check = (value) =>
  integerProblem(value) ?? (Number(value.value) < 0 ? `{value_negative,${value.value}}` : undefined);

const positive: Check = (value, args) =>
  notNegative(value, args) ?? (Number(value.value) === 0 ? '{value_zero,0}' : undefined);

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

/** In the order in which RabbitMQ checks them. */
const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ['x-expires', positive],
  ['x-message-ttl', notNegative],
  ['x-dead-letter-routing-key', deadLetterRoutingKey],
  ['x-max-length', notNegative],
  ['x-max-length-bytes', notNegative],
  ['x-max-priority', priority],
  ['x-overflow', oneOf(['drop-head', 'reject-publish', 'reject-publish-dlx'], () => 'invalid_overflow')],
  ['x-queue-mode', oneOf(['default', 'lazy'], (mode) => quoted(`unsupported queue mode '${mode}'`))],
  ['x-queue-version', version],
  ['x-single-active-consumer', ofType('t')],
  ['x-queue-type', oneOf(['classic', 'quorum', 'stream'], (type) => quoted(`unsupported queue type '${type}'`))],
];

/** What only other queue types know. */
const NOT_FOR_CLASSIC = [
  'x-dead-letter-strategy',
  'x-delivery-limit',
  'x-initial-cluster-size',
  'x-max-age',
  'x-max-in-memory-bytes',
  'x-max-in-memory-length',
  'x-queue-leader-locator',
  'x-quorum-initial-group-size',
  'x-stream-max-segment-size-bytes',
];

/**
 * @param resource `queue 'q' in vhost '/'`
 * @throws {BrokerError} PRECONDITION_FAILED for the first argument that is wrong
 */
export function checkQueueArguments(resource: string, args: FieldTable): void {
  if (args.size === 0) return;
  const exchange = args.get('x-dead-letter-exchange');
  if (exchange !== undefined && exchange.type !== 'S') {
    const type = fieldTypeName(exchange.type);
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `invalid type '${type}' for arg 'x-dead-letter-exchange' in ${resource}`,
    );
  }
  for (const [name, check] of CHECKS) {
    const value = args.get(name);
    const problem = value === undefined ? undefined : check(value, args);
    if (problem !== undefined) throw invalidArgument(name, `${resource}: ${problem}`);
  }
}

/** @throws {BrokerError} PRECONDITION_FAILED for an argument that a classic queue does not know but another type does */
export function checkClassicArguments(resource: string, args: FieldTable): void {
  const unknown = NOT_FOR_CLASSIC.find((name) => args.has(name));
  if (unknown !== undefined) throw invalidArgument(unknown, `${resource} of queue type rabbit_classic_queue`);
}

function invalidArgument(name: string, where: string): BrokerError {
  return new BrokerError('PRECONDITION_FAILED', `invalid arg '${name}' for ${where}`);
}
