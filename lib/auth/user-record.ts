// What is known of one user, how that is kept in a data folder, and what becomes of it when the configuration speaks of the
// same user again at the next start.
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

/** All that is known of a user but its name. */
export interface UserRecord {
  /** RabbitMQ's `rabbit_password_hashing_sha256` form, base64; empty when the user can't log in with a password. */
  readonly passwordHash: string;
  readonly tags: readonly string[];
  /** By virtual host; one without an entry is closed to the user. */
  readonly permissions: ReadonlyMap<string, Permissions>;
}

/** What a data folder remembers of a user. */
export interface KeptUser {
  /** What the configuration said of the user when this was written; null for a user that was made at run time. */
  readonly configured: UserRecord | null;
  /** What holds; null when the user was deleted, which is remembered of those that the configuration would make again. */
  readonly current: UserRecord | null;
}

export const EMPTY_RECORD: UserRecord = { passwordHash: '', tags: [], permissions: new Map() };

/** The only one there is so far; named in the folder, so that another can be added. */
const HASHING_ALGORITHM = 'rabbit_password_hashing_sha256';

/** @throws {SyntaxError} when a permission is no regular expression */
export function recordOf({ password, tags, permissions }: Omit<UserDefinition, 'name'>): UserRecord {
  return {
    passwordHash: password === '' ? '' : hashPassword(password),
    tags: [...tags],
    permissions: new Map(Object.entries(permissions).map(([vhost, rules]) => [vhost, new Permissions(rules)])),
  };
}

/** The same user with one virtual host less; the same object when that was closed to it anyway. */
export function withoutVirtualHost(record: UserRecord, vhost: string): UserRecord {
  if (!record.permissions.has(vhost)) return record;
  const permissions = new Map(record.permissions);
  permissions.delete(vhost);
  return { ...record, permissions };
}

/**
 * What holds for a user that the configuration names, given what the data folder remembers of it. What was changed at run
 * time holds until the configuration itself says something new of the same thing: the password, the tags, the permissions on a
 * virtual host. So a restart alone never brings back what was taken away. A deletion holds until the password is another one.
 * @param kept undefined when nothing is remembered
 */
export function reconcile(definition: UserDefinition, kept: KeptUser | undefined): KeptUser {
  const fresh = recordOf(definition);
  const before = kept?.configured ?? null;
  if (kept === undefined || before === null) return { configured: fresh, current: fresh };
  const isSamePassword =
    before.passwordHash === fresh.passwordHash || verifyPassword(definition.password, before.passwordHash);
  // Hashes of the same password differ, so the one that is kept stays: the next start need not write it again.
  const configured = isSamePassword ? { ...fresh, passwordHash: before.passwordHash } : fresh;
  const { current } = kept;
  if (current === null) return { configured, current: isSamePassword ? null : configured };
  return {
    configured,
    current: {
      passwordHash: isSamePassword ? current.passwordHash : configured.passwordHash,
      tags: isSameList(before.tags, configured.tags) ? current.tags : configured.tags,
      permissions: reconcilePermissions(before, configured, current),
    },
  };
}

function reconcilePermissions(
  before: UserRecord,
  configured: UserRecord,
  current: UserRecord,
): ReadonlyMap<string, Permissions> {
  const permissions = new Map<string, Permissions>();
  for (const vhost of new Set([...configured.permissions.keys(), ...current.permissions.keys()])) {
    const now = configured.permissions.get(vhost);
    const isSame = isSameRules(before.permissions.get(vhost), now);
    const holds = isSame ? current.permissions.get(vhost) : now;
    if (holds !== undefined) permissions.set(vhost, holds);
  }
  return permissions;
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function isSameRules(one: Permissions | undefined, other: Permissions | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  const { configure, write, read } = one.rules;
  return configure === other.rules.configure && write === other.rules.write && read === other.rules.read;
}

/** The JSON of entry 18 in docs/storage.md. */
export function encodeKeptUser({ configured, current }: KeptUser): Buffer {
  const content = {
    ...(current === null ? { deleted: true } : plainRecord(current)),
    ...(configured === null ? {} : { configured: plainRecord(configured) }),
  };
  return Buffer.from(JSON.stringify(content));
}

function plainRecord({ passwordHash, tags, permissions }: UserRecord): object {
  return { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags, permissions: plainPermissions(permissions) };
}

/** Permissions as they are shown and written. */
export function plainPermissions(permissions: ReadonlyMap<string, Permissions>): Record<string, AccessRules> {
  return Object.fromEntries([...permissions].map(([vhost, { rules }]) => [vhost, rules]));
}

/**
 * The opposite of `encodeKeptUser`.
 * @throws {Error} for what was not written by it, such as a hash of an algorithm that this version doesn't know
 */
export function decodeKeptUser(json: Buffer): KeptUser {
  const content: unknown = JSON.parse(json.toString('utf8'));
  if (!isRecord(content)) throw new Error('no object');
  const configured = content.configured === undefined ? null : readRecord(content.configured);
  if (content.deleted !== true) return { configured, current: readRecord(content) };
  return { configured, current: null };
}

function readRecord(value: unknown): UserRecord {
  if (!isRecord(value)) throw new Error('no object');
  const { passwordHash, hashingAlgorithm, tags, permissions } = value;
  if (typeof passwordHash !== 'string') throw new Error('no password hash');
  if (hashingAlgorithm !== HASHING_ALGORITHM) {
    throw new Error(`the hashing algorithm ${JSON.stringify(hashingAlgorithm)} is not known`);
  }
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) throw new Error('no list of tags');
  if (!isRecord(permissions)) throw new Error('no permissions');
  const compiled = Object.entries(permissions).map(([vhost, rules]) => [vhost, readRules(rules)] as const);
  return { passwordHash, tags, permissions: new Map(compiled) };
}

function readRules(value: unknown): Permissions {
  const { configure, write, read } = isRecord(value) ? value : {};
  if (typeof configure !== 'string' || typeof write !== 'string' || typeof read !== 'string') {
    throw new Error('no permission { configure, write, read }');
  }
  return new Permissions({ configure, write, read });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
