// The arguments of basic.consume, checked as RabbitMQ checks them and in its words. It knows three, and ignores all others.
import type { FieldTable } from '../../../../codec/field-table.ts';
import { fieldTypeName, integerProblem } from '../../../core/field-values.ts';
import { AmqpError } from '../amqp-error.ts';

const PRIORITY = 'x-priority';
const CANCEL_ON_FAILOVER = 'x-cancel-on-ha-failover';
const STREAM_OFFSET = 'x-stream-offset';

/** What the other queue types know and this one refuses. */
const UNSUPPORTED: Readonly<Record<string, readonly string[]>> = {
  classic: [STREAM_OFFSET],
  quorum: [STREAM_OFFSET, CANCEL_ON_FAILOVER],
};

/**
 * @param resource `queue 'q' in vhost '/'`
 * @param queueType the type of that queue
 * @throws {AmqpError} PRECONDITION_FAILED for the first argument that is wrong
 */
export function checkConsumerArguments(resource: string, queueType: string, args: FieldTable): void {
  if (args.size === 0) return;
  const unsupported = UNSUPPORTED[queueType] ?? [];
  const priority = args.get(PRIORITY);
  const problem = priority === undefined ? undefined : integerProblem(priority);
  if (problem !== undefined) throw invalid(PRIORITY, `${resource}: ${problem}`);
  // It has no effect: there is no other node to fail over to.
  const cancels = args.get(CANCEL_ON_FAILOVER);
  if (cancels !== undefined && cancels.type !== 't' && !unsupported.includes(CANCEL_ON_FAILOVER)) {
    throw invalid(CANCEL_ON_FAILOVER, `${resource}: {unacceptable_type,${fieldTypeName(cancels.type)}}`);
  }
  for (const name of args.keys()) {
    if (unsupported.includes(name)) throw invalid(name, `${resource} of queue type rabbit_${queueType}_queue`);
  }
}

/** Of arguments that were checked. See https://www.rabbitmq.com/docs/consumer-priority */
export function priorityOf(args: FieldTable): number {
  const priority = args.get(PRIORITY);
  return priority === undefined ? 0 : Number(priority.value);
}

function invalid(name: string, where: string): AmqpError {
  return new AmqpError('PRECONDITION_FAILED', `invalid arg '${name}' for ${where}`);
}
