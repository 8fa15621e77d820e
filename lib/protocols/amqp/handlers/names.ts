// Names as methods give them: what RabbitMQ strips, reserves and lets a channel leave out.
import { BrokerError } from '../../../core/errors.ts';
import type { Channel } from '../channel.ts';

const RESERVED_PREFIX = 'amq.';

/** RabbitMQ takes line breaks out of the names of queues and exchanges. */
export function cleanName(name: string): string {
  return /[\r\n]/.test(name) ? name.replace(/[\r\n]/g, '') : name;
}

/** The queue that a method means: an empty name is the one declared last on the channel. @throws {BrokerError} NOT_FOUND */
export function queueNameOf(channel: Channel, name: string): string {
  if (name !== '') return cleanName(name);
  if (channel.lastQueueName !== '') return channel.lastQueueName;
  throw new BrokerError('NOT_FOUND', 'no previously declared queue');
}

/** @throws {BrokerError} ACCESS_REFUSED for a name that only the broker may make up. */
export function refuseReservedName(kind: 'queue' | 'exchange', name: string): void {
  if (!name.startsWith(RESERVED_PREFIX)) return;
  throw new BrokerError('ACCESS_REFUSED', `${kind} name '${name}' contains reserved prefix 'amq.*'`);
}

/** @throws {BrokerError} ACCESS_REFUSED for what can't be done to the default exchange. */
export function refuseDefaultExchange(...names: string[]): void {
  if (!names.includes('')) return;
  throw new BrokerError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
}

/** @throws {BrokerError} ACCESS_REFUSED for the deletion of an exchange that every virtual host has. */
export function refuseSystemExchange(name: string, virtualHost: string): void {
  if (!name.startsWith(RESERVED_PREFIX)) return;
  throw new BrokerError(
    'ACCESS_REFUSED',
    `deletion of system exchange '${name}' in vhost '${virtualHost}' not allowed`,
  );
}
