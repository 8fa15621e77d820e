// What a program can change in a running broker: virtual hosts and users here, the rest in broker-policies.ts. Checks what it is asked
// for, does it at once, and tells when it is durable. Rules and texts are RabbitMQ's: https://www.rabbitmq.com/docs/vhosts, https://www.rabbitmq.com/docs/access-control
import { type AdminChanges, AdminError, checkName, isRecord, noUser, noVirtualHost } from './admin-changes.ts';
import { type AccessRules, Permissions } from './auth/permissions.ts';
import type { UserDirectory } from './auth/user-directory.ts';
import { EMPTY_RECORD, plainPermissions, recordOf, type UserRecord } from './auth/user-record.ts';
import type { PolicyAdministration } from './broker-policies.ts';
import { show, suggestion } from './config-error.ts';
import type { Owner } from './core/ports.ts';
import { VirtualHost, type VirtualHostContext } from './core/virtual-host.ts';
import type { Logger } from './log.ts';
import type { AmqpListener } from './protocols/amqp/amqp-listener.ts';
import { isLimited, userLimits } from './runtime-parameters.ts';
import type { DiskStore } from './storage/disk-store.ts';

/** A user of a running broker; everything but its password. */
export interface BrokerUser {
  readonly name: string;
  readonly tags: readonly string[];
  /** Regular expressions by virtual host name. A virtual host without an entry is closed to the user. */
  readonly permissions: Readonly<Record<string, AccessRules>>;
}

/** What `putUser` takes. What is left out stays as it is; of a new user it is empty. */
export interface UserChange {
  /** A text of 1 to 255 bytes; case-sensitive. */
  readonly name: string;
  /** In plain text; kept as a salted hash only. With an empty one, or none, the user can't log in with a password. */
  readonly password?: string | undefined;
  /** `administrator`, `monitoring`, `management`, `policymaker`, `impersonator` or any other; they replace those there are. */
  readonly tags?: readonly string[] | undefined;
  /**
   * Regular expressions by virtual host name, as in the option `users`; null closes a virtual host to the user. Those that are not
   * named stay as they are.
   */
  readonly permissions?: Readonly<Record<string, AccessRules | null>> | undefined;
}

/** The part of a broker that changes what there is. */
export interface Administration extends PolicyAdministration {
  /** Names of the virtual hosts that there are now. */
  readonly virtualHosts: readonly string[];
  /** The users that there are now, without their passwords. */
  readonly users: readonly BrokerUser[];
  /**
   * Makes a virtual host, if it isn't there yet. As with `rabbitmqctl add_vhost` nobody has permissions on it: see `putUser`.
   * It stays until it is deleted, restarts included when there is a data folder. Done at once; resolves when it is durable.
   * @param name a text of 1 to 255 bytes
   * @throws {AdminError}
   */
  createVirtualHost(name: string): Promise<void>;
  /**
   * Deletes a virtual host with its queues, exchanges, messages, policies and limits, and everybody's permissions on it. As in
   * RabbitMQ its consumers are cancelled and its connections closed, with 320 CONNECTION_FORCED "vhost 'name' is deleted". One that
   * the configuration names is there again after a restart, empty. Done at once; resolves when it is durable.
   * @throws {AdminError} `not-found`
   */
  deleteVirtualHost(name: string): Promise<void>;
  /**
   * Makes a user, or changes the one of this name, as rabbitmqctl's add_user, change_password, set_user_tags, set_permissions and
   * clear_permissions do. Open connections stay open, and what they may do follows the change; an open channel may go on
   * publishing to the exchange that it published to last. Done at once; resolves when it is durable.
   *
   * Users made here come back from the data folder after a restart. Of a user that the configuration names, what was changed here
   * holds until the configuration says something new of the same thing: the password, the tags, the permissions on a virtual host.
   * @throws {AdminError} `invalid`; `not-found` when a virtual host is named that isn't there
   */
  putUser(user: UserChange): Promise<void>;
  /**
   * Deletes a user with its limits. As in RabbitMQ its connections are closed, with 320 CONNECTION_FORCED "user 'name' is deleted". One that the
   * configuration names stays deleted until the configuration gives it another password, or `putUser` makes it again; the default
   * user until `putUser` does. Done at once; resolves when it is durable.
   * @throws {AdminError} `not-found`
   */
  deleteUser(name: string): Promise<void>;
}

export interface BrokerAdminParts {
  /** Of all protocols; changed here alone. */
  readonly virtualHosts: Map<string, VirtualHost>;
  /** What new virtual hosts are made with. */
  readonly context: VirtualHostContext;
  readonly directory: UserDirectory;
  /** Null where everything is in memory. */
  readonly store: DiskStore | null;
  readonly listener: Pick<AmqpListener, 'closeConnections'>;
  readonly changes: AdminChanges;
  readonly logger: Logger;
}

/** Stands for nobody: a queue that is not exclusive can be deleted by anyone. */
const NOBODY: Owner = { ownedQueues: new Set() };
const USER_KEYS = ['name', 'password', 'tags', 'permissions'];

/** What an operator who knows the configuration alone might not expect. */
export function tellOfUsers({ overridden: { changed, deleted }, users }: UserDirectory, logger: Logger): void {
  if (changed.length > 0) {
    logger.warn({ names: changed }, 'users of the configuration were changed at run time, which holds');
  }
  if (deleted.length > 0) {
    const remedy = 'give them another password in the configuration, or create them at run time';
    logger.warn(
      { names: deleted },
      `users of the configuration were deleted at run time, which holds; to have them, ${remedy}`,
    );
  }
  if (users.list().length === 0)
    logger.warn({}, 'there is no user, so nobody can log in: name one in the configuration');
}

