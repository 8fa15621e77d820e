// The users of a broker as they are now: who may log in, with what tags, and what each may do in which virtual host.
// Knows neither connections nor the wire; where users come from (options, a data folder, an API) is not its business.
import { hashPassword, verifyPassword } from './password.ts';
import type { Permissions } from './permissions.ts';
import { EMPTY_RECORD, recordOf, type UserDefinition, type UserRecord } from './user-record.ts';

export type { UserDefinition } from './user-record.ts';

/** What one user may have open at once, over all virtual hosts; changed while it is used. */
export interface UserLimits {
  /** Most open connections; Infinity for no limit. */
  maxConnections: number;
  /** Most open channels of all its connections; Infinity for no limit. */
  maxChannels: number;
}

/** What one user has open now, over all virtual hosts; kept by the protocols. */
export interface UserUsage {
  connections: number;
  /** Of all its connections. */
  channels: number;
}

/** A user that can log in. Whoever holds one sees its changes: nothing of it is worth keeping beside it. */
export interface User {
  readonly name: string;
  readonly tags: readonly string[];
  /** RabbitMQ's `rabbit_password_hashing_sha256` form, base64; empty when no password opens. */
  readonly passwordHash: string;
  /** By virtual host. */
  readonly permissions: ReadonlyMap<string, Permissions>;
  readonly limits: UserLimits;
  readonly inUse: UserUsage;
  /** What the user may do in a virtual host; undefined when the virtual host is closed to the user. */
  permissionsFor(vhost: string): Permissions | undefined;
}

class LiveUser implements User {
  readonly name: string;
  readonly limits: UserLimits = { maxConnections: Infinity, maxChannels: Infinity };
  readonly inUse: UserUsage = { connections: 0, channels: 0 };
  record: UserRecord;

  constructor(name: string, record: UserRecord) {
    this.name = name;
    this.record = record;
  }

  get tags(): readonly string[] {
    return this.record.tags;
  }

  get passwordHash(): string {
    return this.record.passwordHash;
  }

  get permissions(): ReadonlyMap<string, Permissions> {
    return this.record.permissions;
  }

  permissionsFor(vhost: string): Permissions | undefined {
    return this.record.permissions.get(vhost);
  }
}

/** Names of users are case-sensitive, as in RabbitMQ. */
export class UserStore {
  readonly #users = new Map<string, LiveUser>();
  /** Verified when there is no such user, so that the time taken doesn't tell which names exist. */
  readonly #decoyHash = hashPassword('nobody');

  /** @throws {Error} for a name that is there twice or a permission that is no regular expression */
  constructor(users: Iterable<UserDefinition> = []) {
    for (const user of users) this.add(user);
  }

  /** @throws {Error} when the name is taken or a permission is no regular expression */
  add(definition: UserDefinition): User {
    if (this.#users.has(definition.name)) throw new Error(`user '${definition.name}' already exists`);
    return this.put(definition.name, recordOf(definition));
  }

  /** Makes a user, or makes the one of this name what is given: its open connections see the change at once. */
  put(name: string, record: UserRecord): User {
    const known = this.#users.get(name);
    if (known !== undefined) {
      known.record = record;
      return known;
    }
    const user = new LiveUser(name, record);
    this.#users.set(name, user);
    return user;
  }

  /** False when there is no such user. Connections that are open stay open, and may do nothing any more. */
  remove(name: string): boolean {
    const user = this.#users.get(name);
    if (user === undefined) return false;
    user.record = EMPTY_RECORD;
    return this.#users.delete(name);
  }

  get(name: string): User | undefined {
    return this.#users.get(name);
  }

  /** The users in the order in which they were added. */
  list(): User[] {
    return [...this.#users.values()];
  }

  /** The user with this name and password, or undefined. An empty password is always refused. */
  authenticate(name: string, password: string): User | undefined {
    const user = this.#users.get(name);
    const isRight = verifyPassword(password, user?.passwordHash ?? this.#decoyHash);
    return isRight ? user : undefined;
  }
}
