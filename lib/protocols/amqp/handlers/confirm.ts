// The confirm class. See https://www.rabbitmq.com/docs/confirms
import { CONFIRM_SELECT_OK, type ConfirmSelect } from '../../../../codec/generated/methods.ts';
import { AmqpError } from '../amqp-error.ts';
import type { Channel } from '../channel.ts';

export function select(channel: Channel, method: ConfirmSelect): void {
  if (channel.transaction !== null) {
    throw new AmqpError('PRECONDITION_FAILED', 'cannot switch from tx to confirm mode');
  }
  channel.publisher.selectConfirms();
  if (!method.noWait) channel.send({ id: CONFIRM_SELECT_OK });
}
