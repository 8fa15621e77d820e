// x-delivery-limit: how often a message of a quorum queue may come back, and what becomes of it then.
import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import t, { type Test } from 'tap';
import { againstPeer } from '../helper/broker.ts';
import { openSession, present, publish, type Session, sharedQueue, text, texts } from '../helper/messages.ts';
import { counted, DELIVERY_COUNT, deliveryCount, getSome, quorumQueue, takeCounted } from '../helper/quorum.ts';
import { publishAll, subscribe, until, untilReady } from '../helper/ttl.ts';

interface LimitedSession extends Session {
  /** Gets the dead letters. */
  readonly deadQueue: string;
}

/** A quorum queue with a delivery limit, whose dead letters go to a classic queue. */
async function openLimited(t: Test, limit: unknown, args: Record<string, unknown> = {}): Promise<LimitedSession> {
  const session = await openSession(t);
  const deadQueue = session.queue;
  const queue = await quorumQueue(t, session.target, {
    'x-delivery-limit': limit,
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': deadQueue,
    ...args,
  });
  return { ...session, queue, deadQueue };
}

/** The dead letter, once it is there. */
async function deadLetter(channel: Channel, deadQueue: string): Promise<GetMessage> {
  return present(
    await until(
      () => channel.get(deadQueue, { noAck: true }),
      (message) => message !== false,
    ),
  );
}

type Return = (channel: Channel, message: GetMessage) => unknown;

const RETURNS: Record<string, Return> = {
  nack: (channel, message) => channel.nack(message),
  reject: (channel, message) => channel.reject(message, true),
  recover: (channel) => channel.recover(),
  'closing the channel': (channel) => channel.close(),
};

for (const limit of [0, 1, 3]) {
  for (const [how, giveBack] of Object.entries(RETURNS)) {
    t.test(`with a limit of ${limit}, ${how} brings a message back ${limit} times`, async (t) => {
      const { connection, publisher, queue, deadQueue } = await openLimited(t, limit);
      await publish(publisher, queue, ['a']);
      for (let count = 0; count <= limit; count++) {
        const channel = await connection.createChannel();
        await untilReady(publisher, queue, 1);
        const message = present(await channel.get(queue));
        t.equal(deliveryCount(message), count);
        await giveBack(channel, message);
        if (how !== 'closing the channel') await channel.close();
      }
      t.equal(text(await deadLetter(publisher, deadQueue)), 'a');
      t.equal(await publisher.get(queue), false);
    });
  }
}

t.test('a consumer gets a message once more than the limit says', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, 2);
  await publish(publisher, queue, ['a']);
  const { inbox } = await subscribe(channel, queue);
  const seen: string[] = [];
  for (let count = 0; count < 3; count++) {
    const message = await inbox.next();
    seen.push(counted(message));
    channel.nack(message);
  }
  t.same(seen, ['a', 'a#1', 'a#2']);
  t.equal(text(await deadLetter(publisher, deadQueue)), 'a');
  t.equal(inbox.size, 0);
});

t.test('the dead letter says why, and nothing of how often it was delivered', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, 1);
  const options = { headers: { mine: 'x' }, persistent: false, expiration: '60000', messageId: 'id' };
  await publishAll(publisher, queue, [['a', options]]);
  for (let count = 0; count < 2; count++) channel.nack(present(await channel.get(queue)));
  const dead = await deadLetter(publisher, deadQueue);
  t.match(dead.fields, { redelivered: false, exchange: '', routingKey: deadQueue });
  const { headers = {}, ...properties } = dead.properties;
  t.match(properties, { deliveryMode: 1, messageId: 'id', expiration: undefined });
  t.notOk(DELIVERY_COUNT in headers);
  t.match(headers, {
    mine: 'x',
    'x-first-death-reason': 'delivery_limit',
    'x-first-death-queue': queue,
    'x-first-death-exchange': '',
  });
  const deaths = headers['x-death'] ?? [];
  t.equal(deaths.length, 1);
  const [{ time, ...death }] = deaths;
  t.match(time, { '!': 'timestamp' });
  t.same(death, {
    count: 1,
    reason: 'delivery_limit',
    queue,
    exchange: '',
    'routing-keys': [queue],
    'original-expiration': '60000',
  });
});

t.test('a message that is rejected for good after it came back does not carry its count either', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, 5);
  await publish(publisher, queue, ['a']);
  channel.nack(present(await channel.get(queue)));
  channel.nack(present(await channel.get(queue)), false, false);
  const { headers = {} } = (await deadLetter(publisher, deadQueue)).properties;
  t.equal(headers['x-first-death-reason'], 'rejected');
  t.notOk(DELIVERY_COUNT in headers);
});

