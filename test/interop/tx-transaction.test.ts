// tx.select, commit and rollback, over publishes and acknowledgements. amqplib has no API for it: `call` sends its methods.
import { once } from 'node:events';
import type { GetMessage, Message } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  call,
  channelClose,
  drain,
  errorOf,
  openSession,
  present,
  publish,
  subscribe,
  text,
  texts,
} from '../helper/messages.ts';

const body = Buffer.from('hare');

async function openTransaction(t: Parameters<typeof openSession>[0]) {
  const session = await openSession(t);
  await call(session.channel, 'TxSelect');
  return session;
}

/** A transaction in which messages 1 and 2 were got and acknowledged, and 3 is left in the queue. */
async function withTwoAcknowledged(t: Parameters<typeof openSession>[0]) {
  const session = await openTransaction(t);
  const { channel, publisher, queue } = session;
  await publish(publisher, queue, ['1', '2', '3']);
  const first: GetMessage = present(await channel.get(queue));
  const second: GetMessage = present(await channel.get(queue));
  channel.ack(first);
  channel.ack(second);
  return { ...session, first, second };
}

for (const [name, methodId] of [
  ['TxCommit', 20],
  ['TxRollback', 30],
] as const) {
  t.test(`${name} without select closes the channel with 406`, async (t) => {
    const { channel } = await openSession(t);
    const expected = channelClose(406, 'PRECONDITION_FAILED - channel is not transactional', 90, methodId);
    await t.rejects(call(channel, name), expected);
  });
}

t.test('publishes are visible after commit only', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  channel.sendToQueue(queue, Buffer.from('1'));
  channel.sendToQueue(queue, Buffer.from('2'));
  t.equal(await channel.get(queue), false);
  await call(channel, 'TxCommit');
  t.same(await drain(publisher, queue), ['1', '2']);
});

t.test('rollback drops publishes', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  channel.sendToQueue(queue, Buffer.from('never'));
  await call(channel, 'TxRollback');
  channel.sendToQueue(queue, Buffer.from('after'));
  await call(channel, 'TxCommit');
  t.same(await drain(publisher, queue), ['after']);
});

t.test('commit with nothing to commit, twice in a row', async (t) => {
  const { channel } = await openTransaction(t);
  t.same(await call(channel, 'TxCommit'), {});
  t.same(await call(channel, 'TxCommit'), {});
});

t.test('a second select keeps what is pending', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  channel.sendToQueue(queue, Buffer.from('1'));
  await call(channel, 'TxSelect');
  await call(channel, 'TxCommit');
  t.same(await drain(publisher, queue), ['1']);
});

t.test('closing the channel drops publishes and takes back acks', async (t) => {
  const { channel, publisher, queue } = await withTwoAcknowledged(t);
  channel.sendToQueue(queue, Buffer.from('never'));
  await channel.close();
  const again = present(await publisher.get(queue));
  t.equal(text(again), '1');
  t.equal(again.fields.redelivered, true);
  t.same(await drain(publisher, queue), ['2', '3']);
});

t.test('acks take effect at commit', async (t) => {
  const { channel, publisher, queue } = await withTwoAcknowledged(t);
  await call(channel, 'TxCommit');
  await channel.close();
  t.same(await drain(publisher, queue), ['3']);
});

t.test('rollback makes acknowledged messages outstanding again, with the same tags', async (t) => {
  const { channel, publisher, queue, first, second } = await withTwoAcknowledged(t);
  await call(channel, 'TxRollback');
  channel.ack(first);
  channel.nack(second);
  await call(channel, 'TxCommit');
  await channel.close();
  t.same(await drain(publisher, queue), ['2', '3']);
});

t.test('rollback redelivers nothing by itself', async (t) => {
  const { channel, queue } = await withTwoAcknowledged(t);
  await call(channel, 'TxRollback');
  t.same(await drain(channel, queue), ['3']);
});

