// Messages of a quorum queue: how often they came back, where they come back to, and what such queues do otherwise than classic ones.
import type { Channel, ChannelModel, GetMessage } from 'amqplib';
import t, { type Test } from 'tap';
import { againstPeer } from '../helper/broker.ts';
import {
  call,
  channelClose,
  connectionClose,
  errorOf,
  openConnection,
  openSession,
  present,
  publish,
  quiet,
  type Session,
  texts,
} from '../helper/messages.ts';
import { counted, deliveryCount, getSome, outcomeOf, quorumQueue, takeCounted } from '../helper/quorum.ts';
import { passed, publishAll, subscribe, untilReady } from '../helper/ttl.ts';

/** A session whose queue is a quorum queue. */
async function openQuorum(t: Test, args: Record<string, unknown> = {}): Promise<Session> {
  const session = await openSession(t);
  return { ...session, queue: await quorumQueue(t, session.target, args) };
}

t.test('basic.get counts from the first delivery on: returns of every kind', async (t) => {
  const { connection, target, publisher, queue } = await openQuorum(t);
  await publishAll(publisher, queue, [['a', { headers: { mine: 'x' } }]]);
  let channel = await connection.createChannel();
  const next = async (count: number): Promise<GetMessage> => {
    const message = present(await channel.get(queue));
    t.same(message.properties.headers, { mine: 'x', 'x-delivery-count': count });
    t.equal(message.fields.redelivered, count > 0);
    return message;
  };
  channel.nack(await next(0));
  channel.reject(await next(1), true);
  await next(2);
  await channel.recover();
  await next(3);
  await channel.close();
  const other = await openConnection(t, target);
  channel = await other.createChannel();
  await untilReady(publisher, queue, 1);
  await next(4);
  await other.close();
  channel = publisher;
  await untilReady(publisher, queue, 1);
  channel.ack(await next(5));
});

t.test('a consumer sees the count of what came back, and nothing on what did not', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publishAll(publisher, queue, [['a', { headers: { mine: 'x' } }]]);
  const { inbox } = await subscribe(channel, queue);
  const first = await inbox.next();
  t.same(first.properties.headers, { mine: 'x' });
  t.equal(first.fields.redelivered, false);
  channel.nack(first);
  for (const count of [1, 2, 3]) {
    const message = await inbox.next();
    t.same(message.properties.headers, { mine: 'x', 'x-delivery-count': count });
    t.equal(message.fields.redelivered, true);
    channel.nack(message);
  }
});

t.test('a message without headers gets them with the count', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  // amqplib publishes a table of headers even where it is given none.
  sendBare(publisher, queue);
  await untilReady(publisher, queue, 1);
  const { inbox } = await subscribe(channel, queue);
  const first = await inbox.next();
  t.equal(first.properties.headers, undefined);
  channel.nack(first);
  t.same((await inbox.next()).properties.headers, { 'x-delivery-count': 1 });
});

t.test(
  "a publisher's own x-delivery-count says nothing: it reaches a consumer once, then the queue's takes its place",
  async (t) => {
    const { channel, publisher, queue } = await openQuorum(t);
    const headers = { 'x-delivery-count': 7, other: true };
    await publishAll(publisher, queue, [['a', { headers }]]);
    const { inbox } = await subscribe(channel, queue);
    const first = await inbox.next();
    t.same(first.properties.headers, headers);
    channel.nack(first);
    t.same((await inbox.next()).properties.headers, { 'x-delivery-count': 1, other: true });
  },
);

t.test('nothing limits how often a message comes back, unless a limit is set', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['a']);
  for (let count = 0; count < 40; count++) channel.nack(present(await channel.get(queue)));
  t.equal(deliveryCount(present(await channel.get(queue))), 40);
});

