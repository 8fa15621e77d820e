// x-expires: a queue goes when nobody has used it for that long. Consumers use it, basic.get and declaring it again do; publishing does not.
import type { Channel } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { channelClose, openConnection, openSession, present, publish, quiet, send, text } from '../helper/messages.ts';
import { deadLettering, isMissing, passed, subscribe, untilDeleted } from '../helper/ttl.ts';

// Most of each test is waiting, so they wait side by side.
t.jobs = 8;

/** Short for what is left alone, long for what is used again and again, which a loaded machine may do late. */
const SHORT = 400;
const LEASE = 1000;

/** Ten years. */
const MAX_MS = 315_360_000_000;

t.test('a queue that nobody uses goes when its time is over', async (t) => {
  const { channel, publisher } = await openSession(t);
  const before = performance.now();
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT });
  t.ok(await untilDeleted(publisher, queue), 'whatever is published to it');
  t.ok(performance.now() - before >= SHORT - 1, 'not too early');
  const expected = channelClose(404, `NOT_FOUND - no queue '${queue}' in vhost '/'`, 50, 10);
  await t.rejects(channel.checkQueue(queue), expected);
});

t.test('its name is free for another queue', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT, durable: true });
  await publish(publisher, queue, ['1']);
  t.ok(await untilDeleted(publisher, queue));
  const again = await publisher.assertQueue(queue, { exclusive: true, durable: false });
  t.same(again, { queue, messageCount: 0, consumerCount: 0 });
});

t.test('its bindings go with it', async (t) => {
  const { publisher } = await openSession(t);
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { autoDelete: true, durable: false });
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT });
  await publisher.bindQueue(queue, exchange, '');
  t.ok(await untilDeleted(publisher, queue));
  const expected = channelClose(404, `NOT_FOUND - no exchange '${exchange}' in vhost '/'`, 40, 10);
  await t.rejects(publisher.checkExchange(exchange), expected, 'the auto-delete exchange went as well');
});

t.test('its messages are not dead-lettered', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead, deadQueue } = await deadLettering(publisher, { expires: SHORT });
  await publish(publisher, queue, ['lost']);
  t.ok(await untilDeleted(publisher, queue));
  await publish(publisher, deadQueue, ['marker']);
  t.equal(text(await dead.next()), 'marker');
});

const uses: [use: string, uses: boolean, (channel: Channel, queue: string) => Promise<unknown>][] = [
  ['basic.get of nothing', true, (channel, queue) => channel.get(queue, { noAck: true })],
  ['a declaration', true, (channel, queue) => channel.assertQueue(queue, { expires: LEASE })],
  ['a passive declaration', true, (channel, queue) => channel.checkQueue(queue)],
  ['a consumer that comes and goes', true, comeAndGo],
  ['publishing', false, async (channel, queue) => channel.sendToQueue(queue, Buffer.from('hare'))],
  ['a binding', false, (channel, queue) => channel.bindQueue(queue, 'amq.fanout', '')],
  ['a purge', false, (channel, queue) => channel.purgeQueue(queue)],
  ['a declaration without a reply', false, (channel, queue) => declareNoWait(channel, queue, false)],
  ['a passive declaration without a reply', false, (channel, queue) => declareNoWait(channel, queue, true)],
];

async function comeAndGo(channel: Channel, queue: string): Promise<void> {
  const { consumerTag } = await subscribe(channel, queue);
  await channel.cancel(consumerTag);
}

async function declareNoWait(channel: Channel, queue: string, passive: boolean): Promise<void> {
  const flags = { passive, durable: true, exclusive: false, autoDelete: false, nowait: true };
  send(channel, 'QueueDeclare', { ticket: 0, queue, ...flags, arguments: { 'x-expires': LEASE } });
}

t.test('what is use, and what is not', async (t) => {
  const { connection, channel } = await openSession(t);
  const check = async ([use, renews, invoke]: (typeof uses)[number]) => {
    const user = quiet(await connection.createChannel()); // closed with an error once the queue is gone
    const { queue } = await user.assertQueue(uniqueName(), { expires: LEASE });
    // An exchange that goes with the queue tells whether it has been there all the time.
    const { exchange } = await user.assertExchange(uniqueName(), 'fanout', { autoDelete: true, durable: false });
    await user.bindQueue(queue, exchange, '');
    const started = performance.now();
    while (performance.now() - started < 2.4 * LEASE) {
      await invoke(user, queue).catch(() => undefined);
      await passed(LEASE / 5);
    }
    const observer = quiet(await connection.createChannel());
    const stayed = await observer.checkExchange(exchange).then(
      () => true,
      () => false,
    );
    t.equal(stayed, renews, use);
    await channel.deleteQueue(queue);
  };
  await Promise.all(uses.map(check));
});

