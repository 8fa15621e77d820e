// What a program can change in a running broker of policies and limits. Checks it, does it at once, and tells when it is durable.
// Rules and texts are RabbitMQ's: https://www.rabbitmq.com/docs/parameters, https://www.rabbitmq.com/docs/vhosts#limits
import { type AdminChanges, AdminError, checkName, isRecord, noUser, noVirtualHost } from './admin-changes.ts';
import type { User, UserStore } from './auth/users.ts';
import { show, suggestion } from './config-error.ts';
import type { MessageStore, StoredParameter } from './core/message-store.ts';
import type { Policy, PolicyDefinition, PolicyKind, PolicyTarget } from './core/policy.ts';
import { numberProblem, policyProblems } from './core/policy-checks.ts';
import type { VirtualHost } from './core/virtual-host.ts';
import type { Logger } from './log.ts';
import {
  compilePattern,
  isLimited,
  policyKey,
  policyParameter,
  userLimits,
  virtualHostLimits,
} from './runtime-parameters.ts';

/** What `putPolicy` takes. */
export interface PolicyOptions {
  readonly vhost: string;
  /** A text of 1 to 255 bytes; names it within its virtual host. */
  readonly name: string;
  /** A regular expression, matched anywhere in the names of queues and exchanges unless anchored; `''` matches all. */
  readonly pattern: string;
  /** RabbitMQ's keys with their values: `{ 'message-ttl': 60000, 'dead-letter-exchange': 'expired' }`. */
  readonly definition: PolicyDefinition;
  /** Of the policies that match, the one with the highest priority applies; among equals the first by name. Default: 0. */
  readonly priority?: number | undefined;
  /** Default: `all`. */
  readonly applyTo?: PolicyTarget | undefined;
}

/** A policy of a running broker. */
export interface BrokerPolicy {
  readonly vhost: string;
  readonly name: string;
  readonly pattern: string;
  readonly definition: PolicyDefinition;
  readonly priority: number;
  readonly applyTo: PolicyTarget;
}

/** What a virtual host may have at once; -1 for no limit. */
export interface VirtualHostLimits {
  readonly maxConnections: number;
  /** Further ones are refused with 406 PRECONDITION_FAILED. */
  readonly maxQueues: number;
}

/** What a user may have open at once, over all virtual hosts; -1 for no limit. */
export interface UserLimits {
  readonly maxConnections: number;
  readonly maxChannels: number;
}

/** The part of a broker that sets policies and limits. They go with their virtual host or user. */
export interface PolicyAdministration {
  /** The policies that there are now, of all virtual hosts. */
  readonly policies: readonly BrokerPolicy[];
  readonly operatorPolicies: readonly BrokerPolicy[];
  /**
   * Sets a policy, in place of the one of this name, as `rabbitmqctl set_policy` does. Every queue and exchange that it matches has
   * at once what it asks for. Where a queue's argument sets a limit too, the smaller one holds; of anything else the argument holds.
   * As in RabbitMQ a policy with a key that a queue's type doesn't know (`delivery-limit`, for a classic queue) does not apply to it at all.
   * Done at once; resolves when it is durable.
   * @throws {AdminError} `invalid` with all that is wrong, in RabbitMQ's words; `not-found` when there is no such virtual host
   */
  putPolicy(policy: PolicyOptions): Promise<void>;
  /** Removes a policy. @throws {AdminError} `not-found` */
  deletePolicy(vhost: string, name: string): Promise<void>;
  /**
   * Sets an operator policy, as `rabbitmqctl set_operator_policy` does. It applies beside the policy, and of a limit that both
   * have, the smaller one holds. It can have `message-ttl`, `expires`, `max-length`, `max-length-bytes`, `max-in-memory-length`,
   * `max-in-memory-bytes` and `delivery-limit`.
   * @throws {AdminError} as `putPolicy`
   */
  putOperatorPolicy(policy: PolicyOptions): Promise<void>;
  /** Removes an operator policy. @throws {AdminError} `not-found` */
  deleteOperatorPolicy(vhost: string, name: string): Promise<void>;
  /** @throws {AdminError} `not-found` */
  virtualHostLimits(vhost: string): VirtualHostLimits;
  /**
   * Limits a virtual host, as `rabbitmqctl set_vhost_limits` does. A limit that is left out stays as it is; a negative one lifts it,
   * 0 allows none. What there is beyond the limit stays. Done at once; resolves when it is durable.
   * @throws {AdminError} `invalid`, `not-found`
   */
  setVirtualHostLimits(vhost: string, limits: Partial<VirtualHostLimits>): Promise<void>;
  /** @throws {AdminError} `not-found` */
  userLimits(user: string): UserLimits;
  /** Limits a user, as `rabbitmqctl set_user_limits` does; see `setVirtualHostLimits`. @throws {AdminError} `invalid`, `not-found` */
  setUserLimits(user: string, limits: Partial<UserLimits>): Promise<void>;
}

