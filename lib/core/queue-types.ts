// Which queue type a declaration asks for, and its making.
import { ClassicQueue } from './classic-queue.ts';
import { queueTypeOf } from './declaration-checks.ts';
import { BrokerError, describeResource } from './errors.ts';
import type { RecoveredQueue } from './message-store.ts';
import type { Queue, QueueSettings } from './queue.ts';
import { checkClassicArguments, checkQueueArguments, checkQuorumArguments } from './queue-arguments.ts';
import type { QueueContext } from './queue-context.ts';

/**
 * Makes the queue that `settings` describe.
 * @param recovered what it was before a restart; null for a new queue
 * @throws {BrokerError} PRECONDITION_FAILED for an argument that is wrong, NOT_IMPLEMENTED for a type that is not built yet
 */
export function createQueue(settings: QueueSettings, context: QueueContext, recovered: RecoveredQueue | null): Queue {
  const resource = describeResource('queue', settings.name, context.virtualHost);
  checkQueueArguments(resource, settings.arguments);
  const type = queueTypeOf(settings.arguments);
  if (type === 'classic') checkClassicArguments(resource, settings.arguments);
  else if (type === 'quorum') checkQuorumArguments(resource, settings);
  else throw new BrokerError('NOT_IMPLEMENTED', `queue type '${type}'`);
  return new ClassicQueue(settings, context, recovered);
}
