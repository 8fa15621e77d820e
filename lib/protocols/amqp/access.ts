// What a user may do with a resource, refused in RabbitMQ's words. See https://www.rabbitmq.com/docs/access-control
import { type AccessKind, checkAccess } from '../../auth/permissions.ts';
import { BrokerError, describeResource } from '../../core/errors.ts';
import type { Session } from './channel-host.ts';

/** The default exchange's name in permissions and texts. */
const DEFAULT_EXCHANGE = 'amq.default';

/** @throws {BrokerError} ACCESS_REFUSED when the user's permissions don't allow it. */
export function requireAccess(
  { user, virtualHost }: Pick<Session, 'user' | 'virtualHost'>,
  kind: 'queue' | 'exchange',
  name: string,
  access: AccessKind,
): void {
  const shown = kind === 'exchange' && name === '' ? DEFAULT_EXCHANGE : name;
  if (checkAccess(user, virtualHost.name, shown, access)) return;
  const resource = describeResource(kind, shown, virtualHost.name);
  throw new BrokerError('ACCESS_REFUSED', `access to ${resource} refused for user '${user.name}'`);
}