t.test('in another quorum queue, the dead letter is counted from the start', async (t) => {
  const { channel, publisher, target } = await openSession(t);
  const deadQueue = await quorumQueue(t, target);
  const dead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': deadQueue };
  const queue = await quorumQueue(t, target, { 'x-delivery-limit': 1, ...dead });
  await publish(publisher, queue, ['a']);
  for (let count = 0; count < 2; count++) channel.nack(present(await channel.get(queue)));
  const { inbox } = await subscribe(channel, deadQueue);
  const first = await inbox.next();
  t.equal(deliveryCount(first), undefined);
  channel.nack(first);
  const second = await inbox.next();
  t.equal(deliveryCount(second), 1);
  t.equal(second.properties.headers?.['x-first-death-reason'], 'delivery_limit');
});

t.test('without a dead-letter exchange the message is gone', async (t) => {
  const { channel, publisher, target } = await openSession(t);
  const queue = await quorumQueue(t, target, { 'x-delivery-limit': 1 });
  await publish(publisher, queue, ['a', 'b']);
  const seen: string[] = [];
  for (let count = 0; count < 4; count++) {
    const message = present(await channel.get(queue));
    seen.push(counted(message));
    channel.nack(message);
  }
  t.same(seen, ['a', 'a#1', 'b', 'b#1']);
  t.equal(await channel.get(queue), false);
});

t.test('several that reach the limit at once die in their order', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, 0);
  await publish(publisher, queue, ['1', '2', '3', '4']);
  const [, , third] = await getSome(channel, queue, 3);
  channel.nack(third, true);
  const dead: GetMessage[] = [];
  while (dead.length < 3) dead.push(await deadLetter(publisher, deadQueue));
  t.same(texts(dead), ['1', '2', '3']);
  t.same(await takeCounted(publisher, queue), ['4']);
});

t.test('what a lost consumer held counts as returned', async (t) => {
  const { connection, publisher, queue, deadQueue } = await openLimited(t, 1);
  await publish(publisher, queue, ['1', '2']);
  for (const expected of [
    ['1', '2'],
    ['1#1', '2#1'],
  ]) {
    const channel = await connection.createChannel();
    const { inbox } = await subscribe(channel, queue);
    t.same((await inbox.take(2)).map(counted), expected);
    await channel.close();
  }
  const dead = [await deadLetter(publisher, deadQueue), await deadLetter(publisher, deadQueue)];
  t.same(texts(dead), ['1', '2']);
});

t.test('a message that was acknowledged or taken without acknowledgement is not counted', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, 0);
  await publish(publisher, queue, ['1', '2']);
  channel.ack(present(await channel.get(queue)));
  await channel.get(queue, { noAck: true });
  t.equal(await channel.get(queue), false);
  t.equal(await publisher.get(deadQueue), false);
});

for (const [limit, what] of [
  ['2', 'a text'],
  [true, 'a boolean'],
] as const) {
  t.test(`${what} as a limit is none`, async (t) => {
    const { channel, publisher, queue } = await openLimited(t, limit);
    await publish(publisher, queue, ['a']);
    for (let count = 0; count < 6; count++) channel.nack(present(await channel.get(queue)));
    t.equal(counted(present(await channel.get(queue))), 'a#6');
  });
}

t.test('a negative limit', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, -1);
  await publish(publisher, queue, ['a']);
  channel.nack(present(await channel.get(queue)));
  // In RabbitMQ 3.10 it allows no return, as 0 does. From 4.0 on it means no limit, which is what Leveret takes it for.
  if (againstPeer) t.equal(text(await deadLetter(publisher, deadQueue)), 'a');
  else t.equal(counted(present(await channel.get(queue))), 'a#1');
});

t.test('a limit between two integers is the lower one', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openLimited(t, 1.5);
  await publish(publisher, queue, ['a']);
  for (let count = 0; count < 2; count++) channel.nack(present(await channel.get(queue)));
  t.equal(text(await deadLetter(publisher, deadQueue)), 'a');
});

t.test('dead-lettering at least once says delivery_limit as well', async (t) => {
  const { channel, publisher, target } = await openSession(t);
  const deadQueue = await sharedQueue(t, target, { durable: true });
  const queue = await quorumQueue(t, target, {
    'x-delivery-limit': 0,
    'x-overflow': 'reject-publish',
    'x-dead-letter-strategy': 'at-least-once',
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': deadQueue,
  });
  await publish(publisher, queue, ['a']);
  channel.nack(present(await channel.get(queue)));
  const { inbox } = await subscribe(channel, deadQueue, { noAck: true });
  const dead: ConsumeMessage = await inbox.next();
  t.equal(dead.properties.headers?.['x-first-death-reason'], 'delivery_limit');
});