t.test('nack with requeue is done at commit', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  await publish(publisher, queue, ['1', '2']);
  channel.nack(present(await channel.get(queue)));
  t.equal(text(present(await channel.get(queue))), '2');
  await call(channel, 'TxCommit');
  const again = present(await channel.get(queue));
  t.equal(text(again), '1');
  t.equal(again.fields.redelivered, true);
});

t.test('an ack makes room under the prefetch limit at commit only', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  await channel.prefetch(1);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  channel.ack(await inbox.next());
  await channel.assertQueue('', { exclusive: true }); // the ack has been handled when this is answered
  t.equal((await publisher.checkQueue(queue)).messageCount, 1);
  await call(channel, 'TxCommit');
  t.equal(text(await inbox.next()), '2');
});

t.test('an unknown tag is an error at the ack, not at commit', async (t) => {
  const { channel, first } = await withTwoAcknowledged(t);
  const error = errorOf(channel);
  channel.ack(first);
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80));
});

t.test('recover leaves what the transaction has acknowledged', async (t) => {
  const { channel, publisher, queue } = await withTwoAcknowledged(t);
  t.equal(text(present(await channel.get(queue))), '3');
  await channel.recover();
  await call(channel, 'TxCommit');
  await channel.close();
  t.same(await drain(publisher, queue), ['3']);
});

t.test('mandatory messages come back at commit, in order, before commit-ok', async (t) => {
  const { channel, queue } = await openTransaction(t);
  const events: string[] = [];
  channel.on('return', (message: Message) => events.push(text(message)));
  channel.sendToQueue(uniqueName(), Buffer.from('1'), { mandatory: true });
  channel.sendToQueue(queue, Buffer.from('2'), { mandatory: true });
  channel.sendToQueue(uniqueName(), Buffer.from('3'), { mandatory: true });
  t.same(await channel.get(queue), false);
  t.same(events, []);
  await call(channel, 'TxCommit');
  events.push('commit-ok');
  t.same(events, ['1', '3', 'commit-ok']);
});

t.test('rollback forgets mandatory messages as well', async (t) => {
  const { channel } = await openTransaction(t);
  channel.on('return', () => t.fail('returned'));
  channel.sendToQueue(uniqueName(), body, { mandatory: true });
  await call(channel, 'TxRollback');
  t.same(await call(channel, 'TxCommit'), {});
});

t.test('a missing exchange is an error at the publish', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  const name = uniqueName('no-exchange');
  const error = errorOf(channel);
  channel.sendToQueue(queue, body);
  channel.publish(name, 'k', body);
  t.match(await error, channelClose(404, `NOT_FOUND - no exchange '${name}' in vhost '/'`, 60, 40));
  t.equal(await publisher.get(queue), false);
});

t.test('bindings count as they are at the publish, queues as they are at commit', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  const later = uniqueName();
  const returned = once(channel, 'return');
  channel.publish('amq.direct', queue, Buffer.from('unbound'), { mandatory: true });
  channel.sendToQueue(later, Buffer.from('declared later'));
  await publisher.bindQueue(queue, 'amq.direct', queue);
  await publisher.assertQueue(later, { exclusive: true });
  await call(channel, 'TxCommit');
  t.equal(text(((await returned) as [Message])[0]), 'unbound');
  t.same(await drain(publisher, later), ['declared later']);
});

t.test('a queue deleted before commit makes the message unroutable', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  const returned = once(channel, 'return');
  channel.sendToQueue(queue, body, { mandatory: true });
  t.equal(await channel.get(queue), false);
  await publisher.deleteQueue(queue);
  await call(channel, 'TxCommit');
  t.match((await returned)[0], { fields: { replyCode: 312, routingKey: queue } });
});

t.test('deliveries go on during a transaction', async (t) => {
  const { channel, publisher, queue } = await openTransaction(t);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['1', '2']);
  t.same(texts(await inbox.take(2)), ['1', '2']);
});
