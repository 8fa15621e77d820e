// Consumers of a quorum queue: prefetch, priorities, exclusive use, arguments.
import t, { type Test } from 'tap';
import {
  channelClose,
  connectionClose,
  openConnection,
  openSession,
  publish,
  quiet,
  type Session,
  text,
  texts,
} from '../helper/messages.ts';
import { outcomeOf, quorumQueue } from '../helper/quorum.ts';
import { subscribe, untilReady } from '../helper/ttl.ts';

async function openQuorum(t: Test): Promise<Session> {
  const session = await openSession(t);
  return { ...session, queue: await quorumQueue(t, session.target) };
}

t.test('a channel with a global prefetch can not consume: the connection is closed', async (t) => {
  const { connection, channel, queue } = await openQuorum(t);
  await channel.prefetch(5, true);
  const told = await outcomeOf(connection, () => subscribe(channel, queue));
  const reason = `NOT_IMPLEMENTED - queue '${queue}' in vhost '/' does not support global qos`;
  t.match(told, connectionClose(540, reason));
});

t.test('a global prefetch that was taken back, or comes later, is let pass; so is basic.get', async (t) => {
  const { connection, channel, queue } = await openQuorum(t);
  await channel.prefetch(5, true);
  t.equal(await channel.get(queue), false);
  await channel.prefetch(0, true);
  await subscribe(channel, queue);
  const other = await connection.createChannel();
  await subscribe(other, queue);
  await t.resolves(other.prefetch(5, true));
});

t.test('each consumer has its own prefetch', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await channel.prefetch(1);
  const one = await subscribe(channel, queue);
  await channel.prefetch(2);
  const two = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  const [first] = await one.inbox.take(1);
  await two.inbox.take(2);
  t.equal(await untilReady(publisher, queue, 2), 2);
  channel.ack(first);
  t.equal(text(await one.inbox.next()), '4');
});

t.test('consumers of one priority take turns', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  const consumers = [await subscribe(channel, queue), await subscribe(channel, queue), await subscribe(channel, queue)];
  await publish(publisher, queue, ['1', '2', '3', '4', '5', '6']);
  const taken: string[][] = [];
  for (const { inbox } of consumers) taken.push(texts(await inbox.take(2)));
  t.same(taken, [
    ['1', '4'],
    ['2', '5'],
    ['3', '6'],
  ]);
});

t.test('consumers of a higher priority get everything while their prefetch allows', async (t) => {
  const { connection, publisher, queue } = await openQuorum(t);
  const consume = async (priority: number) => {
    const channel = await connection.createChannel();
    await channel.prefetch(2);
    return (await subscribe(channel, queue, { priority })).inbox;
  };
  const [low, high, alsoHigh] = [await consume(0), await consume(10), await consume(10)];
  await publish(publisher, queue, ['1', '2', '3', '4', '5', '6', '7']);
  t.same(texts(await high.take(2)), ['1', '3']);
  t.same(texts(await alsoHigh.take(2)), ['2', '4']);
  t.same(texts(await low.take(2)), ['5', '6']);
  t.equal(await untilReady(publisher, queue, 1), 1);
});

t.test('exclusive says nothing, as in RabbitMQ: others consume as well', async (t) => {
  const { connection, target, channel, publisher, queue } = await openQuorum(t);
  const one = await subscribe(channel, queue, { exclusive: true });
  const two = await subscribe(await connection.createChannel(), queue, { exclusive: true });
  const three = await subscribe(await (await openConnection(t, target)).createChannel(), queue);
  await publish(publisher, queue, ['1', '2', '3']);
  for (const { inbox } of [one, two, three]) t.match(text(await inbox.next()), /^[123]$/);
});

t.test('deleting the queue cancels its consumers', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  const { inbox } = await subscribe(channel, queue);
  await publisher.deleteQueue(queue);
  t.equal(await inbox.nextOrCancel(), null);
});

for (const type of ['classic', 'quorum']) {
  t.test(`consumer arguments of a ${type} queue`, async (t) => {
    const session = await openSession(t);
    const queue = type === 'quorum' ? await quorumQueue(t, session.target) : session.queue;
    const resource = `queue '${queue}' in vhost '/'`;
    const unsupported = `${resource} of queue type rabbit_${type}_queue`;
    const consume = async (args: Record<string, unknown>) => {
      const channel = quiet(await session.connection.createChannel());
      return subscribe(channel, queue, { arguments: args });
    };
    const refused: [argument: string, value: unknown, problem: string][] = [
      ['x-stream-offset', 'first', unsupported],
      ['x-priority', 'a', `${resource}: "expected integer, got longstr"`],
    ];
    // There is no mirror to fail over to, so the argument has no effect on a classic queue either.
    if (type === 'classic') await t.resolves(consume({ 'x-cancel-on-ha-failover': true }));
    const failover = type === 'quorum' ? unsupported : `${resource}: {unacceptable_type,longstr}`;
    refused.push(['x-cancel-on-ha-failover', 'yes', failover]);
    for (const [argument, value, problem] of refused) {
      const reason = `PRECONDITION_FAILED - invalid arg '${argument}' for ${problem}`;
      await t.rejects(consume({ [argument]: value }), channelClose(406, reason, 60, 20));
    }
    await t.resolves(consume({ 'x-priority': -1, 'x-anything': 'else' }));
  });
}
