// What a user may do in one virtual host: three regular expressions over resource names, as RabbitMQ reads them.
// https://www.rabbitmq.com/docs/access-control#authorisation. Which operation needs which access, the protocol knows.
import { compilePcre, toByteString } from './pcre.ts';

/** `configure`: declare and delete; `write`: publish and bind to; `read`: consume, get, purge and bind from. */
export type AccessKind = 'configure' | 'write' | 'read';

/** A regular expression for each kind of access, matched anywhere in the name unless anchored; '' allows nothing. */
export type AccessRules = Readonly<Record<AccessKind, string>>;

/** Results kept for each kind of access; when as many names were asked for, all are forgotten. */
const CACHE_ENTRIES = 1024;

/** The name under which RabbitMQ checks access to the default exchange, whose own name is empty. */
const DEFAULT_EXCHANGE_NAME = 'amq.default';

/** The compiled rules of one user in one virtual host. */
export class Permissions {
  readonly rules: AccessRules;
  readonly #matchers: Readonly<Record<AccessKind, (name: string) => boolean>>;

  /** @throws {SyntaxError} when a rule is no regular expression that can be matched as RabbitMQ does */
  constructor(rules: AccessRules) {
    const { configure, write, read } = rules;
    this.rules = { configure, write, read };
    this.#matchers = {
      configure: createMatcher('configure', configure),
      write: createMatcher('write', write),
      read: createMatcher('read', read),
    };
  }

  /** Whether the user may access an exchange or a queue of this name. */
  allows(kind: AccessKind, resourceName: string): boolean {
    return this.#matchers[kind](resourceName);
  }
}

/**
 * Whether a user may access an exchange or a queue; the default exchange is the one with the empty name.
 * False in a virtual host that is closed to the user.
 */
export function checkAccess(
  user: { permissionsFor(vhost: string): Permissions | undefined },
  vhost: string,
  resourceName: string,
  kind: AccessKind,
): boolean {
  return user.permissionsFor(vhost)?.allows(kind, resourceName) ?? false;
}

/** Whether a user may open a virtual host at all: there is a permission for it, be it one that allows nothing. */
export function checkVhostAccess(
  user: { permissionsFor(vhost: string): Permissions | undefined },
  vhost: string,
): boolean {
  return user.permissionsFor(vhost) !== undefined;
}

function createMatcher(kind: AccessKind, pattern: string): (name: string) => boolean {
  if (pattern === '.*') return () => true;
  // RabbitMQ reads '' as '^$', which no resource's name matches.
  const expression = compile(kind, pattern === '' ? '^$' : pattern);
  const results = new Map<string, boolean>();
  return (resourceName) => {
    const known = results.get(resourceName);
    if (known !== undefined) return known;
    const isAllowed = expression.test(toByteString(resourceName === '' ? DEFAULT_EXCHANGE_NAME : resourceName));
    if (results.size >= CACHE_ENTRIES) results.clear();
    results.set(resourceName, isAllowed);
    return isAllowed;
  };
}

function compile(kind: AccessKind, pattern: string): RegExp {
  try {
    return compilePcre(pattern);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : String(error);
    throw new SyntaxError(`the ${kind} permission '${pattern}' is no usable regular expression: ${reason}`);
  }
}
