// Expiry and length limits of quorum queues, where they go other ways than those of classic ones.
import t, { type Test } from 'tap';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import {
  drain,
  openSession,
  present,
  publish,
  quiet,
  readyCount,
  type Session,
  sharedQueue,
  subscribe,
  text,
  texts,
} from '../helper/messages.ts';
import { deliveryCount, getSome, quorum, quorumQueue } from '../helper/quorum.ts';
import {
  deathReason,
  isMissing,
  outcome,
  passed,
  publishAll,
  subscribe as subscribePatiently,
  until,
  untilReady,
} from '../helper/ttl.ts';

async function openQuorum(t: Test, args: Record<string, unknown>): Promise<Session> {
  const session = await openSession(t);
  return { ...session, queue: await quorumQueue(t, session.target, args) };
}

/** A quorum queue whose dead letters go to the session's own queue. */
async function openDeadLettering(t: Test, args: Record<string, unknown>): Promise<Session & { deadQueue: string }> {
  const session = await openSession(t);
  const dead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': session.queue };
  return { ...session, deadQueue: session.queue, queue: await quorumQueue(t, session.target, { ...dead, ...args }) };
}

t.test('a message expires when its own expiration or the TTL of the queue is over, whichever is shorter', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openDeadLettering(t, { 'x-message-ttl': 60_000 });
  const { inbox } = await subscribePatiently(channel, deadQueue, { noAck: true });
  await publishAll(publisher, queue, [
    ['1', { expiration: '20' }],
    ['2', { expiration: '90000' }],
  ]);
  const dead = await inbox.next();
  t.equal(deathReason(dead), 'expired');
  t.match(dead.properties.headers?.['x-death']?.[0], { 'original-expiration': '20', queue, count: 1 });
  t.same(await drain(publisher, queue), ['2']);
});

t.test('the TTL of the queue', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openDeadLettering(t, { 'x-message-ttl': 20 });
  const { inbox } = await subscribePatiently(channel, deadQueue, { noAck: true });
  await publish(publisher, queue, ['1', '2']);
  const dead = await inbox.take(2);
  t.same(texts(dead), ['1', '2']);
  t.same(dead.map(deathReason), ['expired', 'expired']);
  t.equal(await untilReady(publisher, queue, 0), 0);
});

t.test('what expires at once still reaches a consumer that waits for it', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t, { 'x-message-ttl': 0 });
  await publish(publisher, queue, ['for nobody']);
  t.equal(await untilReady(publisher, queue, 0), 0);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['for the consumer']);
  t.same(texts(await inbox.take(1)), ['for the consumer']);
});

t.test('what comes back after its time expires, and is not counted', async (t) => {
  const { channel, publisher, queue, deadQueue } = await openDeadLettering(t, { 'x-message-ttl': 400 });
  const { inbox } = await subscribePatiently(channel, deadQueue, { noAck: true });
  await publish(publisher, queue, ['1']);
  const message = present(await channel.get(queue));
  await passed(450);
  channel.nack(message);
  const dead = await inbox.next();
  t.equal(deathReason(dead), 'expired');
  t.equal(deliveryCount(dead), undefined);
});

for (const overflow of [undefined, 'drop-head', 'reject-publish-dlx']) {
  // reject-publish-dlx may be asked for, and means drop-head.
  t.test(`a full queue drops its oldest messages: x-overflow is ${overflow}`, async (t) => {
    const args = { 'x-max-length': 2, ...(overflow === undefined ? {} : { 'x-overflow': overflow }) };
    const { channel, publisher, queue, deadQueue } = await openDeadLettering(t, args);
    const { inbox } = await subscribePatiently(channel, deadQueue, { noAck: true });
    for (const body of ['1', '2', '3', '4', '5']) t.equal(await outcome(publisher, queue, body), 'ack');
    const dead = await inbox.take(3);
    t.same(texts(dead), ['1', '2', '3']);
    t.same(dead.map(deathReason), ['maxlen', 'maxlen', 'maxlen']);
    t.same(await drain(publisher, queue), ['4', '5']);
  });
}

t.test('a length in bytes drops the oldest, too', async (t) => {
  const { publisher, queue } = await openQuorum(t, { 'x-max-length-bytes': 10 });
  await publish(publisher, queue, ['aaaa', 'bbbb', 'cccc', 'd']);
  t.equal(await untilReady(publisher, queue, 3), 3);
  t.same(await drain(publisher, queue), ['bbbb', 'cccc', 'd']);
  await publish(publisher, queue, ['longer than all']);
  t.equal(await untilReady(publisher, queue, 0), 0);
});

