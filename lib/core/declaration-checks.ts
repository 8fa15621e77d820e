// Compares a declaration with what exists, in RabbitMQ's words: clients match on them.
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { formatTerm } from '../../exchanges/field-value.ts';
import { BrokerError } from './errors.ts';
import type { ExchangeSettings } from './exchange.ts';
import { fieldTypeName, isInteger } from './field-values.ts';
import type { QueueSettings } from './queue.ts';

const QUEUE_TYPE = 'x-queue-type';

/** The arguments of an exchange that must be equal as well when it is declared again, by its type. The plug-in compares none. */
const EXCHANGE_ARGUMENTS: Readonly<Record<string, readonly string[]>> = { 'x-delayed-message': ['x-delayed-type'] };

/** The arguments of a queue that must be equal when it is declared again, by its type, in the order in which RabbitMQ checks them. */
const QUEUE_ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  classic: [
    'x-expires',
    'x-message-ttl',
    'x-dead-letter-exchange',
    'x-dead-letter-routing-key',
    'x-max-length',
    'x-max-length-bytes',
    'x-max-priority',
    'x-overflow',
    'x-queue-mode',
    'x-queue-version',
    'x-single-active-consumer',
    QUEUE_TYPE,
    'x-queue-master-locator',
  ],
  quorum: [
    'x-dead-letter-exchange',
    'x-dead-letter-routing-key',
    'x-dead-letter-strategy',
    'x-expires',
    'x-max-length',
    'x-max-length-bytes',
    'x-max-in-memory-length',
    'x-max-in-memory-bytes',
    'x-overflow',
    'x-single-active-consumer',
    QUEUE_TYPE,
    'x-quorum-initial-group-size',
    'x-delivery-limit',
    'x-message-ttl',
    'x-queue-leader-locator',
  ],
};

function inequivalent(argument: string, resource: string, difference: string): BrokerError {
  return new BrokerError('PRECONDITION_FAILED', `inequivalent arg '${argument}' for ${resource}: ${difference}`);
}

function assertEqual(argument: string, resource: string, received: unknown, current: unknown): void {
  if (received === current) return;
  throw inequivalent(argument, resource, `received '${received}' but current is '${current}'`);
}

/** @throws {BrokerError} PRECONDITION_FAILED when `received` declares something else than the `current` exchange. */
export function assertSameExchange(resource: string, received: ExchangeSettings, current: ExchangeSettings): void {
  assertEqual('type', resource, received.type, current.type);
  assertEqual('durable', resource, received.durable, current.durable);
  assertEqual('auto_delete', resource, received.autoDelete, current.autoDelete);
  assertEqual('internal', resource, received.internal, current.internal);
  assertSameArgument('alternate-exchange', resource, received.arguments, current.arguments);
  for (const name of EXCHANGE_ARGUMENTS[current.type] ?? []) {
    assertSameArgument(name, resource, received.arguments, current.arguments);
  }
}

/** @throws {BrokerError} PRECONDITION_FAILED when `received` declares something else than the `current` queue. */
export function assertSameQueue(resource: string, received: QueueSettings, current: QueueSettings): void {
  // An exclusive queue goes with its connection, so RabbitMQ counts it as not durable, whatever was asked for.
  if (current.owner === null) assertEqual('durable', resource, received.durable, current.durable);
  assertEqual('auto_delete', resource, received.autoDelete, current.autoDelete);
  const currentType = queueTypeOf(current.arguments);
  // What only another type knows means nothing to a queue that exists, so it is not compared.
  for (const name of QUEUE_ARGUMENTS[currentType] ?? [QUEUE_TYPE]) {
    if (name === QUEUE_TYPE && queueTypeOf(received.arguments) === currentType) continue;
    assertSameArgument(name, resource, received.arguments, current.arguments);
  }
}

/** The queue type that the arguments of a declaration ask for: `classic` when they say nothing. */
export function queueTypeOf(args: FieldTable): string {
  const type = args.get(QUEUE_TYPE);
  return type === undefined ? 'classic' : show(type);
}

function assertSameArgument(name: string, resource: string, received: FieldTable, current: FieldTable): void {
  const receivedValue = received.get(name);
  const currentValue = current.get(name);
  if (receivedValue === undefined && currentValue === undefined) return;
  if (receivedValue === undefined || currentValue === undefined) {
    const difference = `received ${describe(receivedValue)} but current is ${describe(currentValue)}`;
    throw inequivalent(name, resource, difference);
  }
  if (typeClass(receivedValue) === typeClass(currentValue) && show(receivedValue) === show(currentValue)) return;
  throw inequivalent(name, resource, `received '${show(receivedValue)}' but current is '${show(currentValue)}'`);
}

/** Integers of every width are of one class: RabbitMQ compares their values. */
function typeClass(value: FieldValue): string {
  return isInteger(value) ? 'integer' : value.type;
}

function describe(value: FieldValue | undefined): string {
  return value === undefined ? 'none' : `the value '${show(value)}' of type '${fieldTypeName(value.type)}'`;
}

/** A value as RabbitMQ puts it in a text: strings as they are, the rest as Erlang terms. */
function show(value: FieldValue): string {
  if (value.type === 'S') return value.value;
  if (value.type === 'x') return value.value.toString('latin1');
  return formatTerm(value);
}
