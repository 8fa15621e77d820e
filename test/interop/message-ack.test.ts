// ack, nack, reject and recover: what is settled, what comes back, and where to.
import type { Channel, GetMessage } from 'amqplib';
import t from 'tap';
import {
  call,
  channelClose,
  connectionClose,
  drain,
  errorOf,
  openSession,
  present,
  publish,
  send,
  subscribe,
  texts,
} from '../helper/messages.ts';

async function get(channel: Channel, queue: string, count: number): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  while (messages.length < count) messages.push(present(await channel.get(queue)));
  return messages;
}

/** A session with five messages, of which the first three were got and are not acknowledged. */
async function withThreeOutstanding(t: Parameters<typeof openSession>[0]) {
  const session = await openSession(t);
  await publish(session.publisher, session.queue, ['1', '2', '3', '4', '5']);
  const [first, second, third] = (await get(session.channel, session.queue, 3)) as [GetMessage, GetMessage, GetMessage];
  return { ...session, first, second, third };
}

/** What is left in the queue once the channel is closed: everything that was not settled. */
async function leftAfterClose(channel: Channel, other: Channel, queue: string): Promise<string[]> {
  await channel.close();
  return drain(other, queue);
}

t.test('ack settles one message', async (t) => {
  const { channel, publisher, queue, second } = await withThreeOutstanding(t);
  channel.ack(second);
  t.same(await leftAfterClose(channel, publisher, queue), ['1', '3', '4', '5']);
});

t.test('ack allUpTo settles it and all before', async (t) => {
  const { channel, publisher, queue, second } = await withThreeOutstanding(t);
  channel.ack(second, true);
  t.same(await leftAfterClose(channel, publisher, queue), ['3', '4', '5']);
});

t.test('ackAll settles every outstanding message', async (t) => {
  const { channel, publisher, queue } = await withThreeOutstanding(t);
  channel.ackAll();
  t.same(await leftAfterClose(channel, publisher, queue), ['4', '5']);
});

t.test('ackAll and nackAll with nothing outstanding are fine', async (t) => {
  const { channel, queue } = await openSession(t);
  channel.ackAll();
  channel.nackAll();
  t.equal(await channel.get(queue), false);
});

t.test('nack requeues one message to its place, marked as redelivered', async (t) => {
  const { channel, queue, second } = await withThreeOutstanding(t);
  channel.nack(second);
  const [again, next] = (await get(channel, queue, 2)) as [GetMessage, GetMessage];
  t.same(texts([again, next]), ['2', '4']);
  t.equal(again.fields.redelivered, true);
  t.equal(next.fields.redelivered, false);
});

t.test('messages requeued in any order go back to their original places', async (t) => {
  const { channel, queue, first, third } = await withThreeOutstanding(t);
  channel.nack(third);
  channel.nack(first);
  t.same(await drain(channel, queue), ['1', '3', '4', '5']);
});

t.test('nack allUpTo requeues in order', async (t) => {
  const { channel, queue, third } = await withThreeOutstanding(t);
  channel.nack(third, true);
  t.same(await drain(channel, queue), ['1', '2', '3', '4', '5']);
});

t.test('nack without requeue drops one message, or all up to it', async (t) => {
  const { channel, publisher, queue, first, third } = await withThreeOutstanding(t);
  channel.nack(first, false, false);
  channel.nack(third, true, false);
  t.same(await leftAfterClose(channel, publisher, queue), ['4', '5']);
});

t.test('nackAll requeues everything outstanding; without requeue drops it', async (t) => {
  const { channel, queue } = await withThreeOutstanding(t);
  channel.nackAll();
  t.same(texts(await get(channel, queue, 2)), ['1', '2']);
  channel.nackAll(false);
  t.same(await drain(channel, queue), ['3', '4', '5']);
});

t.test('reject requeues by default, and drops with false', async (t) => {
  const { channel, queue, first, second } = await withThreeOutstanding(t);
  channel.reject(first);
  channel.reject(second, false);
  t.same(await drain(channel, queue), ['1', '4', '5']);
});

t.test('a requeued message goes out again at once, to the same consumer when it is alone', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  channel.nack(await inbox.next());
  const again = await inbox.next();
  t.equal(again.content.toString(), '1');
  t.match(again.fields, { redelivered: true, deliveryTag: 2 });
});

t.test('closing the channel requeues in order before it is answered', async (t) => {
  const { channel, publisher, queue, second } = await withThreeOutstanding(t);
  channel.ack(second);
  await channel.close();
  t.equal((await publisher.checkQueue(queue)).messageCount, 4);
  const messages = await get(publisher, queue, 4);
  t.same(texts(messages), ['1', '3', '4', '5']);
  t.same(
    messages.map((message) => message.fields.redelivered),
    [true, true, false, false],
  );
});

