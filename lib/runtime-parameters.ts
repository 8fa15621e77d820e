// Policies and limits as the data folder keeps them: RabbitMQ's runtime parameters, with JSON in RabbitMQ's form.
import { compilePcre, toByteString } from './auth/pcre.ts';
import type { UserStore } from './auth/users.ts';
import type { StoredParameter } from './core/message-store.ts';
import type { Policy, PolicyKind } from './core/policy.ts';
import type { VirtualHost } from './core/virtual-host.ts';

const VHOST_LIMITS = 'vhost-limits';
/** The one parameter of its component that a virtual host has. */
const LIMITS_NAME = 'limits';
const USER_LIMITS = 'user-limits';

/** RabbitMQ's names of limits, and where they stand. */
const VHOST_LIMIT_KEYS = { 'max-connections': 'maxConnections', 'max-queues': 'maxQueues' } as const;
const USER_LIMIT_KEYS = { 'max-connections': 'maxConnections', 'max-channels': 'maxChannels' } as const;

/** What names a parameter. */
export type ParameterKey = Omit<StoredParameter, 'json'>;

/**
 * What a pattern of a policy matches: as RabbitMQ does, anywhere in the name unless anchored.
 * @throws {SyntaxError} when it is no regular expression that can be matched as RabbitMQ does
 */
export function compilePattern(pattern: string): (name: string) => boolean {
  const expression = compilePcre(pattern);
  return (name) => expression.test(toByteString(name));
}

export function policyKey(virtualHost: string, kind: PolicyKind, name: string): ParameterKey {
  return { virtualHost, component: kind, name };
}

export function policyParameter(virtualHost: string, kind: PolicyKind, policy: Policy): StoredParameter {
  const { name, pattern, definition, priority, applyTo } = policy;
  return {
    ...policyKey(virtualHost, kind, name),
    json: encode({ pattern, definition, priority, 'apply-to': applyTo }),
  };
}

export function virtualHostLimits({ name, limits }: VirtualHost): StoredParameter {
  return {
    virtualHost: name,
    component: VHOST_LIMITS,
    name: LIMITS_NAME,
    json: encodeLimits(limits, VHOST_LIMIT_KEYS),
  };
}

export function userLimits({
  name,
  limits,
}: {
  name: string;
  limits: Limited<typeof USER_LIMIT_KEYS>;
}): StoredParameter {
  return { virtualHost: '', component: USER_LIMITS, name, json: encodeLimits(limits, USER_LIMIT_KEYS) };
}

/** Parameters that say something: what is not limited needs none. */
export function isLimited(limits: object): boolean {
  return Object.values(limits).some((limit) => limit !== Infinity);
}

/** All parameters that there are now. */
export function* currentParameters(
  virtualHosts: ReadonlyMap<string, VirtualHost>,
  users: UserStore,
): Generator<StoredParameter> {
  for (const user of users.list()) if (isLimited(user.limits)) yield userLimits(user);
  for (const [name, virtualHost] of virtualHosts) {
    for (const kind of ['policy', 'operator_policy'] as const) {
      for (const policy of virtualHost.policies.list(kind)) yield policyParameter(name, kind, policy);
    }
    if (isLimited(virtualHost.limits)) yield virtualHostLimits(virtualHost);
  }
}

/**
 * Brings a parameter back. That of a user or a virtual host that is not there any more is left out.
 * @throws {Error} when it can't be read
 */
export function restoreParameter(
  { virtualHost: vhost, component, name, json }: StoredParameter,
  virtualHosts: ReadonlyMap<string, VirtualHost>,
  users: UserStore,
): void {
  const virtualHost = virtualHosts.get(vhost);
  const value = JSON.parse(json.toString());
  if (component === USER_LIMITS) decodeLimits(value, USER_LIMIT_KEYS, users.get(name)?.limits);
  else if (component === VHOST_LIMITS) decodeLimits(value, VHOST_LIMIT_KEYS, virtualHost?.limits);
  else if (component === 'policy' || component === 'operator_policy') {
    const { pattern, definition, priority, 'apply-to': applyTo } = value;
    const policy = { name, pattern, matches: compilePattern(pattern), definition, priority, applyTo };
    virtualHost?.policies.put(component, policy);
  }
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

type Keys = Readonly<Record<string, string>>;
type Limited<Names extends Keys> = Record<Names[keyof Names], number>;

function encodeLimits<Names extends Keys>(limits: Limited<Names>, keys: Names): Buffer {
  // The fields are those that the keys name.
  const entries = (Object.entries(keys) as [string, Names[keyof Names]][]).map(([key, field]) => [key, limits[field]]);
  return encode(Object.fromEntries(entries.filter(([, limit]) => limit !== Infinity)));
}

function decodeLimits<Names extends Keys>(value: Record<string, number>, keys: Names, into?: Limited<Names>): void {
  if (into === undefined) return;
  for (const [key, field] of Object.entries(keys) as [string, Names[keyof Names]][])
    into[field] = value[key] ?? Infinity;
}
