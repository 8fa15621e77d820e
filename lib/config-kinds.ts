// The kinds of option: what values are allowed, and how text from the command line or the environment becomes one.
// A kind knows nothing of where a value came from: the label that it is given names that.
import { type AccessRules, Permissions } from './auth/permissions.ts';
import type { UserDefinition } from './auth/users.ts';
import { ConfigError, show, suggestion } from './config-error.ts';

/** What one kind of option accepts. `Input` is what a program may give, `Value` what the broker gets. */
export interface OptionKind<Value, Input = Value> {
  /** What is allowed, to follow "is not": `an integer from 0 to 65535`. */
  readonly allowed: string;
  /**
   * Checks a value from a program or a JSON file.
   * @throws {ConfigError} whose message begins with the label
   */
  check(value: unknown, label: string, context: CheckContext): Value;
  /** Turns one text into what `check` takes. Never throws: what it can't read it passes on as it is. Absent: can't be given as text. */
  readonly fromText?: (text: string) => unknown;
  /** Turns the text of an environment variable into the whole list; only kinds that hold a list have it. */
  readonly listFromText?: (text: string) => unknown[];
  /** Only there for the type. */
  readonly input?: Input;
}

/** What the check of one option may know of the others. */
export interface CheckContext {
  /** Names of the virtual hosts that the broker will have. */
  readonly vhosts: readonly string[];
  /** Memory beyond which publishers are blocked. */
  readonly memoryLimitBytes: number;
}

/** A user as a program or a configuration file names one. */
export interface UserOptions {
  readonly name: string;
  /** In plain text; kept as a salted hash only. Must not be empty. */
  readonly password: string;
  /** `administrator`, `monitoring`, `management`, `policymaker`, `impersonator` or any other. Default: none. */
  readonly tags?: readonly string[];
  /** Regular expressions by virtual host name. Default: everything on every configured virtual host. */
  readonly permissions?: Readonly<Record<string, AccessRules>>;
}

