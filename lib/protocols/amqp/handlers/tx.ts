// The tx class: publishes and acknowledgements held back until the commit. Errors in them show when they are made.
import { TX_COMMIT_OK, TX_ROLLBACK_OK, TX_SELECT_OK } from '../../../../codec/generated/methods.ts';
import { AmqpError } from '../amqp-error.ts';
import type { Channel } from '../channel.ts';
import { Transaction } from '../transaction.ts';

export function select(channel: Channel): void {
  if (channel.publisher.confirming) {
    throw new AmqpError('PRECONDITION_FAILED', 'cannot switch from confirm to tx mode');
  }
  channel.transaction ??= new Transaction(channel.host.session.memory);
  channel.send({ id: TX_SELECT_OK });
}

export function commit(channel: Channel): void {
  const transaction = transactionOf(channel);
  const { sequence } = channel.host.session.virtualHost.durability;
  // All in one turn, since what a turn does is made durable as a whole or not at all.
  let accepted = true;
  for (const held of transaction.publishes) if (!channel.publisher.release(held)) accepted = false;
  for (const { deliveries, settlement } of transaction.settlements) channel.deliveries.settle(deliveries, settlement);
  transaction.clear();
  // All but what was refused is done, as in RabbitMQ.
  if (!accepted) throw new AmqpError('PRECONDITION_FAILED', 'partial tx completion');
  channel.sendWhenDurable({ id: TX_COMMIT_OK }, sequence);
}

/** Drops the publishes; what was acknowledged is unacknowledged again, under the same tags. */
export function rollback(channel: Channel): void {
  const transaction = transactionOf(channel);
  channel.deliveries.restore(transaction.claimed());
  transaction.clear();
  channel.send({ id: TX_ROLLBACK_OK });
}

function transactionOf(channel: Channel): Transaction {
  if (channel.transaction === null) throw new AmqpError('PRECONDITION_FAILED', 'channel is not transactional');
  return channel.transaction;
}
