// A virtual host on its own, and short ways to use it.
import { ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import type { BindingRequest } from '../../lib/core/binding.ts';
import { IN_MEMORY } from '../../lib/core/durability.ts';
import type { ExchangeSettings } from '../../lib/core/exchange.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { VirtualHost, type VirtualHostContext } from '../../lib/core/virtual-host.ts';
import { defect, type MessageOptions, messageOf, TestClock, table } from './helper.ts';

export function createVirtualHost(options: Partial<VirtualHostContext> = {}): VirtualHost {
  const clock = new TestClock();
  return new VirtualHost('/', {
    exchangeTypes: new ExchangeTypeRegistry(),
    memory: new MemoryAccount(2 ** 40, 2 ** 40),
    turn: new TurnScheduler(clock),
    slab: new RetentionSlab(),
    clock,
    defect,
    durability: IN_MEMORY,
    store: null,
    ...options,
  });
}

export function exchangeSettings(options: Partial<ExchangeSettings> = {}): ExchangeSettings {
  const base = { name: 'x', type: 'direct', durable: false, autoDelete: false, internal: false };
  return { ...base, arguments: table(), ...options };
}

export function bindingTo(
  source: string,
  destinationKind: 'queue' | 'exchange',
  destination: string,
  bindingKey = '',
): BindingRequest {
  return { source, destinationKind, destination, bindingKey, arguments: table() };
}

/** The sorted names of the queues that a message goes to. */
export function publish(
  host: VirtualHost,
  exchange: string,
  routingKey: string,
  properties: MessageOptions['properties'] = {},
): string[] {
  const message = messageOf('', { exchange, routingKey, properties });
  const queues = host.route(message, []).map(({ name }) => name);
  return queues.sort();
}
