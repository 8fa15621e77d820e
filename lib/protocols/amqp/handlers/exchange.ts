// The exchange class, with RabbitMQ's bindings between exchanges.
import {
  EXCHANGE_BIND_OK,
  EXCHANGE_DECLARE_OK,
  EXCHANGE_DELETE_OK,
  EXCHANGE_UNBIND_OK,
  type ExchangeBind,
  type ExchangeDeclare,
  type ExchangeDelete,
  type ExchangeUnbind,
} from '../../../../codec/generated/methods.ts';
import type { BindingRequest } from '../../../core/binding.ts';
import { requireAccess } from '../access.ts';
import type { Channel } from '../channel.ts';
import { cleanName, refuseDefaultExchange, refuseReservedName, refuseSystemExchange } from './names.ts';

export function declare(channel: Channel, method: ExchangeDeclare): void {
  const name = cleanName(method.exchange);
  const { virtualHost } = channel.host.session;
  const { sequence } = virtualHost.durability;
  if (method.passive) {
    refuseDefaultExchange(name);
    virtualHost.getExchange(name);
  } else {
    create(channel, name, method);
  }
  if (!method.noWait) channel.sendWhenDurable({ id: EXCHANGE_DECLARE_OK }, sequence);
}

export function deleteExchange(channel: Channel, method: ExchangeDelete): void {
  const { session } = channel.host;
  const { virtualHost } = session;
  const name = cleanName(method.exchange);
  refuseDefaultExchange(name);
  refuseSystemExchange(name, virtualHost.name);
  requireAccess(session, 'exchange', name, 'configure');
  const { sequence } = virtualHost.durability;
  virtualHost.deleteExchange(name, method.ifUnused);
  if (!method.noWait) channel.sendWhenDurable({ id: EXCHANGE_DELETE_OK }, sequence);
}

export function bind(channel: Channel, method: ExchangeBind): void {
  const request = bindingRequest(channel, method);
  const { virtualHost } = channel.host.session;
  const { sequence } = virtualHost.durability;
  virtualHost.bind(request, channel.host);
  if (!method.noWait) channel.sendWhenDurable({ id: EXCHANGE_BIND_OK }, sequence);
}

export function unbind(channel: Channel, method: ExchangeUnbind): void {
  const request = bindingRequest(channel, method);
  const { virtualHost } = channel.host.session;
  const { sequence } = virtualHost.durability;
  virtualHost.unbind(request, channel.host);
  if (!method.noWait) channel.sendWhenDurable({ id: EXCHANGE_UNBIND_OK }, sequence);
}

function create(channel: Channel, name: string, method: ExchangeDeclare): void {
  const { session } = channel.host;
  const { virtualHost } = session;
  const { type, durable, autoDelete, internal, arguments: args } = method;
  virtualHost.checkExchangeType(type);
  refuseDefaultExchange(name);
  requireAccess(session, 'exchange', name, 'configure');
  if (!virtualHost.exchanges.has(name)) {
    refuseReservedName('exchange', name);
    requireAlternateAccess(channel, name, method);
  }
  virtualHost.declareExchange({ name, type, durable, autoDelete, internal, arguments: args });
}

/** Naming an alternate exchange reads from the new exchange and writes to the alternate. */
function requireAlternateAccess(channel: Channel, name: string, method: ExchangeDeclare): void {
  const alternate = method.arguments.get('alternate-exchange');
  if (alternate?.type !== 'S') return;
  const { session } = channel.host;
  requireAccess(session, 'exchange', name, 'read');
  requireAccess(session, 'exchange', alternate.value, 'write');
}

/** Binding writes to the destination and reads from the source. */
function bindingRequest(channel: Channel, method: ExchangeBind | ExchangeUnbind): BindingRequest {
  const { session } = channel.host;
  const source = cleanName(method.source);
  const destination = cleanName(method.destination);
  refuseDefaultExchange(destination);
  requireAccess(session, 'exchange', destination, 'write');
  refuseDefaultExchange(source);
  requireAccess(session, 'exchange', source, 'read');
  return {
    source,
    destinationKind: 'exchange',
    destination,
    bindingKey: method.routingKey,
    arguments: method.arguments,
  };
}
