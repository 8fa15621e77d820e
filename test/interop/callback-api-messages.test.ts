// amqplib's callback API: publishing, consuming, acknowledging, confirms.
import { once } from 'node:events';
import {
  type Channel,
  type ConfirmChannel,
  type Connection,
  connect,
  type GetMessage,
  type Message,
  type Replies,
} from 'amqplib/callback_api';
import t, { type Test } from 'tap';
import { startTarget, uniqueName } from '../helper/broker.ts';
import { answer, channelClose, Inbox, present, quiet, text, texts } from '../helper/messages.ts';

interface CallbackSession {
  channel: Channel;
  publisher: ConfirmChannel;
  queue: string;
}

async function open(t: Test): Promise<CallbackSession> {
  const target = await startTarget(t);
  const connection = quiet(await answer<Connection>((done) => connect(target.url, done)));
  t.teardown(() => answer((done) => connection.close(done)));
  const channel = quiet(await answer<Channel>((done) => connection.createChannel(done)));
  const publisher = quiet(await answer<ConfirmChannel>((done) => connection.createConfirmChannel(done)));
  const options = { exclusive: true };
  const { queue } = await answer<Replies.AssertQueue>((done) => publisher.assertQueue(uniqueName(), options, done));
  return { channel, publisher, queue };
}

/** Publishes the numbers 1 to count and waits for their confirms. */
async function fill({ publisher, queue }: CallbackSession, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) publisher.sendToQueue(queue, Buffer.from(String(i)));
  await answer((done) => publisher.waitForConfirms(done));
}

function get(channel: Channel, queue: string, noAck = false): Promise<GetMessage | false> {
  return answer((done) => channel.get(queue, { noAck }, done));
}

async function drain(channel: Channel, queue: string): Promise<string[]> {
  const received: string[] = [];
  for (;;) {
    const message = await get(channel, queue, true);
    if (message === false) return received;
    received.push(text(message));
  }
}

async function close(channel: Channel): Promise<void> {
  await answer((done) => channel.close(done));
}

t.test('consume calls back with its tag, then delivers', async (t) => {
  const session = await open(t);
  const { channel, queue } = session;
  const inbox = new Inbox();
  const options = { consumerTag: 'mine', noAck: true };
  t.same(await answer((done) => channel.consume(queue, inbox.receive, options, done)), { consumerTag: 'mine' });
  await fill(session, 3);
  t.same(texts(await inbox.take(3)), ['1', '2', '3']);
});

t.test('consume from a missing queue gives the error to the callback', async (t) => {
  const { channel } = await open(t);
  const name = uniqueName();
  await t.rejects(
    answer((done) => channel.consume(name, () => undefined, {}, done)),
    channelClose(404, `NOT_FOUND - no queue '${name}' in vhost '/'`, 60, 20),
  );
});

t.test('cancel calls back, and nothing more is delivered', async (t) => {
  const session = await open(t);
  const { channel, queue } = session;
  const inbox = new Inbox();
  await answer((done) => channel.consume(queue, inbox.receive, { consumerTag: 'mine' }, done));
  t.same(await answer((done) => channel.cancel('mine', done)), { consumerTag: 'mine' });
  await fill(session, 1);
  t.same(await drain(channel, queue), ['1']);
  t.equal(inbox.size, 0);
});

t.test('a queue that is deleted gives its consumer a null message and a cancel event', async (t) => {
  const { channel, publisher, queue } = await open(t);
  const inbox = new Inbox();
  await answer((done) => channel.consume(queue, inbox.receive, { consumerTag: 'mine' }, done));
  const cancelled = once(channel, 'cancel');
  publisher.deleteQueue(queue);
  t.equal(await inbox.nextOrCancel(), null);
  t.match(await cancelled, [{ consumerTag: 'mine' }]);
});

t.test('get calls back with a message or with false', async (t) => {
  const session = await open(t);
  const { channel, queue } = session;
  t.equal(await get(channel, queue), false);
  await fill(session, 2);
  t.match(present(await get(channel, queue)).fields, { deliveryTag: 1, messageCount: 1, redelivered: false });
});

t.test('get from a missing queue gives the error to the callback', async (t) => {
  const { channel } = await open(t);
  await t.rejects(get(channel, uniqueName()), { code: 404, classId: 60, methodId: 70 });
});

