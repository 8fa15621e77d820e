// The queue class.
import {
  QUEUE_BIND_OK,
  QUEUE_DECLARE_OK,
  QUEUE_DELETE_OK,
  QUEUE_PURGE_OK,
  QUEUE_UNBIND_OK,
  type QueueBind,
  type QueueDeclare,
  type QueueDelete,
  type QueuePurge,
  type QueueUnbind,
} from '../../../../codec/generated/methods.ts';
import type { BindingRequest } from '../../../core/binding.ts';
import { notFound } from '../../../core/errors.ts';
import { generateQueueName, isReplyQueueName, REPLY_TO } from '../../../core/names.ts';
import { checkServerNamed } from '../../../core/queue-arguments.ts';
import { requireAccess } from '../access.ts';
import type { Channel } from '../channel.ts';
import { cleanName, queueNameOf, refuseDefaultExchange, refuseReservedName } from './names.ts';

export function declare(channel: Channel, method: QueueDeclare): void {
  const name = cleanName(method.queue);
  const { sequence } = channel.host.session.virtualHost.durability;
  if (name === REPLY_TO || isReplyQueueName(name)) declareReplyQueue(channel, name, method.noWait);
  else if (method.passive) declareOk(channel, name, method.noWait, sequence);
  else declareOk(channel, create(channel, name, method), method.noWait, sequence);
}

export function bind(channel: Channel, method: QueueBind): void {
  const request = bindingRequest(channel, method);
  const { host } = channel;
  requireBindingAccess(channel, request);
  const { sequence } = channel.host.session.virtualHost.durability;
  host.session.virtualHost.bind(request, host);
  if (!method.noWait) channel.sendWhenDurable({ id: QUEUE_BIND_OK }, sequence);
}

export function unbind(channel: Channel, method: QueueUnbind): void {
  const request = bindingRequest(channel, method);
  const { host } = channel;
  requireBindingAccess(channel, request);
  const { sequence } = channel.host.session.virtualHost.durability;
  host.session.virtualHost.unbind(request, host);
  channel.sendWhenDurable({ id: QUEUE_UNBIND_OK }, sequence);
}

export function purge(channel: Channel, method: QueuePurge): void {
  const { host } = channel;
  const name = queueNameOf(channel, method.queue);
  requireAccess(host.session, 'queue', name, 'read');
  const { sequence } = channel.host.session.virtualHost.durability;
  const messageCount = host.session.virtualHost.getQueue(name, host).purge();
  if (!method.noWait) channel.sendWhenDurable({ id: QUEUE_PURGE_OK, messageCount }, sequence);
}

export function deleteQueue(channel: Channel, method: QueueDelete): void {
  const { host } = channel;
  const name = queueNameOf(channel, method.queue);
  requireAccess(host.session, 'queue', name, 'configure');
  const { sequence } = channel.host.session.virtualHost.durability;
  const messageCount = host.session.virtualHost.deleteQueue(name, method, host);
  if (!method.noWait) channel.sendWhenDurable({ id: QUEUE_DELETE_OK, messageCount }, sequence);
}

/** Declares a queue that the client wants to exist and returns its name. */
function create(channel: Channel, wanted: string, method: QueueDeclare): string {
  const { host } = channel;
  const { session } = host;
  const { virtualHost } = session;
  if (wanted === '') checkServerNamed(method.arguments);
  else refuseReservedName('queue', wanted);
  const name = wanted === '' ? generateQueueName() : wanted;
  requireAccess(session, 'queue', name, 'configure');
  const deadLetterExchange = virtualHost.queues.has(name) ? undefined : method.arguments.get('x-dead-letter-exchange');
  if (deadLetterExchange?.type === 'S') {
    requireAccess(session, 'queue', name, 'read');
    requireAccess(session, 'exchange', deadLetterExchange.value, 'write');
  }
  const { durable, autoDelete, exclusive, arguments: args } = method;
  virtualHost.declareQueue({ name, durable, autoDelete, owner: exclusive ? host : null, arguments: args });
  return name;
}

/** @param since where the durability's sequence stood before the queue was made */
function declareOk(channel: Channel, name: string, noWait: boolean, since: number): void {
  const { host } = channel;
  const queue = host.session.virtualHost.getQueue(name, host);
  channel.lastQueueName = name;
  if (noWait) return;
  queue.used();
  const { messageCount, consumerCount } = queue;
  channel.sendWhenDurable({ id: QUEUE_DECLARE_OK, queue: name, messageCount, consumerCount }, since);
}

/** The pseudo queues of direct replies look as if they were there, always or while their client lives. */
function declareReplyQueue(channel: Channel, name: string, noWait: boolean): void {
  const { virtualHost } = channel.host.session;
  if (name !== REPLY_TO && !virtualHost.hasReplyQueue(name)) throw notFound('queue', name, virtualHost.name);
  if (!noWait) channel.send({ id: QUEUE_DECLARE_OK, queue: name, messageCount: 0, consumerCount: 1 });
}

function bindingRequest(channel: Channel, method: QueueBind | QueueUnbind): BindingRequest {
  const destination = queueNameOf(channel, method.queue);
  // Both empty: the queue's name is the key (AMQP 0-9-1, queue.bind).
  const bindingKey = method.queue === '' && method.routingKey === '' ? destination : method.routingKey;
  return {
    source: cleanName(method.exchange),
    destinationKind: 'queue',
    destination,
    bindingKey,
    arguments: method.arguments,
  };
}

/** Binding writes to the queue and reads from the exchange. */
function requireBindingAccess(channel: Channel, request: BindingRequest): void {
  const { session } = channel.host;
  requireAccess(session, 'queue', request.destination, 'write');
  refuseDefaultExchange(request.source);
  requireAccess(session, 'exchange', request.source, 'read');
}