/** What happens to the first three of five messages, which one channel got. */
const RETURNS: readonly {
  readonly how: string;
  readonly settle: (channel: Channel, messages: readonly GetMessage[], connection: ChannelModel) => unknown;
  /** Without a delivery limit. */
  readonly order: readonly string[];
  readonly orderWithLimit: readonly string[];
}[] = [
  {
    how: 'the second is refused',
    settle: (channel, [, second]) => channel.nack(second),
    order: ['4', '5', '2#1'],
    orderWithLimit: ['2#1', '4', '5'],
  },
  {
    how: 'all are refused, one by one',
    settle: (channel, [first, second, third]) => {
      for (const message of [third, first, second]) channel.reject(message, true);
    },
    order: ['4', '5', '3#1', '1#1', '2#1'],
    orderWithLimit: ['3#1', '1#1', '2#1', '4', '5'],
  },
  {
    how: 'all are refused at once',
    settle: (channel, [, , third]) => channel.nack(third, true),
    order: ['4', '5', '1#1', '2#1', '3#1'],
    orderWithLimit: ['1#1', '2#1', '3#1', '4', '5'],
  },
  {
    how: 'all are recovered',
    settle: (channel) => channel.recover(),
    order: ['4', '5', '1#1', '2#1', '3#1'],
    orderWithLimit: ['1#1', '2#1', '3#1', '4', '5'],
  },
  {
    how: 'the channel closes',
    settle: (channel) => channel.close(),
    order: ['1#1', '2#1', '3#1', '4', '5'],
    orderWithLimit: ['1#1', '2#1', '3#1', '4', '5'],
  },
  {
    how: 'the connection closes, one of them acknowledged',
    settle: async (channel, [, second], connection) => {
      channel.ack(second);
      await channel.checkExchange('amq.direct'); // so that the acknowledgement is not lost with the connection
      await connection.close();
    },
    order: ['1#1', '3#1', '4', '5'],
    orderWithLimit: ['1#1', '3#1', '4', '5'],
  },
];

for (const { how, settle, order, orderWithLimit } of RETURNS) {
  for (const [args, expected] of [
    // So that a message which comes back for ever does not keep the log from being cut.
    [{}, order],
    [{ 'x-delivery-limit': 10 }, orderWithLimit],
  ] as const) {
    const limit = 'x-delivery-limit' in args ? 'with' : 'without';
    t.test(`where messages come back to when ${how}, ${limit} a delivery limit`, async (t) => {
      const { target, publisher, queue } = await openQuorum(t, args);
      await publish(publisher, queue, ['1', '2', '3', '4', '5']);
      const connection = await openConnection(t, target);
      const channel = await connection.createChannel();
      const messages = await getSome(channel, queue, 3);
      await settle(channel, messages, connection);
      await untilReady(publisher, queue, expected.length);
      t.same(await takeCounted(publisher, queue), expected);
    });
  }
}

t.test('what a consumer refuses goes behind what is ready, for it as well', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await channel.prefetch(1);
  await publish(publisher, queue, ['1', '2']);
  const { inbox } = await subscribe(channel, queue);
  const seen: string[] = [];
  for (let count = 0; count < 4; count++) {
    const message = await inbox.next();
    seen.push(counted(message));
    channel.nack(message);
  }
  t.same(seen, ['1', '2', '1#1', '2#1']);
});

t.test('with a delivery limit, it comes again at once', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t, { 'x-delivery-limit': 10 });
  await channel.prefetch(1);
  await publish(publisher, queue, ['1', '2']);
  const { inbox } = await subscribe(channel, queue);
  channel.nack(await inbox.next());
  t.equal(counted(await inbox.next()), '1#1');
});

t.test('what a cancelled consumer held stays its own, and comes back with its channel', async (t) => {
  const { connection, channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['1', '2', '3']);
  await channel.prefetch(2);
  const { consumerTag, inbox } = await subscribe(channel, queue);
  const [first] = await inbox.take(2);
  await channel.cancel(consumerTag);
  channel.ack(first);
  await channel.close();
  await untilReady(publisher, queue, 2);
  t.same(await takeCounted(await connection.createChannel(), queue), ['2#1', '3']);
});

