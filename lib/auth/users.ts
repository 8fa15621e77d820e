// The users of a broker: who may log in, with what tags, and what each may do in which virtual host.
// Knows neither connections nor the wire; where definitions come from (options, a file, an API) is not its business.
import { hashPassword, verifyPassword } from './password.ts';
import { type AccessRules, Permissions } from './permissions.ts';

/** A user as it is created. */
export interface UserDefinition {
  readonly name: string;
  /** In plain text; only its salted hash is kept. A user with an empty password can't log in. */
  readonly password: string;
  readonly tags: readonly string[];
  /** Regular expressions by virtual host name. A virtual host without an entry is closed to the user. */
  readonly permissions: Readonly<Record<string, AccessRules>>;
}

/** A user that can log in. */
export interface User {
  readonly name: string;
  readonly tags: readonly string[];
  /** RabbitMQ's `rabbit_password_hashing_sha256` form, base64. */
  readonly passwordHash: string;
  /** What the user may do in a virtual host; undefined when the virtual host is closed to the user. */
  permissionsFor(vhost: string): Permissions | undefined;
}

/** Names of users are case-sensitive, as in RabbitMQ. */
export class UserStore {
  readonly #users = new Map<string, User>();
  /** Verified when there is no such user, so that the time taken doesn't tell which names exist. */
  readonly #decoyHash = hashPassword('nobody');

  /** @throws {Error} for a name that is there twice or a permission that is no regular expression */
  constructor(users: Iterable<UserDefinition> = []) {
    for (const user of users) this.add(user);
  }

  /** @throws {Error} when the name is taken or a permission is no regular expression */
  add(definition: UserDefinition): User {
    if (this.#users.has(definition.name)) throw new Error(`user '${definition.name}' already exists`);
    const user = createUser(definition);
    this.#users.set(user.name, user);
    return user;
  }

  /** False when there is no such user. Connections that are open stay open. */
  remove(name: string): boolean {
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

function createUser({ name, password, tags, permissions }: UserDefinition): User {
  const byVhost = new Map(Object.entries(permissions).map(([vhost, rules]) => [vhost, new Permissions(rules)]));
  return {
    name,
    tags: [...tags],
    passwordHash: hashPassword(password),
    permissionsFor: (vhost) => byVhost.get(vhost),
  };
}