t.test('a queue of length 0 gives what comes to its consumers alone', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t, { 'x-max-length': 0 });
  await publish(publisher, queue, ['1']);
  t.equal(await untilReady(publisher, queue, 0), 0);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['2']);
  t.same(texts(await inbox.take(1)), ['2']);
});

t.test('what is not acknowledged has no part in the length', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t, { 'x-max-length': 2 });
  await publish(publisher, queue, ['1', '2']);
  const [first] = await getSome(channel, queue, 1);
  await publish(publisher, queue, ['3']);
  t.equal(await untilReady(publisher, queue, 2), 2);
  channel.nack(first);
  t.equal((await channel.checkQueue(queue)).messageCount, 2);
  t.same(await drain(channel, queue), ['3', '1'], 'it came back behind the others, and pushed out the first');
});

for (const [limit, allowed] of [
  [{ 'x-max-length': 3 }, 3],
  [{ 'x-max-length-bytes': 12 }, 3],
] as const) {
  t.test(
    `a queue with ${Object.keys(limit)[0]} and reject-publish refuses what is too much, and nothing else`,
    async (t) => {
      const { publisher, queue } = await openQuorum(t, { ...limit, 'x-overflow': 'reject-publish' });
      const bodies = ['aaaa', 'bbbb', 'cccc', 'dddd', 'eeee', 'ffff'];
      const taken: string[] = [];
      for (const body of bodies) if ((await outcome(publisher, queue, body)) === 'ack') taken.push(body);
      // RabbitMQ's limit is a soft one: the queue tells publishers to stop once it has a message too many.
      t.same(taken, bodies.slice(0, againstPeer ? allowed + 1 : taken.length));
      t.ok(taken.length === allowed || taken.length === allowed + 1, `${taken.length} were taken`);
      t.same(await drain(publisher, queue), taken);
      // RabbitMQ takes messages again a moment after there is room.
      const again = await until(
        () => outcome(publisher, queue, 'again'),
        (told) => told === 'ack',
      );
      t.equal(again, 'ack');
    },
  );
}

t.test('a queue that nobody uses is deleted after x-expires', async (t) => {
  const { connection, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), quorum({ 'x-expires': 200 }));
  // RabbitMQ looks after its quorum queues every five seconds. What asks may renew the lease, so it asks less often than that lasts.
  const isGone = async () => {
    await passed(400);
    const asking = quiet(await connection.createChannel());
    const found = await asking.checkQueue(queue).catch(() => undefined);
    return found === undefined;
  };
  let gone = false;
  for (let tries = 0; tries < 3 && !gone; tries++) gone = await until(isGone, (is) => is);
  t.ok(gone);
});

t.test('a consumer keeps the queue', async (t) => {
  const { channel, publisher, queue } = await openQuorum(t, { 'x-expires': 300 });
  await subscribe(channel, queue);
  // Three times as long; RabbitMQ would need seconds to notice, so there it shows less.
  await passed(900);
  t.equal(await isMissing(publisher, queue), false);
});

for (const limited of [false, true]) {
  t.test(
    `what comes back goes to a consumer before the limit counts it; ${limited ? 'with' : 'without'} a delivery limit`,
    async (t) => {
      const args = { 'x-max-length': 2, ...(limited ? { 'x-delivery-limit': 5 } : {}) };
      const { channel, publisher, queue } = await openQuorum(t, args);
      await channel.prefetch(1);
      const { inbox } = await subscribe(channel, queue);
      await publish(publisher, queue, ['1']);
      const first = await inbox.next();
      await publish(publisher, queue, ['2', '3']);
      channel.nack(first);
      // With a limit it is the first again; without, it comes after the others. Nothing is too much either way.
      t.equal(text(await inbox.next()), limited ? '1' : '2');
      t.equal(await readyCount(publisher, queue), 2);
    },
  );
}

t.test('reject-publish stops publishers, not dead letters', async (t) => {
  const { channel, publisher, target, queue } = await openQuorum(t, {
    'x-max-length': 1,
    'x-overflow': 'reject-publish',
  });
  const deadLettering = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue };
  const sources = [
    await quorumQueue(t, target, deadLettering),
    await sharedQueue(t, target, { arguments: deadLettering }),
  ];
  for (const source of sources) {
    await publish(publisher, source, ['1', '2']);
    for (const message of await getSome(channel, source, 2)) channel.nack(message, false, false);
  }
  t.equal(await untilReady(publisher, queue, 4), 4);
});