export class BrokerAdmin implements Omit<Administration, keyof PolicyAdministration> {
  readonly #parts: BrokerAdminParts;

  constructor(parts: BrokerAdminParts) {
    this.#parts = parts;
  }

  get virtualHosts(): readonly string[] {
    return [...this.#parts.virtualHosts.keys()];
  }

  get users(): readonly BrokerUser[] {
    return this.#parts.directory.users
      .list()
      .map(({ name, tags, permissions }) => ({ name, tags: [...tags], permissions: plainPermissions(permissions) }));
  }

  async createVirtualHost(name: string): Promise<void> {
    this.#parts.changes.check();
    checkName(name, 'a virtual host');
    const { virtualHosts, context, store, logger } = this.#parts;
    if (!virtualHosts.has(name)) {
      virtualHosts.set(name, new VirtualHost(name, context));
      store?.virtualHostCreated(name);
      logger.info({ vhost: name }, 'virtual host created');
    }
    await this.#parts.changes.durable();
  }

  async deleteVirtualHost(name: string): Promise<void> {
    this.#parts.changes.check();
    const { virtualHosts, directory, store, listener, logger } = this.#parts;
    const virtualHost = virtualHosts.get(name);
    if (virtualHost === undefined) throw noVirtualHost(name);
    // All of it in one turn, and so in one record of the log: after a crash it is there as it was, or not at all.
    virtualHosts.delete(name);
    virtualHost.stop();
    for (const { name: queue, settings } of [...virtualHost.queues.values()]) {
      virtualHost.deleteQueue(queue, { ifUnused: false, ifEmpty: false }, settings.owner ?? NOBODY);
    }
    // Those that every virtual host has as well, for the bindings between them.
    for (const exchange of [...virtualHost.exchanges.keys()]) virtualHost.deleteExchange(exchange, false);
    store?.virtualHostDeleted(name);
    directory.virtualHostDeleted(name);
    listener.closeConnections((session) => session.virtualHost === virtualHost, `vhost '${name}' is deleted`);
    logger.info({ vhost: name }, 'virtual host deleted');
    await this.#parts.changes.durable();
  }

  async putUser(change: UserChange): Promise<void> {
    this.#parts.changes.check();
    const { directory, logger } = this.#parts;
    const { name } = checkShape(change);
    const known = directory.users.get(name);
    directory.put(name, this.#changed(change, known ?? EMPTY_RECORD));
    logger.info({ user: name }, known === undefined ? 'user created' : 'user changed');
    await this.#parts.changes.durable();
  }

  async deleteUser(name: string): Promise<void> {
    this.#parts.changes.check();
    const { directory, store, listener, logger } = this.#parts;
    const user = directory.users.get(name);
    if (user === undefined) throw noUser(name);
    directory.remove(name);
    if (isLimited(user.limits)) store?.parameterCleared('', userLimits(user).component, name);
    listener.closeConnections((session) => session.user === user, `user '${name}' is deleted`);
    logger.info({ user: name }, 'user deleted');
    await this.#parts.changes.durable();
  }

  #changed({ password, tags, permissions }: UserChange, before: UserRecord): UserRecord {
    const rules = new Map(before.permissions);
    for (const [vhost, change] of Object.entries(permissions ?? {})) {
      if (!this.#parts.virtualHosts.has(vhost)) throw noVirtualHost(vhost);
      if (change === null) rules.delete(vhost);
      else rules.set(vhost, compileRules(change, vhost));
    }
    return {
      passwordHash:
        password === undefined ? before.passwordHash : recordOf({ password, tags: [], permissions: {} }).passwordHash,
      tags: tags === undefined ? before.tags : [...new Set(tags)],
      permissions: rules,
    };
  }
}

/** Checks all that can be checked of a change by itself. No message ever shows a password. */
function checkShape(change: UserChange): UserChange {
  if (!isRecord(change)) throw new AdminError('invalid', 'a user is { name, password?, tags?, permissions? }');
  for (const key of Object.keys(change)) {
    if (USER_KEYS.includes(key)) continue;
    throw new AdminError('invalid', `a user has no ${show(key)}${suggestion(key, USER_KEYS)}`);
  }
  const { name, password, tags, permissions } = change;
  checkName(name, 'a user');
  if (password !== undefined && typeof password !== 'string') {
    throw new AdminError('invalid', `the password of user ${show(name)} is no text`);
  }
  if (tags !== undefined && !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag !== ''))) {
    throw new AdminError('invalid', `the tags of user ${show(name)} are no list of texts`);
  }
  if (permissions !== undefined && !isRecord(permissions)) {
    throw new AdminError(
      'invalid',
      `the permissions of user ${show(name)} are not { <vhost>: { configure, write, read } }`,
    );
  }
  return change;
}

function compileRules(rules: unknown, vhost: string): Permissions {
  const { configure, write, read } = isRecord(rules) ? rules : {};
  if (typeof configure !== 'string' || typeof write !== 'string' || typeof read !== 'string') {
    throw new AdminError(
      'invalid',
      `the permissions on ${show(vhost)} are not { configure, write, read }, three texts`,
    );
  }
  try {
    return new Permissions({ configure, write, read });
  } catch (error) {
    throw new AdminError('invalid', error instanceof Error ? error.message : String(error));
  }
}
