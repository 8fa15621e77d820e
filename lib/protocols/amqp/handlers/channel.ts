// The channel class, and the access class of older protocol versions that some clients still speak.
import { ACCESS_REQUEST_OK, CHANNEL_FLOW_OK, type ChannelFlow } from '../../../../codec/generated/methods.ts';
import { AmqpError } from '../amqp-error.ts';
import type { Channel } from '../channel.ts';

export function openTwice(): never {
  throw new AmqpError('CHANNEL_ERROR', "second 'channel.open' seen");
}

/** As RabbitMQ: a client can't stop deliveries this way; basic.qos is for that. */
export function flow(channel: Channel, method: ChannelFlow): void {
  if (!method.active) throw new AmqpError('NOT_IMPLEMENTED', 'active=false');
  channel.send({ id: CHANNEL_FLOW_OK, active: true });
}

/** Everything is granted, with a ticket that nothing looks at. */
export function accessRequest(channel: Channel): void {
  channel.send({ id: ACCESS_REQUEST_OK, ticket: 1 });
}
