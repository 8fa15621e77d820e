// Channels, consumers and deliveries that come and go by the thousand leave nothing behind.
import t from 'tap';
import { basicCancel, type Cycle, expectNothingLeft, requeueAll } from '../helper/embed-churn.ts';
import { ackConsume, queueDelete, sharedQueueDeclare } from '../helper/embed-client.ts';
import {
  basicPublish,
  channelClose,
  channelOpen,
  contentHeader,
  message,
  method,
  octet,
  queuePurge,
  short,
  shortString,
  table,
} from '../helper/wire-bytes.ts';

const cycles: Record<string, Cycle> = {
  'consumers that start, get messages, are cancelled and give them back': (id) => [
    ackConsume(1, 'stays', id),
    message(1, id, { routingKey: 'stays' }),
    message(1, id, { routingKey: 'stays' }),
    basicCancel(1, id),
    requeueAll(1),
    queuePurge(1, 'stays'),
  ],
  'consumers that end with their queue': (id) => [
    sharedQueueDeclare(1, id),
    ackConsume(1, id, id),
    message(1, id, { routingKey: id }),
    queueDelete(1, id),
    requeueAll(1),
  ],
  'channels that are closed with consumers, unacknowledged messages and open transactions': (id) => [
    channelOpen(2),
    sharedQueueDeclare(2, id),
    ackConsume(2, id, id),
    message(2, id, { routingKey: id }),
    method(2, 90, 10),
    message(2, id, { routingKey: id }),
    channelClose(2),
    queueDelete(1, id),
  ],
  'channels that are closed for an error': (id) => [
    channelOpen(2),
    ackConsume(2, 'stays', id),
    message(2, id, { exchange: 'missing' }),
    method(2, 20, 41),
  ],
  'clients of direct replies': (id) => [
    channelOpen(2),
    method(2, 60, 20, short(0), shortString('amq.rabbitmq.reply-to'), shortString(id), octet(0b0010), table()),
    basicPublish(2, { routingKey: 'stays' }),
    contentHeader(2, 0, { flags: 0x0200, properties: shortString('amq.rabbitmq.reply-to') }),
    channelClose(2),
    queuePurge(1, 'stays'),
  ],
};

for (const [title, cycle] of Object.entries(cycles)) {
  t.test(`10,000 ${title} leave nothing behind`, (t) => expectNothingLeft(t, cycle));
}
