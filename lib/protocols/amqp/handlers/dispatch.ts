// Which handler a method goes to. A method that only a server sends, or that belongs on channel 0, has none.
import * as methods from '../../../../codec/generated/methods.ts';
import { AmqpError } from '../amqp-error.ts';
import type { Channel } from '../channel.ts';
import * as basic from './basic.ts';
import * as channelClass from './channel.ts';
import * as confirm from './confirm.ts';
import * as exchange from './exchange.ts';
import * as queue from './queue.ts';
import * as tx from './tx.ts';

/** @throws {AmqpError | BrokerError} what is wrong with the method, for the channel or the connection to close with. */
export function handleMethod(channel: Channel, method: methods.Method): void {
  switch (method.id) {
    case methods.BASIC_ACK:
      return basic.ack(channel, method);
    case methods.BASIC_NACK:
      return basic.nack(channel, method);
    case methods.BASIC_REJECT:
      return basic.reject(channel, method);
    case methods.BASIC_GET:
      return basic.get(channel, method);
    case methods.BASIC_CONSUME:
      return basic.consume(channel, method);
    case methods.BASIC_CANCEL:
      return basic.cancel(channel, method);
    case methods.BASIC_QOS:
      return basic.qos(channel, method);
    case methods.BASIC_RECOVER:
      return basic.recover(channel, method);
    case methods.BASIC_RECOVER_ASYNC:
      return basic.recoverAsync(channel, method);
    case methods.QUEUE_DECLARE:
      return queue.declare(channel, method);
    case methods.QUEUE_BIND:
      return queue.bind(channel, method);
    case methods.QUEUE_UNBIND:
      return queue.unbind(channel, method);
    case methods.QUEUE_PURGE:
      return queue.purge(channel, method);
    case methods.QUEUE_DELETE:
      return queue.deleteQueue(channel, method);
    case methods.EXCHANGE_DECLARE:
      return exchange.declare(channel, method);
    case methods.EXCHANGE_DELETE:
      return exchange.deleteExchange(channel, method);
    case methods.EXCHANGE_BIND:
      return exchange.bind(channel, method);
    case methods.EXCHANGE_UNBIND:
      return exchange.unbind(channel, method);
    case methods.CONFIRM_SELECT:
      return confirm.select(channel, method);
    case methods.TX_SELECT:
      return tx.select(channel);
    case methods.TX_COMMIT:
      return tx.commit(channel);
    case methods.TX_ROLLBACK:
      return tx.rollback(channel);
    case methods.CHANNEL_OPEN:
      return channelClass.openTwice();
    case methods.CHANNEL_FLOW:
      return channelClass.flow(channel, method);
    case methods.CHANNEL_CLOSE:
      return channel.close();
    case methods.ACCESS_REQUEST:
      return channelClass.accessRequest(channel);
    default:
      throw new AmqpError('COMMAND_INVALID', 'unimplemented method');
  }
}
