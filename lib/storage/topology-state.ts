// The durable topology as a checkpoint and the log tell it: what is to be there again after a restart.
import { bindingIdentity } from '../core/binding.ts';
import type { StoredParameter } from '../core/message-store.ts';
import type { BindingEntry, ExchangeEntry, QueueEntry, UserEntry } from './topology-entries.ts';

/** Names may hold any character, so the length goes in front. */
function keyOf(vhost: string, name: string): string {
  return `${vhost.length}:${vhost}${name}`;
}

function bindingKeyOf({
  vhost,
  source,
  destinationKind,
  destination,
  bindingKey,
  arguments: args,
}: BindingEntry): string {
  return `${keyOf(vhost, source)} ${bindingIdentity(destinationKind, destination, bindingKey, args)}`;
}

function parameterKeyOf(virtualHost: string, component: string, name: string): string {
  return keyOf(virtualHost, keyOf(component, name));
}

export class TopologyState {
  readonly vhosts = new Set<string>();
  readonly users = new Map<string, UserEntry>();
  readonly parameters = new Map<string, StoredParameter>();
  readonly exchanges = new Map<string, ExchangeEntry>();
  /** By number. */
  readonly queues = new Map<number, QueueEntry>();
  readonly bindings = new Map<string, BindingEntry>();

  virtualHost(name: string): void {
    this.vhosts.add(name);
  }

  virtualHostDeleted(name: string): void {
    this.vhosts.delete(name);
    for (const [key, { virtualHost }] of this.parameters) if (virtualHost === name) this.parameters.delete(key);
  }

  user(user: UserEntry): void {
    this.users.set(user.name, user);
  }

  userDeleted(name: string): void {
    this.users.delete(name);
  }

  parameter(parameter: StoredParameter): void {
    const { virtualHost, component, name } = parameter;
    this.parameters.set(parameterKeyOf(virtualHost, component, name), parameter);
  }

  parameterDeleted(virtualHost: string, component: string, name: string): void {
    this.parameters.delete(parameterKeyOf(virtualHost, component, name));
  }

  exchange(exchange: ExchangeEntry): void {
    this.exchanges.set(keyOf(exchange.vhost, exchange.name), exchange);
  }

  exchangeDeleted(vhost: string, name: string): void {
    this.exchanges.delete(keyOf(vhost, name));
  }

  queue(queue: QueueEntry): void {
    this.queues.set(queue.queueId, queue);
  }

  queueDeleted(queueId: number): void {
    this.queues.delete(queueId);
  }

  binding(binding: BindingEntry): void {
    this.bindings.set(bindingKeyOf(binding), binding);
  }

  bindingDeleted(binding: BindingEntry): void {
    this.bindings.delete(bindingKeyOf(binding));
  }
}
