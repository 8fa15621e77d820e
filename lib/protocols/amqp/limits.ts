// How many connections and channels a virtual host and a user may have, and how many they have. A limit that is lowered closes
// nothing: it is looked at when one more is opened. See https://www.rabbitmq.com/docs/vhosts#limits, https://www.rabbitmq.com/docs/user-limits
import type { User } from '../../auth/users.ts';
import type { VirtualHost } from '../../core/virtual-host.ts';
import { AmqpError } from './amqp-error.ts';

/** Why one more connection is too many, in RabbitMQ's words; undefined when it is not. */
export function connectionRefusal({ name, limits, inUse }: User, virtualHost: VirtualHost): string | undefined {
  const { maxConnections } = virtualHost.limits;
  if (virtualHost.connectionCount >= maxConnections) {
    return `access to vhost '${virtualHost.name}' refused for user '${name}': connection limit (${maxConnections}) is reached`;
  }
  if (inUse.connections >= limits.maxConnections) {
    return `connection refused for user '${name}': user connection limit (${limits.maxConnections}) is reached`;
  }
  return undefined;
}

export function countConnection(user: User, virtualHost: VirtualHost): void {
  user.inUse.connections++;
  virtualHost.connectionCount++;
}

/** The very end of a connection that was counted: while it is being closed, it counts. */
export function uncountConnection(user: User, virtualHost: VirtualHost): void {
  user.inUse.connections--;
  virtualHost.connectionCount--;
}

/** @throws {AmqpError} NOT_ALLOWED, which closes the connection, when one more channel is too many */
export function checkChannelLimit({ name, limits, inUse }: User): void {
  if (inUse.channels < limits.maxChannels) return;
  const text = `number of channels opened for user '${name}' has reached the maximum allowed user limit of (${limits.maxChannels})`;
  throw new AmqpError('NOT_ALLOWED', text, 0);
}