t.test('ack, ack allUpTo and ackAll', async (t) => {
  const session = await open(t);
  const { channel, publisher, queue } = session;
  await fill(session, 7);
  const messages = [];
  for (let i = 0; i < 5; i++) messages.push(present(await get(channel, queue)));
  channel.ack(messages[2] as Message);
  channel.ack(messages[1] as Message, true);
  channel.ackAll();
  await close(channel);
  t.same(await drain(publisher, queue), ['6', '7']);
});

t.test('nack, nackAll and reject, with and without requeue', async (t) => {
  const session = await open(t);
  const { channel, queue } = session;
  await fill(session, 7);
  const messages = [];
  for (let i = 0; i < 6; i++) messages.push(present(await get(channel, queue)));
  channel.nack(messages[0] as Message, false, false);
  channel.nack(messages[1] as Message);
  channel.reject(messages[2] as Message);
  channel.reject(messages[3] as Message, false);
  channel.nackAll();
  t.same(await drain(channel, queue), ['2', '3', '5', '6', '7']);
});

t.test('prefetch calls back and limits', async (t) => {
  const session = await open(t);
  const { channel, publisher, queue } = session;
  const inbox = new Inbox();
  t.same(await answer((done) => channel.prefetch(2, false, done)), {});
  t.same(await answer((done) => channel.prefetch(5, true, done)), {});
  await answer((done) => channel.consume(queue, inbox.receive, {}, done));
  await fill(session, 5);
  t.same(texts(await inbox.take(2)), ['1', '2']);
  t.match(await answer((done) => publisher.checkQueue(queue, done)), { messageCount: 3, consumerCount: 1 });
});

t.test('recover calls back and redelivers', async (t) => {
  const session = await open(t);
  const { channel, queue } = session;
  const inbox = new Inbox();
  await answer((done) => channel.consume(queue, inbox.receive, {}, done));
  await fill(session, 2);
  await inbox.take(2);
  t.same(await answer((done) => channel.recover(done)), {});
  const again = await inbox.take(2);
  t.same(texts(again), ['1', '2']);
  t.ok(again.every((message) => message.fields.redelivered));
});

t.test('publish takes every property', async (t) => {
  const { channel, queue } = await open(t);
  const properties = {
    contentType: 'text/plain',
    contentEncoding: 'utf-8',
    headers: { a: [1, { b: 'c' }] },
    deliveryMode: 2,
    priority: 3,
    correlationId: 'c',
    replyTo: 'r',
    expiration: '60000',
    messageId: 'm',
    timestamp: 12345,
    type: 't',
    userId: 'guest',
    appId: 'a',
  };
  channel.publish('', queue, Buffer.from('hare'), properties);
  t.match(present(await get(channel, queue)).properties, properties);
});

t.test('an unroutable mandatory message comes back', async (t) => {
  const { channel } = await open(t);
  const returned = once(channel, 'return');
  channel.publish('amq.topic', 'nobody', Buffer.from('hare'), { mandatory: true });
  const [message] = (await returned) as [Message];
  t.match(message.fields, { replyCode: 312, replyText: 'NO_ROUTE', exchange: 'amq.topic', routingKey: 'nobody' });
});

t.test('a publish that is refused closes the channel with an error event', async (t) => {
  const { channel } = await open(t);
  const failed = new Promise((resolve) => channel.on('error', resolve));
  const name = uniqueName('no-exchange');
  channel.publish(name, 'k', Buffer.from('hare'));
  t.match(await failed, channelClose(404, `NOT_FOUND - no exchange '${name}' in vhost '/'`, 60, 40));
});

t.test('publish and sendToQueue of a confirm channel call back, and drain follows a full buffer', async (t) => {
  const { publisher, queue } = await open(t);
  const outcomes = await Promise.all([
    answer<unknown>((done) => publisher.sendToQueue(queue, Buffer.from('1'), {}, done)),
    answer<unknown>((done) => publisher.publish('', queue, Buffer.from('2'), {}, done)),
    answer<unknown>((done) => publisher.publish('amq.direct', 'nobody', Buffer.from('3'), {}, done)),
  ]);
  t.equal(outcomes.length, 3);
  const drained = once(publisher, 'drain');
  while (publisher.sendToQueue(queue, Buffer.alloc(100_000)));
  await drained;
  await answer((done) => publisher.waitForConfirms(done));
});

t.test('waitForConfirms gives an error when the channel is closed meanwhile', async (t) => {
  const { publisher, queue } = await open(t);
  publisher.publish(uniqueName('no-exchange'), 'k', Buffer.from('1'));
  publisher.sendToQueue(queue, Buffer.from('2'));
  await t.rejects(
    answer((done) => publisher.waitForConfirms(done)),
    { message: 'channel closed' },
  );
});