export interface PolicyAdminParts {
  readonly virtualHosts: ReadonlyMap<string, VirtualHost>;
  readonly users: UserStore;
  /** Null where everything is in memory. */
  readonly store: Pick<MessageStore, 'parameterSet' | 'parameterCleared'> | null;
  readonly changes: AdminChanges;
  readonly logger: Logger;
}

const POLICY_KEYS = ['vhost', 'name', 'pattern', 'definition', 'priority', 'applyTo'];
const NOUNS: Readonly<Record<PolicyKind, string>> = { policy: 'policy', operator_policy: 'operator policy' };

/** RabbitMQ's names of the limits. */
const VHOST_LIMITS = { maxConnections: 'max-connections', maxQueues: 'max-queues' } as const;
const USER_LIMITS = { maxConnections: 'max-connections', maxChannels: 'max-channels' } as const;

export class PolicyAdmin implements PolicyAdministration {
  readonly #parts: PolicyAdminParts;

  constructor(parts: PolicyAdminParts) {
    this.#parts = parts;
  }

  get policies(): readonly BrokerPolicy[] {
    return this.#list('policy');
  }

  get operatorPolicies(): readonly BrokerPolicy[] {
    return this.#list('operator_policy');
  }

  putPolicy(policy: PolicyOptions): Promise<void> {
    return this.#put('policy', policy);
  }

  deletePolicy(vhost: string, name: string): Promise<void> {
    return this.#delete('policy', vhost, name);
  }

  putOperatorPolicy(policy: PolicyOptions): Promise<void> {
    return this.#put('operator_policy', policy);
  }

  deleteOperatorPolicy(vhost: string, name: string): Promise<void> {
    return this.#delete('operator_policy', vhost, name);
  }

  virtualHostLimits(vhost: string): VirtualHostLimits {
    const { maxConnections, maxQueues } = this.#virtualHost(vhost).limits;
    return { maxConnections: shown(maxConnections), maxQueues: shown(maxQueues) };
  }

  async setVirtualHostLimits(vhost: string, change: Partial<VirtualHostLimits>): Promise<void> {
    const { changes, logger } = this.#parts;
    changes.check();
    const virtualHost = this.#virtualHost(vhost);
    const problems = limitProblems(change, VHOST_LIMITS, 'a virtual host');
    if (problems.length > 0) throw validationFailed(problems);
    this.#limit(virtualHost.limits, change, () => virtualHostLimits(virtualHost));
    logger.info({ vhost, ...this.virtualHostLimits(vhost) }, 'virtual host limits set');
    await changes.durable();
  }

  userLimits(name: string): UserLimits {
    const { maxConnections, maxChannels } = this.#user(name).limits;
    return { maxConnections: shown(maxConnections), maxChannels: shown(maxChannels) };
  }

  async setUserLimits(name: string, change: Partial<UserLimits>): Promise<void> {
    const { changes, logger } = this.#parts;
    changes.check();
    const user = this.#user(name);
    const problems = limitProblems(change, USER_LIMITS, 'a user');
    if (problems.length > 0) throw new AdminError('invalid', problems.join('\n'));
    this.#limit(user.limits, change, () => userLimits(user));
    logger.info({ user: name, ...this.userLimits(name) }, 'user limits set');
    await changes.durable();
  }

