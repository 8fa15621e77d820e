// amqplib's callback API: queues, exchanges and bindings.
import { type Channel, type Connection, connect, type Replies } from 'amqplib/callback_api';
import t, { type Test } from 'tap';
import { startTarget, uniqueName } from '../helper/broker.ts';
import { answer, channelClose, quiet } from '../helper/messages.ts';

async function openChannel(t: Test): Promise<Channel> {
  const target = await startTarget(t);
  const connection = quiet(await answer<Connection>((done) => connect(target.url, done)));
  t.teardown(() => answer((done) => connection.close(done)));
  return quiet(await answer<Channel>((done) => connection.createChannel(done)));
}

async function ownQueue(channel: Channel): Promise<string> {
  const options = { exclusive: true };
  return (await answer<Replies.AssertQueue>((done) => channel.assertQueue(uniqueName(), options, done))).queue;
}

/** An exchange that goes when the test ends. */
async function ownExchange(t: Test, channel: Channel, type: string): Promise<string> {
  const options = { durable: false, autoDelete: false };
  const { exchange } = await answer<Replies.AssertExchange>((done) =>
    channel.assertExchange(uniqueName(), type, options, done),
  );
  t.teardown(() => answer((done) => channel.deleteExchange(exchange, {}, done)).catch(() => undefined));
  return exchange;
}

/** Publishes and tells whether the message reached the queue. */
async function reaches(channel: Channel, exchange: string, key: string, queue: string): Promise<boolean> {
  channel.publish(exchange, key, Buffer.from('hare'));
  return (await answer<unknown>((done) => channel.get(queue, { noAck: true }, done))) !== false;
}

t.test('assertQueue answers with name and counts', async (t) => {
  const channel = await openChannel(t);
  const name = uniqueName();
  const declared = await answer<Replies.AssertQueue>((done) => channel.assertQueue(name, { exclusive: true }, done));
  t.same(declared, { queue: name, messageCount: 0, consumerCount: 0 });
});

t.test('assertQueue without a name gets one from the server', async (t) => {
  const channel = await openChannel(t);
  const { queue } = await answer<Replies.AssertQueue>((done) => channel.assertQueue('', { exclusive: true }, done));
  t.match(queue, /^amq\.gen-[A-Za-z0-9_-]{22}$/);
});

t.test('checkQueue answers for a queue that is there', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  const checked = await answer<Replies.AssertQueue>((done) => channel.checkQueue(queue, done));
  t.same(checked, { queue, messageCount: 0, consumerCount: 0 });
});

t.test('purgeQueue and deleteQueue answer with the number of messages', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  channel.sendToQueue(queue, Buffer.from('1'));
  channel.sendToQueue(queue, Buffer.from('2'));
  t.same(await answer<Replies.PurgeQueue>((done) => channel.purgeQueue(queue, done)), { messageCount: 2 });
  channel.sendToQueue(queue, Buffer.from('3'));
  t.same(await answer<Replies.DeleteQueue>((done) => channel.deleteQueue(queue, {}, done)), { messageCount: 1 });
  await t.rejects(
    answer((done) => channel.checkQueue(queue, done)),
    { code: 404 },
  );
});

t.test('deleteQueue with ifEmpty and ifUnused refuses with 406', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  await answer((done) => channel.consume(queue, () => undefined, {}, done));
  const expected = channelClose(406, `PRECONDITION_FAILED - queue '${queue}' in vhost '/' in use`, 50, 40);
  await t.rejects(
    answer((done) => channel.deleteQueue(queue, { ifUnused: true }, done)),
    expected,
  );
});

t.test('bindQueue and unbindQueue', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  const exchange = await ownExchange(t, channel, 'direct');
  t.equal(await reaches(channel, exchange, 'k', queue), false);
  await answer((done) => channel.bindQueue(queue, exchange, 'k', {}, done));
  t.equal(await reaches(channel, exchange, 'k', queue), true);
  await answer((done) => channel.unbindQueue(queue, exchange, 'k', {}, done));
  t.equal(await reaches(channel, exchange, 'k', queue), false);
});

