// What AMQP 0-9-1 has and RabbitMQ does not: hard errors, most of them 540.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicConsume,
  basicPublish,
  basicQos,
  bytes,
  contentHeader,
  long,
  method,
  octet,
  queueDeclare,
  short,
  shortString,
  table,
} from '../helper/wire-bytes.ts';
import { channelTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const immediate = (exchange: string) =>
  bytes(basicPublish(1, { immediate: true, mandatory: true, exchange }), contentHeader(1, 0));

const NOT_IMPLEMENTED: [string, Buffer, string, number, number][] = [
  ['channel.flow active=false', method(1, 20, 20, octet(0)), 'active=false', 20, 20],
  ['basic.qos with a prefetch-size', basicQos(1, 1, 0), 'prefetch_size!=0 (1)', 60, 10],
  ['basic.publish immediate', immediate(''), 'immediate=true', 60, 40],
  ['basic.publish immediate to an exchange that is not there', immediate('no-such-exchange'), 'immediate=true', 60, 40],
  ['basic.recover requeue=false', method(1, 60, 110, octet(0)), 'requeue=false', 60, 110],
  ['basic.recover-async requeue=false', method(1, 60, 100, octet(0)), 'requeue=false', 60, 100],
];

for (const [name, sent, text, classId, methodId] of NOT_IMPLEMENTED) {
  channelTest(target, `${name}: 540`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(540, `NOT_IMPLEMENTED - ${text}`, classId, methodId);
  });
}

channelTest(target, 'a consumer tag that is in use: 530', async ({ client }) => {
  const consume = method(1, 60, 20, short(0), shortString(''), shortString('tag'), octet(0), table());
  client.send(queueDeclare(1), consume);
  await client.expectMethod(1, 50, 11);
  await client.expectMethod(1, 60, 21);
  client.send(consume);
  await client.expectClose(530, "NOT_ALLOWED - attempt to reuse consumer tag 'tag'", 60, 20);
});

channelTest(target, 'an exchange type that is not there: 503', async ({ client }) => {
  client.send(method(1, 40, 10, short(0), shortString('x'), shortString('nosuch'), octet(0), long(0)));
  await client.expectClose(503, "COMMAND_INVALID - unknown exchange type 'nosuch'", 40, 10);
});

channelTest(target, 'an empty queue name before any queue was declared on the channel: 404', async ({ client }) => {
  client.send(basicConsume(1, ''));
  await client.expectChannelClose(1, 404, 'NOT_FOUND - no previously declared queue', 60, 20);
});

// RabbitMQ looks at a publish only when its content is there; until then nothing is wrong with it.
channelTest(target, 'basic.publish to an exchange that is not there: 404 once its content came', async ({ client }) => {
  await client.openChannel(2);
  client.send(basicPublish(1, { exchange: 'no-such-exchange' }), queueDeclare(2));
  await client.expectMethod(2, 50, 11);
  client.send(contentHeader(1, 0));
  await client.expectChannelClose(1, 404, "NOT_FOUND - no exchange 'no-such-exchange' in vhost '/'", 60, 40);
});