function refuse(label: string, value: unknown, allowed: string): never {
  throw new ConfigError(`${label}: ${show(value)} is not ${allowed}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An integer within bounds, both included. */
export function integer(min: number, max: number): OptionKind<number> {
  const allowed = `an integer from ${min} to ${max}`;
  return {
    allowed,
    check: (value, label) => {
      const isInRange = typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max;
      return isInRange ? value : refuse(label, value, allowed);
    },
    fromText: (text) => (/^-?\d+$/.test(text.trim()) ? Number(text) : text),
  };
}

/** A non-empty text of at most 255 bytes. */
export function text(): OptionKind<string> {
  const allowed = 'a text of 1 to 255 bytes';
  return {
    allowed,
    check: (value, label) => (isName(value) ? value : refuse(label, value, allowed)),
    fromText: (value) => value,
  };
}

/** True for a text that AMQP can carry as a short string and that isn't empty. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 255;
}

/** What stands for no folder; a folder of that name is `./none`. */
const NO_FOLDER = 'none';

/** Path of a folder, relative ones from the working directory; the text `none` is no folder. */
export function folder(): OptionKind<string | undefined, string> {
  const allowed = `the path of a folder, a text of 1 to 4096 bytes, or '${NO_FOLDER}'`;
  const isPath = (value: unknown): value is string =>
    typeof value === 'string' && value !== '' && !value.includes('\0') && Buffer.byteLength(value) <= 4096;
  return {
    allowed,
    check: (value, label) => {
      if (value === NO_FOLDER) return undefined;
      return isPath(value) ? value : refuse(label, value, allowed);
    },
    fromText: (value) => value,
  };
}

/** One of some words. */
export function choice<const Word extends string>(words: readonly Word[]): OptionKind<Word> {
  const allowed = `one of ${words.join(', ')}`;
  return {
    allowed,
    check: (value, label) => words.find((word) => word === value) ?? refuse(label, value, allowed),
    fromText: (value) => value.toLowerCase(),
  };
}

/** Units of a size, as RabbitMQ reads them: `k`, `M`, `G` and `KiB`... are powers of 1024; `kB`, `MB`, `GB` of 1000. */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  kb: 1e3,
  m: 2 ** 20,
  mib: 2 ** 20,
  mb: 1e6,
  g: 2 ** 30,
  gib: 2 ** 30,
  gb: 1e9,
};

/** A number of bytes, as a number or as a text with a unit; as a share (`40%`) too when there is something to share. */
export function bytes(min: number, max: number, shareOf?: () => number): OptionKind<number, number | string> {
  const share = shareOf === undefined ? '' : ", or a share of the memory such as '40%'";
  const allowed = `a size from ${min} to ${max} bytes, in bytes or as '512MiB' or '2GB'${share}`;
  const read = (value: unknown): number => {
    if (typeof value === 'number') return value;
    const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([a-z]{0,3}|%)\s*$/i.exec(value) : null;
    if (match === null) return Number.NaN;
    const [, digits = '', unit = ''] = match;
    if (unit === '%')
      return shareOf === undefined || Number(digits) > 100 ? Number.NaN : (shareOf() * Number(digits)) / 100;
    return Number(digits) * (SIZE_UNITS[unit.toLowerCase()] ?? Number.NaN);
  };
  return {
    allowed,
    check: (value, label) => {
      const size = typeof value === 'string' ? Math.floor(read(value)) : read(value);
      return Number.isSafeInteger(size) && size >= min && size <= max ? size : refuse(label, value, allowed);
    },
    fromText: (value) => value,
  };
}

/** A list of names without repetition. On the command line and in the environment `none` is the empty list, where that is allowed. */
export function names(what: string, least: 0 | 1): OptionKind<readonly string[]> {
  const allowed = `${least === 0 ? 'a' : 'a non-empty'} list of different ${what}, each a text of 1 to 255 bytes`;
  return {
    allowed,
    check: (value, label) => {
      if (!Array.isArray(value) || value.length < least) return refuse(label, value, allowed);
      const isList = value.every(isName) && new Set(value).size === value.length;
      return isList ? Object.freeze([...value]) : refuse(label, value, allowed);
    },
    fromText: (value) => value,
    listFromText: (value) => (least === 0 && value === 'none' ? [] : value.split(',').map((item) => item.trim())),
  };
}

/** A value that only a program can give. */
export function programmatic<Value>(
  allowed: string,
  isAllowed: (value: unknown) => value is NonNullable<Value>,
): OptionKind<Value> {
  return { allowed, check: (value, label) => (isAllowed(value) ? value : refuse(label, value, allowed)) };
}

/** Users; from text as `name:password[:tag,tag]`. No message of this kind ever shows a password. */
export function users(): OptionKind<readonly UserDefinition[], readonly UserOptions[]> {
  return {
    allowed: 'a list of users { name, password, tags?, permissions? }',
    check: (value, label, context) => {
      if (!Array.isArray(value))
        throw new ConfigError(`${label}: must be a list of users { name, password, tags?, permissions? }`);
      const checked = value.map((user, index) => checkUser(user, `${label}[${index}]`, context));
      const seen = new Set<string>();
      for (const { name } of checked) {
        if (seen.has(name)) throw new ConfigError(`${label}: user ${show(name)} is there twice`);
        seen.add(name);
      }
      return Object.freeze(checked);
    },
    fromText: userFromText,
    listFromText: usersFromText,
  };
}

/** Stands for a text that isn't a user: `checkUser` refuses it without showing it, since it may hold a password. */
const UNREADABLE_USER = Symbol('unreadable user');

function userFromText(value: string): unknown {
  const [name, password, tags, ...rest] = value.split(':');
  if (password === undefined || rest.length > 0) return UNREADABLE_USER;
  return { name, password, tags: (tags ?? '').split(',').filter((tag) => tag !== '') };
}

/** `a:1:x,y,b:2` is two users: a piece without a colon is one more tag of the user before it. */
function usersFromText(value: string): unknown[] {
  const texts: string[] = [];
  for (const piece of value.split(',')) {
    const last = texts.length - 1;
    const continues = !piece.includes(':') && texts[last]?.split(':').length === 3;
    if (continues) texts[last] += `,${piece}`;
    else texts.push(piece);
  }
  return texts.map(userFromText);
}

function checkUser(value: unknown, label: string, context: CheckContext): UserDefinition {
  if (value === UNREADABLE_USER) {
    throw new ConfigError(
      `${label}: must be name:password[:tag,tag]; use the configuration file for a password with ':' or ','`,
    );
  }
  if (!isRecord(value)) throw new ConfigError(`${label}: must be a user { name, password, tags?, permissions? }`);
  refuseUnknownKeys(value, ['name', 'password', 'tags', 'permissions'], label);
  const { name, password, tags = [], permissions } = value;
  if (!isName(name)) return refuse(`${label}.name`, name, 'a text of 1 to 255 bytes');
  if (typeof password !== 'string' || password === '') {
    throw new ConfigError(`${label}.password: user ${show(name)} needs a password, a text that is not empty`);
  }
  const tagNames = names('tags', 0).check(tags, `${label}.tags`, context);
  return Object.freeze({
    name,
    password,
    tags: tagNames,
    permissions: checkPermissions(permissions, `${label}.permissions`, context),
  });
}

function checkPermissions(
  value: unknown,
  label: string,
  { vhosts }: CheckContext,
): Readonly<Record<string, AccessRules>> {
  if (value === undefined) return Object.freeze(Object.fromEntries(vhosts.map((vhost) => [vhost, FULL_ACCESS])));
  if (!isRecord(value)) return refuse(label, value, 'an object { <vhost>: { configure, write, read } }');
  const rules: [string, AccessRules][] = [];
  for (const [vhost, patterns] of Object.entries(value)) {
    if (!vhosts.includes(vhost))
      throw new ConfigError(`${label}: there is no vhost ${show(vhost)} (vhosts: ${vhosts.join(', ')})`);
    rules.push([vhost, checkRules(patterns, `${label}[${show(vhost)}]`)]);
  }
  return Object.freeze(Object.fromEntries(rules));
}

const FULL_ACCESS: AccessRules = Object.freeze({ configure: '.*', write: '.*', read: '.*' });

function checkRules(value: unknown, label: string): AccessRules {
  if (!isRecord(value)) return refuse(label, value, 'an object { configure, write, read }');
  refuseUnknownKeys(value, ['configure', 'write', 'read'], label);
  const pattern = (kind: keyof AccessRules): string => {
    const source = value[kind];
    return typeof source === 'string' ? source : refuse(`${label}.${kind}`, source, 'a regular expression as text');
  };
  const rules = Object.freeze({ configure: pattern('configure'), write: pattern('write'), read: pattern('read') });
  try {
    new Permissions(rules);
  } catch (error) {
    throw new ConfigError(`${label}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return rules;
}

function refuseUnknownKeys(value: Record<string, unknown>, known: readonly string[], label: string): void {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new ConfigError(`${label}: unknown key ${show(key)}${suggestion(key, known)}`);
  }
}