t.test('bindQueue with arguments on a headers exchange', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  await answer((done) => channel.bindQueue(queue, 'amq.headers', '', { 'x-match': 'all', hare: queue }, done));
  channel.publish('amq.headers', '', Buffer.from('1'), { headers: { hare: 'other' } });
  channel.publish('amq.headers', '', Buffer.from('2'), { headers: { hare: queue } });
  t.equal((await answer<{ content: Buffer }>((done) => channel.get(queue, {}, done as never))).content.toString(), '2');
});

for (const type of ['direct', 'fanout', 'topic', 'headers']) {
  t.test(`assertExchange, checkExchange and deleteExchange: ${type}`, async (t) => {
    const channel = await openChannel(t);
    const exchange = await ownExchange(t, channel, type);
    await answer((done) => channel.checkExchange(exchange, done));
    await answer((done) => channel.deleteExchange(exchange, {}, done));
    const expected = channelClose(404, `NOT_FOUND - no exchange '${exchange}' in vhost '/'`, 40, 10);
    await t.rejects(
      answer((done) => channel.checkExchange(exchange, done)),
      expected,
    );
  });
}

t.test('deleteExchange with ifUnused refuses a bound exchange with 406', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  const { exchange } = await answer<Replies.AssertExchange>((done) =>
    channel.assertExchange(uniqueName(), 'fanout', { durable: false, autoDelete: true }, done),
  );
  await answer((done) => channel.bindQueue(queue, exchange, '', {}, done));
  const expected = channelClose(406, `PRECONDITION_FAILED - exchange '${exchange}' in vhost '/' in use`, 40, 20);
  await t.rejects(
    answer((done) => channel.deleteExchange(exchange, { ifUnused: true }, done)),
    expected,
  );
});

t.test('bindExchange and unbindExchange', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  const source = await ownExchange(t, channel, 'topic');
  const destination = await ownExchange(t, channel, 'fanout');
  await answer((done) => channel.bindQueue(queue, destination, '', {}, done));
  await answer((done) => channel.bindExchange(destination, source, 'a.*', {}, done));
  t.equal(await reaches(channel, source, 'a.b', queue), true);
  t.equal(await reaches(channel, source, 'b.b', queue), false);
  await answer((done) => channel.unbindExchange(destination, source, 'a.*', {}, done));
  t.equal(await reaches(channel, source, 'a.b', queue), false);
});

t.test('an alternate exchange takes what is unroutable', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  const alternate = await ownExchange(t, channel, 'fanout');
  await answer((done) => channel.bindQueue(queue, alternate, '', {}, done));
  const options = { durable: false, alternateExchange: alternate };
  const { exchange } = await answer<Replies.AssertExchange>((done) =>
    channel.assertExchange(uniqueName(), 'direct', options, done),
  );
  t.teardown(() => answer((done) => channel.deleteExchange(exchange, {}, done)));
  t.equal(await reaches(channel, exchange, 'nobody', queue), true);
});

t.test('an inequivalent assertQueue gives the 406 to the callback', async (t) => {
  const channel = await openChannel(t);
  const queue = await ownQueue(channel);
  const expected =
    `PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '${queue}' in vhost '/':` +
    " received 'true' but current is 'false'";
  await t.rejects(
    answer((done) => channel.assertQueue(queue, { exclusive: true, autoDelete: true }, done)),
    channelClose(406, expected, 50, 10),
  );
});

t.test('callbacks may be left out', async (t) => {
  const channel = await openChannel(t);
  const name = uniqueName();
  channel.assertQueue(name, { exclusive: true });
  channel.bindQueue(name, 'amq.fanout', '', {});
  channel.unbindQueue(name, 'amq.fanout', '', {});
  channel.purgeQueue(name);
  t.match(await answer((done) => channel.checkQueue(name, done)), { queue: name });
});