t.test('the last use counts', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: 2 * SHORT });
  await passed(SHORT);
  const before = performance.now();
  await publisher.checkQueue(queue);
  t.ok(await untilDeleted(publisher, queue));
  t.ok(performance.now() - before >= 2 * SHORT - 1);
});

t.test('a queue with a consumer stays, however quiet it is', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT });
  const { inbox, consumerTag } = await subscribe(channel, queue, { noAck: true });
  await passed(3 * SHORT);
  await publish(publisher, queue, ['still there']);
  t.equal(text(await inbox.next()), 'still there');
  const before = performance.now();
  await channel.cancel(consumerTag);
  t.ok(await untilDeleted(publisher, queue));
  t.ok(performance.now() - before >= SHORT - 1, 'its time starts when the consumer has left');
});

t.test('the last of several consumers starts its time', async (t) => {
  const { connection, channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT });
  const one = await subscribe(channel, queue);
  const other = await connection.createChannel();
  await subscribe(other, queue);
  await channel.cancel(one.consumerTag);
  await passed(2 * SHORT);
  t.notOk(await isMissing(publisher, queue), 'one is left');
  const before = performance.now();
  await other.close();
  t.ok(await untilDeleted(publisher, queue), 'a channel that closes takes its consumers along');
  t.ok(performance.now() - before >= SHORT - 1);
});

t.test('a connection that ends takes its consumers along, too', async (t) => {
  const { target, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT });
  const connection = await openConnection(t, target);
  await subscribe(await connection.createChannel(), queue);
  await passed(2 * SHORT);
  await connection.close();
  t.ok(await untilDeleted(publisher, queue));
});

t.test('an unacknowledged message of basic.get keeps no queue', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: 2 * SHORT });
  await publish(publisher, queue, ['1', '2', '3']);
  const first = present(await channel.get(queue));
  const second = present(await channel.get(queue));
  const third = present(await channel.get(queue));
  t.ok(await untilDeleted(publisher, queue));
  channel.ack(first);
  channel.nack(second);
  channel.reject(third, false);
  await t.resolves(channel.checkExchange('amq.direct'), 'and can be settled still');
});

t.test('an exclusive queue goes as well', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT, exclusive: true });
  t.ok(await untilDeleted(publisher, queue));
});

t.test('an auto-delete queue that never had a consumer goes by its time, another with its consumer', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { expires: SHORT, autoDelete: true });
  t.ok(await untilDeleted(publisher, queue));
  const { queue: other } = await publisher.assertQueue(uniqueName(), { expires: 60_000, autoDelete: true });
  const { consumerTag } = await subscribe(channel, other);
  await channel.cancel(consumerTag);
  t.ok(await untilDeleted(publisher, other));
});

t.test('a queue that is deleted in time and declared again starts anew', async (t) => {
  const { publisher } = await openSession(t);
  const queue = uniqueName();
  await publisher.assertQueue(queue, { expires: 2 * SHORT });
  await passed(SHORT);
  await publisher.deleteQueue(queue);
  await publisher.assertQueue(queue, { expires: 4 * SHORT, exclusive: true });
  await passed(2 * SHORT); // the first one's time would be over
  t.notOk(await isMissing(publisher, queue));
});

t.test('messages expire before their queue does', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { expires: 3 * SHORT, messageTtl: SHORT });
  await publish(publisher, queue, ['1']);
  t.equal(text(await dead.next()), '1', 'and are dead-lettered then');
  t.ok(await untilDeleted(publisher, queue));
});

t.test('a lease longer than a timer of 32 bits', async (t) => {
  const { publisher } = await openSession(t);
  for (const expires of [2 ** 31, 2 ** 32 + 1, MAX_MS]) {
    const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, expires });
    await passed(50); // a timer whose time overflows would fire at once
    t.notOk(await isMissing(publisher, queue), `${expires} ms`);
  }
});

t.test('a lease of more than ten years is refused', async (t) => {
  const { channel } = await openSession(t);
  const queue = uniqueName();
  const problem = `invalid arg 'x-expires' for queue '${queue}' in vhost '/': {value_too_large,${MAX_MS + 1}}`;
  const expected = channelClose(406, `PRECONDITION_FAILED - ${problem}`, 50, 10);
  await t.rejects(channel.assertQueue(queue, { expires: MAX_MS + 1 }), expected);
});
