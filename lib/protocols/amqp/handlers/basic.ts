// The basic class, publishing aside: consumers, basic.get, and what becomes of deliveries.
import {
  BASIC_CANCEL_OK,
  BASIC_CONSUME_OK,
  BASIC_GET_EMPTY,
  BASIC_GET_OK,
  BASIC_QOS_OK,
  BASIC_RECOVER_OK,
  type BasicAck,
  type BasicCancel,
  type BasicConsume,
  type BasicGet,
  type BasicNack,
  type BasicQos,
  type BasicRecover,
  type BasicRecoverAsync,
  type BasicReject,
} from '../../../../codec/generated/methods.ts';
import { queueTypeOf } from '../../../core/declaration-checks.ts';
import { describeResource } from '../../../core/errors.ts';
import { REPLY_TO } from '../../../core/names.ts';
import type { Delivery, Queue } from '../../../core/queue.ts';
import { requireAccess } from '../access.ts';
import { AmqpError } from '../amqp-error.ts';
import type { Channel } from '../channel.ts';
import type { Settlement } from '../deliveries.ts';
import { withDeliveryCount } from '../delivery-count.ts';
import { writeContent } from '../delivery-writer.ts';
import { checkConsumerArguments, priorityOf } from './consumer-arguments.ts';
import { queueNameOf } from './names.ts';

export function consume(channel: Channel, method: BasicConsume): void {
  const { host, deliveries } = channel;
  const { noAck, exclusive, arguments: args } = method;
  const tag = deliveries.claimTag(method.consumerTag);
  const name = queueNameOf(channel, method.queue);
  const announce = (): void => {
    if (!method.noWait) channel.send({ id: BASIC_CONSUME_OK, consumerTag: tag });
  };
  if (name === REPLY_TO) {
    deliveries.consumeReplies({ tag, noAck, exclusive, priority: 0, arguments: args }, announce);
    return;
  }
  requireAccess(host.session, 'queue', name, 'read');
  const { virtualHost } = host.session;
  const queue = virtualHost.getQueue(name, host);
  checkConsumerArguments(
    describeResource('queue', name, virtualHost.name),
    queueTypeOf(queue.settings.arguments),
    args,
  );
  deliveries.consume(queue, { tag, noAck, exclusive, priority: priorityOf(args), arguments: args }, announce);
}

export function cancel(channel: Channel, method: BasicCancel): void {
  const { consumerTag } = method;
  channel.deliveries.cancel(consumerTag);
  if (!method.noWait) channel.send({ id: BASIC_CANCEL_OK, consumerTag });
}

export function get(channel: Channel, method: BasicGet): void {
  const { host } = channel;
  const name = queueNameOf(channel, method.queue);
  requireAccess(host.session, 'queue', name, 'read');
  const queue = host.session.virtualHost.getQueue(name, host);
  queue.checkGet();
  const { noAck } = method;
  channel.answerWhen<Delivery | null>(
    (done) => queue.get(noAck, done),
    (delivery) => {
      if (delivery === null) channel.send({ id: BASIC_GET_EMPTY });
      else getOk(channel, queue, delivery, noAck);
    },
    (delivery) => {
      // Without acknowledgements it counts as delivered, like one that is on its way when the connection breaks.
      if (delivery !== null && !noAck) giveBack(queue, delivery);
    },
  );
}

export function ack(channel: Channel, method: BasicAck): void {
  const { deliveryTag, multiple } = method;
  if (channel.transaction === null && !multiple) channel.deliveries.acknowledge(deliveryTag);
  else settle(channel, deliveryTag, multiple, 'acknowledge');
}

export function nack(channel: Channel, method: BasicNack): void {
  settle(channel, method.deliveryTag, method.multiple, method.requeue ? 'requeue' : 'reject');
}

export function reject(channel: Channel, method: BasicReject): void {
  settle(channel, method.deliveryTag, false, method.requeue ? 'requeue' : 'reject');
}

export function recover(channel: Channel, method: BasicRecover): void {
  requireRequeue(method.requeue);
  channel.send({ id: BASIC_RECOVER_OK });
  channel.deliveries.requeueAll();
}

export function recoverAsync(channel: Channel, method: BasicRecoverAsync): void {
  requireRequeue(method.requeue);
  channel.deliveries.requeueAll();
}

export function qos(channel: Channel, method: BasicQos): void {
  const { prefetchSize, prefetchCount } = method;
  if (prefetchSize !== 0) throw new AmqpError('NOT_IMPLEMENTED', `prefetch_size!=0 (${prefetchSize})`);
  if (!method.global) channel.deliveries.prefetch = prefetchCount;
  channel.send({ id: BASIC_QOS_OK });
  if (method.global) channel.deliveries.limitSession(prefetchCount);
}

function getOk(channel: Channel, queue: Queue, delivery: Delivery, noAck: boolean): void {
  const { host } = channel;
  const { message, redelivered, deliveryCount } = delivery;
  channel.send({
    id: BASIC_GET_OK,
    deliveryTag: channel.deliveries.take(queue, delivery, noAck),
    redelivered,
    exchange: message.exchange,
    routingKey: message.routingKey,
    messageCount: queue.messageCount,
  });
  const told = queue.tellsDeliveryCount ? withDeliveryCount(message, deliveryCount) : message;
  writeContent(host.output, channel.number, host.session.frameMax, told);
}

function giveBack(queue: Queue, { message, position }: Delivery): void {
  queue.abandon(message, position);
  queue.deliver();
}

function settle(channel: Channel, tag: number, multiple: boolean, settlement: Settlement): void {
  const deliveries = channel.deliveries.claim(tag, multiple);
  if (deliveries.length === 0) return;
  if (channel.transaction === null) channel.deliveries.settle(deliveries, settlement);
  else channel.transaction.settlements.push({ deliveries, settlement });
}

function requireRequeue(requeue: boolean): void {
  if (!requeue) throw new AmqpError('NOT_IMPLEMENTED', 'requeue=false');
}
