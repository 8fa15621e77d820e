// The policies of a virtual host, and their application: whenever one is set or removed, every queue and exchange that it concerns
// gets what it has to do now.

import { queueTypeOf } from './declaration-checks.ts';
import type { Exchange } from './exchange.ts';
import {
  type AppliedPolicies,
  comparePolicies,
  findPolicy,
  mergeDefinitions,
  type Policy,
  type PolicyKind,
  type PolicySubject,
} from './policy.ts';
import type { Queue, QueueSettings } from './queue.ts';
import { featuresOf, type QueueFeatures, sameFeatures } from './queue-features.ts';
import type { Topology } from './topology.ts';

const NOTHING: AppliedPolicies = { policy: null, operatorPolicy: null, definition: null };

export class PolicySet {
  readonly #topology: Topology;
  readonly #quorumDeliveryLimit: number;
  /** In the order of precedence. */
  readonly #policies: Readonly<Record<PolicyKind, Policy[]>> = { policy: [], operator_policy: [] };

  /** @param quorumDeliveryLimit of quorum queues for which neither an argument nor a policy says one */
  constructor(topology: Topology, quorumDeliveryLimit: number) {
    this.#topology = topology;
    this.#quorumDeliveryLimit = quorumDeliveryLimit;
  }

  /** The policies of a kind in the order of precedence. */
  list(kind: PolicyKind): readonly Policy[] {
    return this.#policies[kind];
  }

  /** Sets a policy in place of the one of this name, and applies it. */
  put(kind: PolicyKind, policy: Policy): void {
    this.#take(kind, policy.name);
    this.#policies[kind].push(policy);
    this.#policies[kind].sort(comparePolicies);
    this.#apply();
  }

  /** False when there is no such policy. */
  remove(kind: PolicyKind, name: string): boolean {
    if (!this.#take(kind, name)) return false;
    this.#apply();
    return true;
  }

  appliedTo(resource: Queue | Exchange): AppliedPolicies {
    const queueType = resource.isExchange ? null : queueTypeOf(resource.settings.arguments);
    return this.#find({ name: resource.name, queueType });
  }

  /** What a queue has to do now, by its arguments and policies. */
  featuresOf({ name, arguments: args }: QueueSettings): QueueFeatures {
    const { definition } = this.#find({ name, queueType: queueTypeOf(args) });
    return featuresOf(args, definition, this.#quorumDeliveryLimit);
  }

  /** Gives an exchange the alternate that a policy names, if its own argument names none. */
  applyToExchange(exchange: Exchange): void {
    if (exchange.settings.arguments.has('alternate-exchange')) return;
    const alternate = this.appliedTo(exchange).definition?.['alternate-exchange'];
    const name = typeof alternate === 'string' ? alternate : '';
    if (exchange.alternateName !== name) this.#topology.setAlternate(exchange, name);
  }

  #find(subject: PolicySubject): AppliedPolicies {
    const { policy: policies, operator_policy: operatorPolicies } = this.#policies;
    if (policies.length === 0 && operatorPolicies.length === 0) return NOTHING;
    const policy = findPolicy(policies, subject);
    const operatorPolicy = findPolicy(operatorPolicies, subject);
    const definition = mergeDefinitions(policy?.definition ?? null, operatorPolicy?.definition ?? null);
    return { policy, operatorPolicy, definition };
  }

  #take(kind: PolicyKind, name: string): boolean {
    const policies = this.#policies[kind];
    const index = policies.findIndex((policy) => policy.name === name);
    if (index !== -1) policies.splice(index, 1);
    return index !== -1;
  }

  #apply(): void {
    const { exchanges, queues } = this.#topology;
    for (const exchange of exchanges.values()) this.applyToExchange(exchange);
    for (const queue of [...queues.values()]) {
      const features = this.featuresOf(queue.settings);
      if (!sameFeatures(features, queue.features)) queue.applyFeatures(features);
    }
  }
}
