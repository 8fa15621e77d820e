// Which queue type a declaration asks for, and its making.
import { ClassicQueue, type QueueContext } from './classic-queue.ts';
import { queueTypeOf } from './declaration-checks.ts';
import { BrokerError, describeResource } from './errors.ts';
import type { Queue, QueueSettings } from './queue.ts';

/**
 * Makes the queue that `settings` describe.
 * @throws {BrokerError} PRECONDITION_FAILED for an unknown `x-queue-type`, NOT_IMPLEMENTED for one that is not built yet
 */
export function createQueue(settings: QueueSettings, context: QueueContext): Queue {
  const type = queueTypeOf(settings.arguments);
  if (type === 'classic') return new ClassicQueue(settings, context);
  if (type === 'quorum' || type === 'stream') throw new BrokerError('NOT_IMPLEMENTED', `queue type '${type}'`);
  const resource = describeResource('queue', settings.name, context.virtualHost);
  const problem = `"unsupported queue type '${type}'"`;
  throw new BrokerError('PRECONDITION_FAILED', `invalid arg 'x-queue-type' for ${resource}: ${problem}`);
}