  #list(kind: PolicyKind): BrokerPolicy[] {
    const found: BrokerPolicy[] = [];
    for (const [vhost, { policies }] of this.#parts.virtualHosts) {
      for (const { name, pattern, definition, priority, applyTo } of policies.list(kind)) {
        found.push({ vhost, name, pattern, definition: structuredClone(definition), priority, applyTo });
      }
    }
    return found;
  }

  async #put(kind: PolicyKind, options: PolicyOptions): Promise<void> {
    const { changes, store, logger } = this.#parts;
    changes.check();
    checkPolicyShape(options, NOUNS[kind]);
    const { vhost, name, pattern, priority = 0, applyTo = 'all' } = options;
    const { policies } = this.#virtualHost(vhost);
    const definition = copyDefinition(options.definition);
    const problems = policyProblems(kind, { definition, applyTo, pattern, priority }, compilePattern);
    if (problems.length > 0) throw validationFailed(problems);
    const policy: Policy = { name, pattern, matches: compilePattern(pattern), definition, priority, applyTo };
    policies.put(kind, policy);
    store?.parameterSet(policyParameter(vhost, kind, policy));
    logger.info({ vhost, name }, `${NOUNS[kind]} set`);
    await changes.durable();
  }

  async #delete(kind: PolicyKind, vhost: string, name: string): Promise<void> {
    const { changes, store, logger } = this.#parts;
    changes.check();
    if (!this.#virtualHost(vhost).policies.remove(kind, name)) {
      throw new AdminError('not-found', `${NOUNS[kind]} ${show(name)} does not exist in virtual host ${show(vhost)}`);
    }
    const { component } = policyKey(vhost, kind, name);
    store?.parameterCleared(vhost, component, name);
    logger.info({ vhost, name }, `${NOUNS[kind]} deleted`);
    await changes.durable();
  }

  #limit<Limits extends object>(limits: Limits, change: Partial<Limits>, parameter: () => StoredParameter): void {
    const wasLimited = isLimited(limits);
    // The fields are those that were checked.
    for (const [field, limit] of Object.entries(change) as [keyof Limits, number | undefined][]) {
      if (limit !== undefined) Object.assign(limits, { [field]: limit < 0 ? Infinity : limit });
    }
    const { store } = this.#parts;
    if (isLimited(limits)) store?.parameterSet(parameter());
    else if (wasLimited) {
      const { virtualHost, component, name } = parameter();
      store?.parameterCleared(virtualHost, component, name);
    }
  }

  #virtualHost(name: string): VirtualHost {
    const virtualHost = this.#parts.virtualHosts.get(name);
    if (virtualHost === undefined) throw noVirtualHost(name);
    return virtualHost;
  }

  #user(name: string): User {
    const user = this.#parts.users.get(name);
    if (user === undefined) throw noUser(name);
    return user;
  }
}

/** All that RabbitMQ found, in its form. */
function validationFailed(problems: readonly string[]): AdminError {
  return new AdminError('invalid', `Validation failed\n\n${problems.join('\n')}`);
}

function checkPolicyShape(options: PolicyOptions, noun: string): void {
  if (!isRecord(options) || !isRecord(options.definition)) {
    throw new AdminError(
      'invalid',
      `a ${noun} is { vhost, name, pattern, definition: { <key>: <value> }, priority?, applyTo? }`,
    );
  }
  for (const key of Object.keys(options)) {
    if (POLICY_KEYS.includes(key)) continue;
    throw new AdminError('invalid', `a ${noun} has no ${show(key)}${suggestion(key, POLICY_KEYS)}`);
  }
  checkName(options.name, `a ${noun}`);
}

/** The definition as JSON holds it, of which nobody else has a hold. */
function copyDefinition(definition: PolicyDefinition): PolicyDefinition {
  try {
    return JSON.parse(JSON.stringify(definition));
  } catch (error) {
    throw new AdminError('invalid', `the definition of a policy must be JSON: ${error}`);
  }
}

/** In RabbitMQ's words and order. */
function limitProblems(change: object, names: Readonly<Record<string, string>>, whose: string): string[] {
  const fields = Object.keys(names);
  if (!isRecord(change)) throw new AdminError('invalid', `the limits of ${whose} are { ${fields.join('?, ')}? }`);
  for (const field of Object.keys(change)) {
    if (fields.includes(field)) continue;
    throw new AdminError('invalid', `${whose} has no limit ${show(field)}${suggestion(field, fields)}`);
  }
  return Object.entries(change).flatMap(([field, limit]) =>
    limit === undefined ? [] : (numberProblem(names[field] ?? field, limit) ?? []),
  );
}

function shown(limit: number): number {
  return limit === Infinity ? -1 : limit;
}
