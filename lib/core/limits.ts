// How much a virtual host and a broker may have at once. https://www.rabbitmq.com/docs/vhosts#limits
import { BrokerError } from './errors.ts';

/** What a virtual host may have; changed while it is used. */
export class Limits {
  /** Most open connections; Infinity for no limit. */
  maxConnections = Infinity;
  /** Most queues; Infinity for no limit. */
  maxQueues = Infinity;
}

/** How many queues the virtual hosts of a broker may have together. */
export interface QueueQuota {
  /** Infinity for no limit. */
  readonly limit: number;
  /** How many there are. */
  count(): number;
}

interface LimitedHost {
  readonly name: string;
  readonly limits: Limits;
  readonly queues: { readonly size: number };
}

/** @throws {BrokerError} PRECONDITION_FAILED when there is no room for one more queue, in the virtual host or in the broker */
export function checkQueueLimits(queue: string, host: LimitedHost, quota: QueueQuota | undefined): void {
  const { maxQueues } = host.limits;
  if (host.queues.size >= maxQueues) throw limitReached(queue, `vhost '${host.name}'`, maxQueues);
  if (quota === undefined || quota.limit === Infinity) return;
  // RabbitMQ 4's text; a broker is a cluster of one.
  if (quota.count() >= quota.limit) throw limitReached(queue, 'cluster', quota.limit);
}

function limitReached(queue: string, where: string, limit: number): BrokerError {
  const text = `cannot declare queue '${queue}': queue limit in ${where} (${limit}) is reached`;
  return new BrokerError('PRECONDITION_FAILED', text);
}