t.test('recover requeues everything outstanding; the old tags are void', async (t) => {
  const { channel, queue, first } = await withThreeOutstanding(t);
  await channel.recover();
  const messages = await get(channel, queue, 4);
  t.same(texts(messages), ['1', '2', '3', '4']);
  t.same(
    messages.map((message) => message.fields.redelivered),
    [true, true, true, false],
  );
  const error = errorOf(channel);
  channel.ack(first);
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80));
});

t.test('recover redelivers to the consumer with new tags', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  await inbox.take(2);
  await channel.recover();
  const again = await inbox.take(2);
  t.same(texts(again), ['1', '2']);
  t.match(again[0]?.fields, { deliveryTag: 3, redelivered: true });
});

t.test('recover with nothing outstanding is answered', async (t) => {
  const { channel } = await openSession(t);
  t.same(await channel.recover(), {});
});

t.test('recover-async requeues without an answer', async (t) => {
  const { channel, queue } = await withThreeOutstanding(t);
  send(channel, 'BasicRecoverAsync', { requeue: true });
  t.same(await drain(channel, queue), ['1', '2', '3', '4', '5']);
});

t.test('recover without requeue closes the connection with 540', async (t) => {
  const { connection, channel } = await openSession(t);
  const error = errorOf(connection);
  await t.rejects(call(channel, 'BasicRecover', { requeue: false }));
  t.match(await error, connectionClose(540, 'NOT_IMPLEMENTED - requeue=false'));
});

t.test('recover-async without requeue closes the connection with 540', async (t) => {
  const { connection, channel } = await openSession(t);
  const error = errorOf(connection);
  send(channel, 'BasicRecoverAsync', { requeue: false });
  t.match(await error, connectionClose(540, 'NOT_IMPLEMENTED - requeue=false'));
});

const settle: [string, string, number, object][] = [
  ['ack', 'BasicAck', 80, { multiple: false }],
  ['ack allUpTo', 'BasicAck', 80, { multiple: true }],
  ['nack', 'BasicNack', 120, { multiple: false, requeue: true }],
  ['nack allUpTo', 'BasicNack', 120, { multiple: true, requeue: true }],
  ['reject', 'BasicReject', 90, { requeue: true }],
];
for (const [name, method, methodId, fields] of settle) {
  t.test(`${name} beyond the highest tag closes the channel with 406 and settles nothing`, async (t) => {
    const { channel, publisher, queue } = await withThreeOutstanding(t);
    const error = errorOf(channel);
    send(channel, method, { ...fields, deliveryTag: 4 });
    t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 4', 60, methodId));
    t.same(await drain(publisher, queue), ['1', '2', '3', '4', '5']);
  });
}

t.test('settling a message twice closes the channel with 406', async (t) => {
  const { channel, second } = await withThreeOutstanding(t);
  const error = errorOf(channel);
  channel.ack(second);
  channel.ack(second);
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 2', 60, 80));
});

t.test('multiple with a settled tag closes the channel, though a lower one is outstanding', async (t) => {
  const { channel, second } = await withThreeOutstanding(t);
  const error = errorOf(channel);
  channel.ack(second);
  channel.ack(second, true);
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 2', 60, 80));
});

t.test('tag 0 without multiple closes the channel with 406', async (t) => {
  const { channel } = await withThreeOutstanding(t);
  const error = errorOf(channel);
  send(channel, 'BasicAck', { deliveryTag: 0, multiple: false });
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 0', 60, 80));
});

t.test('a noAck delivery cannot be acknowledged', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['1']);
  const error = errorOf(channel);
  channel.ack(present(await channel.get(queue, { noAck: true })));
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80));
});

t.test('a delivery belongs to its channel: no other can acknowledge it', async (t) => {
  const { connection, channel, publisher, queue, first } = await withThreeOutstanding(t);
  const other = await connection.createChannel();
  const error = errorOf(other);
  other.ack(first);
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80));
  channel.ack(first);
  t.same(await leftAfterClose(channel, publisher, queue), ['2', '3', '4', '5']);
});

t.test('outstanding messages of a deleted queue can be acknowledged still', async (t) => {
  const { channel, publisher, queue, first, second } = await withThreeOutstanding(t);
  await publisher.deleteQueue(queue);
  channel.ack(first);
  channel.nack(second);
  t.same(await channel.recover(), {}, 'the channel lives');
});
