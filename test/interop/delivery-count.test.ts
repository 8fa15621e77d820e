// The header by which a quorum queue tells how often a message came back. RabbitMQ tells consumers of it once it did, and basic.get always.
// See https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
import type { Channel } from 'amqplib';
import t, { type Test } from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { openSession, present, publish, type Session, subscribe } from '../helper/messages.ts';

const HEADER = 'x-delivery-count';

/** A session with a quorum queue, deleted when the test ends: it can't be exclusive. */
async function openQuorum(t: Test): Promise<Session> {
  const session = await openSession(t);
  const queue = uniqueName('quorum');
  await session.publisher.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
  t.teardown(async () => void (await session.publisher.deleteQueue(queue)));
  return { ...session, queue };
}

async function taken(channel: Channel, queue: string) {
  const message = present(await channel.get(queue));
  return { message, count: message.properties.headers?.[HEADER], redelivered: message.fields.redelivered };
}

t.test('a consumer is told of a message that came back, and not of one that did not', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['0']);
  const first = await inbox.next();
  t.equal(first.properties.headers?.[HEADER], undefined);
  t.notOk(first.fields.redelivered);
  channel.nack(first);
  for (let count = 1; count <= 3; count++) {
    const again = await inbox.next();
    t.equal(again.properties.headers?.[HEADER], count);
    t.ok(again.fields.redelivered);
    channel.nack(again);
  }
});

t.test('basic.get tells it always', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['0']);
  for (let count = 0; count < 3; count++) {
    const { message, ...told } = await taken(channel, queue);
    t.same(told, { count, redelivered: count > 0 });
    channel.reject(message);
  }
});

t.test('what a publisher says itself is replaced, and its other headers and properties stay', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  const headers = { z: 'z', [HEADER]: 'mine', a: 'a' };
  publisher.sendToQueue(queue, Buffer.from('0'), { headers, contentType: 'text/plain', messageId: 'id' });
  await publisher.waitForConfirms();
  const { inbox } = await subscribe(channel, queue);
  const first = await inbox.next();
  t.same(first.properties.headers, headers, 'as it was published');
  channel.nack(first);
  const again = await inbox.next();
  t.match(again.properties, { contentType: 'text/plain', messageId: 'id' });
  t.same(Object.entries(again.properties.headers ?? {}), [
    ['a', 'a'],
    [HEADER, 1],
    ['z', 'z'],
  ]);
  t.equal(again.content.toString(), '0');
});

t.test('a channel that ends counts as well, and basic.recover', async (t) => {
  const { connection, channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['0']);
  await taken(channel, queue);
  await channel.recover();
  t.equal((await taken(channel, queue)).count, 1);
  await channel.close();
  const { count } = await taken(await connection.createChannel(), queue);
  t.equal(count, 2);
});

t.test('a classic queue does not count', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['0']);
  const { message } = await taken(channel, queue);
  channel.nack(message);
  const { count, redelivered } = await taken(channel, queue);
  t.same({ count, redelivered }, { count: undefined, redelivered: true });
});
