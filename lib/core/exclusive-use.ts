// Who may consume a queue beside its consumers, in RabbitMQ's words.
import type { Consumer } from './consumer.ts';
import type { ConsumerGroup } from './consumer-ring.ts';
import { BrokerError, describeResource } from './errors.ts';
import { SingleActive } from './single-active.ts';

/** @throws {BrokerError} RESOURCE_LOCKED when one consumer at a time may use a quorum queue: nobody gets messages beside it */
export function checkQuorumGet(queue: string, virtualHost: string, consumers: ConsumerGroup): void {
  if (!(consumers instanceof SingleActive)) return;
  const resource = describeResource('queue', queue, virtualHost);
  const reason = 'basic.get operations are not supported by quorum queues with single active consumer';
  throw new BrokerError('RESOURCE_LOCKED', `cannot obtain access to locked ${resource}. ${reason}`);
}

/** @throws {BrokerError} ACCESS_REFUSED when one of the consumers, or the new one, wants the queue for itself */
export function checkConsumer(
  queue: string,
  virtualHost: string,
  consumers: ConsumerGroup,
  newcomer: Pick<Consumer, 'exclusive'>,
): void {
  const { first } = consumers;
  // An exclusive consumer and others that wait to take over exclude each other.
  const isAlone = first === undefined && !(consumers instanceof SingleActive);
  if (isAlone || (!newcomer.exclusive && first?.exclusive !== true)) return;
  throw new BrokerError('ACCESS_REFUSED', `${describeResource('queue', queue, virtualHost)} in exclusive use`);
}