t.test('a message is what it was, whatever its delivery mode', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publishAll(publisher, queue, [
    ['transient', { persistent: false, priority: 1 }],
    ['persistent', { persistent: true, priority: 9, type: 'b' }],
  ]);
  const [transient, persistent] = await getSome(channel, queue, 2);
  t.match(transient.properties, { deliveryMode: 1, priority: 1 });
  t.match(persistent.properties, { deliveryMode: 2, priority: 9, type: 'b' });
});

t.test('priorities of messages change nothing', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publishAll(publisher, queue, [
    ['1', { priority: 1 }],
    ['9', { priority: 9 }],
    ['5', { priority: 5 }],
  ]);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  t.same(texts(await inbox.take(3)), ['1', '9', '5']);
});

t.test('no-ack deliveries are settled when sent', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['1', '2']);
  channel.nack(present(await channel.get(queue)));
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  t.same((await inbox.take(2)).map(counted), ['2', '1#1']);
  await channel.close();
  // A message that came back would do so within this time.
  await passed(againstPeer ? 200 : 20);
  t.equal(await publisher.get(queue), false);
});

t.test('an unknown delivery tag closes the channel', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['1']);
  const message = present(await channel.get(queue));
  channel.ack(message);
  const error = errorOf(channel);
  channel.ack(message);
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80));
});

t.test('get, purge and delete count ready messages alone', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t);
  await publish(publisher, queue, ['1', '2', '3', '4']);
  const got = await getSome(channel, queue, 2);
  t.same(
    got.map(({ fields }) => fields.messageCount),
    [3, 2],
  );
  t.equal(await untilReady(channel, queue, 2), 2);
  t.same(await channel.purgeQueue(queue), { messageCount: 2 });
  t.same(await channel.purgeQueue(queue), { messageCount: 0 });
  channel.nack(got[0]);
  t.equal(counted(present(await channel.get(queue))), '1#1', 'purging left it alone');
  await publish(publisher, queue, ['5', '6']);
  t.same(await channel.deleteQueue(queue), { messageCount: 2 });
  t.same(await channel.deleteQueue(queue), { messageCount: 0 }, 'it is gone');
});

t.test('publishing in a transaction', async (t) => {
  const { connection, publisher, queue } = await openQuorum(t);
  const channel = await connection.createChannel();
  await call(channel, 'TxSelect');
  channel.sendToQueue(queue, Buffer.from('1'));
  t.equal((await channel.checkQueue(queue)).messageCount, 0);
  await call(channel, 'TxCommit');
  t.equal(await untilReady(publisher, queue, 1), 1);
});

for (const [flags, flag] of [
  [{ ifUnused: true }, 'if-unused'],
  [{ ifEmpty: true }, 'if-empty'],
  [{ ifEmpty: true, ifUnused: true }, 'if-unused'],
] as const) {
  t.test(
    `delete with ${Object.keys(flags).join(' and ')} closes the connection, whatever is in the queue`,
    async (t) => {
      const { target, channel, publisher, queue } = await openQuorum(t);
      const reason = `queue.delete operations with ${flag} flag set are not supported by quorum queues`;
      const expected = connectionClose(540, `NOT_IMPLEMENTED - cannot delete queue '${queue}' in vhost '/'. ${reason}`);
      for (const bodies of [[], ['1']]) {
        await publish(publisher, queue, bodies);
        const connection = await openConnection(t, target);
        const other = quiet(await connection.createChannel());
        t.match(await outcomeOf(connection, async () => other.deleteQueue(queue, flags)), expected);
      }
      t.same(await channel.deleteQueue(queue), { messageCount: 1 });
      t.same(await channel.deleteQueue(queue, flags), { messageCount: 0 }, 'what is not there is no quorum queue');
    },
  );
}

/** Publishes a message that has no properties at all. */
function sendBare(channel: Channel, queue: string): void {
  const fields = { exchange: '', routingKey: queue, mandatory: false, immediate: false, ticket: 0 };
  const raw = quiet(channel) as unknown as { sendMessage(fields: object, properties: object, body: Buffer): void };
  raw.sendMessage(fields, {}, Buffer.from('bare'));
}
