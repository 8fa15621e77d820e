// Which users there are, and what is written down of them. Users come from the configuration, which speaks at every start, and
// from what was done at run time, which the data folder remembers.
//
// A user that the configuration names is made as it says, and not written down unless it is changed or deleted at run time;
// that is remembered together with what the configuration said, and holds until it says something new (see `reconcile`). When
// the configuration doesn't name the user any more, the user is gone, whatever was changed: what is remembered sleeps. A user
// that was made at run time comes from the folder; when the configuration names it later, the configuration takes it over.
//
// The default user stands in for a configuration that says nothing of users. As RabbitMQ does, it is made where there is no user
// yet, which it must be seen from the folder: so the folder remembers it from then on like a configured one that was changed.
import {
  decodeKeptUser,
  EMPTY_RECORD,
  encodeKeptUser,
  type KeptUser,
  reconcile,
  type UserDefinition,
  type UserRecord,
  withoutVirtualHost,
} from './user-record.ts';
import { type User, UserStore } from './users.ts';

/** A user as the data folder holds it. */
export interface UserEntry {
  readonly name: string;
  readonly json: Buffer;
}

/** Where changes are written down. */
export interface UserJournal {
  userChanged(user: UserEntry): void;
  userDeleted(name: string): void;
}

export interface UserSources {
  /** What the configuration says. */
  readonly definitions: readonly UserDefinition[];
  /** The configuration says nothing of users: the definitions are of those that stand in for it. */
  readonly isDefault: boolean;
  /** What the data folder remembers. */
  readonly entries: Iterable<UserEntry>;
  /** Null where everything is in memory. */
  readonly journal: UserJournal | null;
}

export class UserDirectory {
  readonly users = new UserStore();
  readonly #journal: UserJournal | null;
  /** What the data folder holds, those who sleep included. */
  readonly #kept = new Map<string, KeptUser>();
  /** What the configuration says now. */
  readonly #configured = new Map<string, UserRecord>();

  /** @throws {Error} when an entry can't be read */
  constructor({ definitions, isDefault, entries, journal }: UserSources) {
    this.#journal = journal;
    for (const { name, json } of entries) this.#kept.set(name, decode(name, json));
    const isNew = this.#kept.size === 0;
    for (const definition of definitions) {
      const isRemembered = this.#kept.get(definition.name)?.configured != null;
      if (isDefault && !isNew && !isRemembered) continue;
      const user = this.#configure(definition);
      if (isDefault && isNew) this.#keep(definition.name, user);
    }
    for (const [name, { configured, current }] of this.#kept) {
      if (configured === null && current !== null) this.users.put(name, current);
    }
  }

  /** Users of the configuration whose changes at run time hold still, and those whose deletion does. */
  get overridden(): { readonly changed: readonly string[]; readonly deleted: readonly string[] } {
    const changed: string[] = [];
    const deleted: string[] = [];
    for (const [name, configured] of this.#configured) {
      const kept = this.#kept.get(name);
      if (kept === undefined) continue;
      if (kept.current === null) deleted.push(name);
      else if (!encodeKeptUser({ configured: null, current: configured }).equals(encodeCurrent(kept)))
        changed.push(name);
    }
    return { changed, deleted };
  }

  /** What a checkpoint holds of users. */
  *entries(): Generator<UserEntry> {
    for (const [name, kept] of this.#kept) yield { name, json: encodeKeptUser(kept) };
  }

  /** Makes a user, or makes the one of this name what is given. */
  put(name: string, record: UserRecord): User {
    this.#keep(name, { configured: this.#configured.get(name) ?? null, current: record });
    return this.users.put(name, record);
  }

  /** False when there is no such user. */
  remove(name: string): boolean {
    if (!this.users.remove(name)) return false;
    const configured = this.#configured.get(name);
    if (configured === undefined) this.#forget(name);
    else this.#keep(name, { configured, current: null });
    return true;
  }

  /**
   * A virtual host is deleted: nobody has permissions on it any more, as in RabbitMQ, not even when it is made again. If it is the
   * configuration that makes it again, at the next start, then its permissions come with it: so what was remembered of what the
   * configuration said goes as well.
   */
  virtualHostDeleted(vhost: string): void {
    for (const { name } of this.users.list()) this.#close(name, vhost);
    for (const [name, { configured, current }] of this.#kept) {
      const kept = {
        configured: configured === null ? null : withoutVirtualHost(configured, vhost),
        current: current === null ? null : withoutVirtualHost(current, vhost),
      };
      if (kept.configured !== configured || kept.current !== current) this.#keep(name, kept);
    }
    for (const [name, configured] of this.#configured) {
      this.#configured.set(name, withoutVirtualHost(configured, vhost));
    }
  }

  #close(name: string, vhost: string): void {
    const { passwordHash, tags, permissions } = this.users.get(name) ?? EMPTY_RECORD;
    if (permissions.has(vhost)) this.users.put(name, withoutVirtualHost({ passwordHash, tags, permissions }, vhost));
  }

  #configure(definition: UserDefinition): KeptUser {
    const { name } = definition;
    const kept = this.#kept.get(name);
    const user = reconcile(definition, kept);
    const { configured, current } = user;
    if (configured !== null) this.#configured.set(name, configured);
    if (current !== null) this.users.put(name, current);
    if (kept !== undefined && kept.configured === null) this.#forget(name);
    else if (kept !== undefined && !encodeKeptUser(user).equals(encodeKeptUser(kept))) this.#keep(name, user);
    return user;
  }

  #keep(name: string, user: KeptUser): void {
    this.#kept.set(name, user);
    this.#journal?.userChanged({ name, json: encodeKeptUser(user) });
  }

  #forget(name: string): void {
    this.#kept.delete(name);
    this.#journal?.userDeleted(name);
  }
}

function encodeCurrent({ current }: KeptUser): Buffer {
  return encodeKeptUser({ configured: null, current });
}

function decode(name: string, json: Buffer): KeptUser {
  try {
    return decodeKeptUser(json);
  } catch (error) {
    // Never with what could not be read, which may be a hash.
    const reason = error instanceof SyntaxError ? 'its JSON or a permission is broken' : String(error);
    throw new Error(`user '${name}' of the data folder can't be read: ${reason}`);
  }
}
