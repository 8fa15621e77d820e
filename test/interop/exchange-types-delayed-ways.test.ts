// x-delayed-message: where messages go when their time has come, and what is said of them before. See exchange-types-delayed.test.ts.
import { once } from 'node:events';
import { connect, type Options } from 'amqplib';
import t, { type Test } from 'tap';
import { againstPeer } from '../helper/broker.ts';
import { deathsOf } from '../helper/dead-letter.ts';
import { type PluginSession, testOfType } from '../helper/exchange-types.ts';
import { call, drain, present, quiet, readyCount, text, texts } from '../helper/messages.ts';
import { openPolicies } from '../helper/policies.ts';
import { outcomeAt, passed, subscribe, until, untilReady } from '../helper/ttl.ts';

// Most of each test is waiting, so they wait side by side; and what a test does before a message is due has time on a loaded machine.
t.jobs = 8;

const test = (name: string, run: Parameters<typeof testOfType>[2]): void =>
  testOfType('x-delayed-message', name, run, t);

const FANOUT = { 'x-delayed-type': 'fanout' };
const DIRECT = { 'x-delayed-type': 'direct' };

function delayed(delay: number, options: Options.Publish = {}): Options.Publish {
  return { ...options, headers: { 'x-delay': delay, ...options.headers } };
}

/** Publishes texts that are due one after the other, and waits until the last one is in its queue. */
async function publishDue({ publisher }: PluginSession, exchange: string, keys: string[], last: string, options = {}) {
  for (const [i, key] of keys.entries()) {
    publisher.publish(exchange, key, Buffer.from(`${i}`), delayed(50 + i, options));
  }
  await publisher.waitForConfirms();
  await until(
    () => readyCount(publisher, last),
    (count) => count > 0,
  );
}

test('it routes as the other type does, when messages are due and when they are not held', async (t, session) => {
  const { channel, publisher } = session;
  const cases: [type: string, key: string, args: object, fits: string, other: string][] = [
    ['direct', 'key', {}, 'key', 'other'],
    ['topic', 'a.*', {}, 'a.b', 'b.a'],
    ['fanout', '', {}, 'any', ''],
    ['headers', '', { 'x-match': 'all', kind: 'hare' }, '', ''],
    ['x-consistent-hash', '10', {}, 'any', ''],
  ];
  for (const [type, key, args, fits, other] of cases) {
    const exchange = await session.declare({ 'x-delayed-type': type });
    const [queue] = await session.queues(1);
    await channel.bindQueue(queue, exchange, key, args);
    const headers = { kind: 'hare' };
    publisher.publish(exchange, fits, Buffer.from('due'), delayed(50, { headers }));
    publisher.publish(exchange, fits, Buffer.from('at once'), { headers });
    if (other !== '') publisher.publish(exchange, other, Buffer.from('nowhere'), delayed(1));
    if (type === 'headers') publisher.publish(exchange, '', Buffer.from('nowhere'), delayed(1));
    await untilReady(channel, queue, 2);
    t.same(await drain(publisher, queue), ['at once', 'due'], type);
  }
});

test('bindings count that are there when a message is due', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare(DIRECT);
  const [early, late] = await session.queues(2);
  await channel.bindQueue(early, exchange, 'k');
  publisher.publish(exchange, 'k', Buffer.from('m'), delayed(600));
  await publisher.waitForConfirms();
  await channel.unbindQueue(early, exchange, 'k');
  await channel.bindQueue(late, exchange, 'k');
  await untilReady(channel, late, 1);
  const { fields } = present(await channel.get(late, { noAck: true }));
  t.match(fields, { exchange, routingKey: 'k', redelivered: false });
  t.equal(await readyCount(channel, early), 0);
});

test('a message that is held was not routed in vain, so it does not come back', async (t, session) => {
  const { publisher } = session;
  const exchange = await session.declare(FANOUT);
  const returned: string[] = [];
  publisher.on('return', (message) => returned.push(text(message)));
  // The plug-in returns it, though it may well be delivered later. What leads nowhere when it is due can't come back any more.
  t.equal(await outcomeAt(publisher, exchange, '', 'held', delayed(20, { mandatory: true, persistent: true })), 'ack');
  t.equal(await outcomeAt(publisher, exchange, '', 'at once', { mandatory: true }), 'ack');
  await passed(60);
  await publisher.waitForConfirms();
  t.same(returned, ['at once']);
});

test('its alternate exchange takes what leads nowhere when it is due', async (t, session) => {
  const { channel, publisher } = session;
  const alternate = session.name();
  await channel.assertExchange(alternate, 'fanout');
  const exchange = await session.declare(DIRECT, { alternateExchange: alternate });
  const [queue, lost] = await session.queues(2);
  await channel.bindQueue(queue, exchange, 'k');
  await channel.bindQueue(lost, alternate, '');
  await publishDue(session, exchange, ['k', 'none', 'k', 'none'], lost);
  await untilReady(channel, lost, 2);
  t.same(await drain(publisher, lost), ['1', '3']);
  t.same(await drain(publisher, queue), ['0', '2']);
});

test('a queue that is deleted meanwhile gets nothing', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare(FANOUT);
  const [gone, stays] = await session.queues(2);
  for (const queue of [gone, stays]) await channel.bindQueue(queue, exchange, '');
  publisher.publish(exchange, '', Buffer.from('m'), delayed(500));
  await publisher.waitForConfirms();
  await channel.deleteQueue(gone);
  await untilReady(channel, stays, 1);
  t.same(await drain(publisher, stays), ['m']);
});

test('it takes from other exchanges, and leads to others, also of its own type', async (t, session) => {
  const { channel, publisher } = session;
  const [before, behind] = [session.name(), session.name()];
  await channel.assertExchange(before, 'fanout');
  await channel.assertExchange(behind, 'topic', { internal: true });
  const [first, second] = [await session.declare(FANOUT), await session.declare(FANOUT)];
  const [atOnce, last] = await session.queues(2);
  await channel.bindQueue(atOnce, before, '');
  await channel.bindExchange(first, before, '');
  await channel.bindExchange(second, first, '');
  await channel.bindExchange(behind, second, '');
  await channel.bindExchange(first, second, '');
  await channel.bindQueue(last, behind, '#');
  const publishedAt = Date.now();
  publisher.publish(before, 'k', Buffer.from('m'), delayed(60));
  await publisher.waitForConfirms();
  t.equal(await readyCount(channel, atOnce), 1, 'what else it is bound to does not wait');
  await untilReady(channel, last, 1);
  t.ok(Date.now() - publishedAt >= 60);
  const { fields, properties } = present(await channel.get(last, { noAck: true }));
  t.match(fields, { exchange: before, routingKey: 'k' });
  t.same(properties.headers, { 'x-delay': -60 }, 'it is held once, and its cycle ends');
  t.equal(await readyCount(channel, last), 0);
});

test('a transaction begins to hold messages at its commit, and none after a rollback', async (t, session) => {
  const { channel, connection } = session;
  const exchange = await session.declare(DIRECT);
  const [queue, copied] = await session.queues(2);
  await channel.bindQueue(queue, exchange, 'k');
  await channel.bindQueue(copied, exchange, 'copy');
  const transacted = await connection.createChannel();
  await call(transacted, 'TxSelect');
  transacted.publish(exchange, 'k', Buffer.from('rolled back'), delayed(1));
  await call(transacted, 'TxRollback');
  const returned: unknown[] = [];
  transacted.on('return', (message) => returned.push(message));
  for (const name of ['1', '2', '3']) {
    const BCC = name === '3' ? [] : ['copy'];
    transacted.publish(exchange, 'k', Buffer.from(name), delayed(50, { BCC, mandatory: true, persistent: true }));
  }
  await passed(60);
  t.equal(await readyCount(channel, queue), 0, 'nothing before the commit');
  const committedAt = Date.now();
  await call(transacted, 'TxCommit');
  await untilReady(channel, queue, 3);
  t.ok(Date.now() - committedAt >= 50);
  t.same(await drain(channel, queue), ['1', '2', '3']);
  t.same(await drain(channel, copied), ['1', '2'], 'each with its own keys');
  t.same(returned, []);
});

test('CC and BCC count when a message is due, and nobody sees BCC', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare(DIRECT);
  const queues = await session.queues(4);
  for (const [i, queue] of queues.entries()) await channel.bindQueue(queue, exchange, `${i}`);
  const options = delayed(50, { CC: ['1', '2'], BCC: ['2', '3'], headers: { a: 'b' } });
  publisher.publish(exchange, '0', Buffer.from('m'), options);
  await publisher.waitForConfirms();
  for (const queue of queues) {
    t.equal(await untilReady(channel, queue, 1), 1);
    const { fields, properties } = present(await channel.get(queue, { noAck: true }));
    t.equal(fields.routingKey, '0');
    t.same(properties.headers, { a: 'b', 'x-delay': -50, CC: ['1', '2'] });
  }
});

test('a message expires in its queue, not while it is held', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare(FANOUT);
  const [queue, dead] = [session.name(), session.name()];
  await channel.assertQueue(dead);
  await channel.assertQueue(queue, { deadLetterExchange: '', deadLetterRoutingKey: dead });
  await channel.bindQueue(queue, exchange, '');
  const { inbox } = await subscribe(channel, dead, { noAck: true });
  const publishedAt = Date.now();
  publisher.publish(exchange, '', Buffer.from('m'), delayed(100, { expiration: 60 }));
  const letter = await inbox.next();
  t.ok(Date.now() - publishedAt >= 160, 'its time to live begins when it is due');
  t.match(deathsOf(letter), [{ reason: 'expired', queue, 'original-expiration': '60' }]);
});

test('dead letters are held as well, once', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare(FANOUT);
  const [queue, dead] = [session.name(), session.name()];
  await channel.assertQueue(queue, { deadLetterExchange: exchange });
  await channel.assertQueue(dead);
  await channel.bindQueue(dead, exchange, '');
  const publishedAt = Date.now();
  publisher.sendToQueue(queue, Buffer.from('m'), delayed(60));
  await publisher.waitForConfirms();
  channel.nack(present(await channel.get(queue)), false, false);
  await untilReady(channel, dead, 1);
  t.ok(Date.now() - publishedAt >= 60);
  const letter = present(await channel.get(dead, { noAck: true }));
  t.match(letter.properties.headers, { 'x-delay': -60 });
  t.match(deathsOf(letter), [{ reason: 'rejected', queue }]);
});

/** Bytes of messages in memory: what is held counts, and nothing else tells how many are held. */
function usedBytes({ target }: PluginSession): number {
  return target.broker?.memoryUsedBytes ?? 0;
}

test('what it holds goes with it', async (t, session) => {
  const { channel, publisher } = session;
  const [queue] = await session.queues(1);
  const ends: [why: string, options: Options.AssertExchange, end: (exchange: string) => Promise<unknown>][] = [
    ['deleted', {}, (exchange) => channel.deleteExchange(exchange)],
    ['transient', { durable: false }, (exchange) => channel.deleteExchange(exchange)],
    ['auto-delete', { autoDelete: true }, (exchange) => channel.unbindQueue(queue, exchange, '')],
  ];
  for (const [why, options, end] of ends) {
    const exchange = await session.declare(FANOUT, options);
    await channel.bindQueue(queue, exchange, '');
    const before = usedBytes(session);
    for (const persistent of [true, false]) {
      publisher.publish(exchange, '', Buffer.alloc(100_000), delayed(500, { persistent }));
    }
    await publisher.waitForConfirms();
    if (!againstPeer) t.ok(usedBytes(session) > before + 200_000, 'what is held counts');
    await end(exchange);
    t.ok(usedBytes(session) <= before, why);
    await channel.assertExchange(exchange, 'x-delayed-message', { arguments: FANOUT });
    await channel.bindQueue(queue, exchange, '');
    publisher.publish(exchange, '', Buffer.from(why), delayed(520));
    await untilReady(channel, queue, 1);
    t.same(await drain(publisher, queue), [why], 'another exchange of the name holds nothing of it');
  }
});

test('what was published goes on when its connection is gone', async (t, session) => {
  const { channel, connectAgain } = session;
  const exchange = await session.declare(FANOUT);
  const [queue] = await session.queues(1);
  await channel.bindQueue(queue, exchange, '');
  const other = await connectAgain();
  const publisher = await other.createConfirmChannel();
  publisher.publish(exchange, '', Buffer.from('m'), delayed(500));
  await publisher.waitForConfirms();
  const closed = once(other, 'close');
  await other.close();
  await closed;
  t.equal(await untilReady(channel, queue, 1), 1);
});

test('no client gets hold of where messages are held', async (t, session) => {
  const { connection, channel, publisher } = session;
  const exchange = await session.declare(FANOUT);
  publisher.publish(exchange, '', Buffer.from('m'), delayed(10_000, { persistent: true }));
  await publisher.waitForConfirms();
  // A queue and an exchange may have one name.
  await channel.assertQueue(exchange);
  t.equal(await readyCount(channel, exchange), 0);
  const other = quiet(await connection.createChannel());
  const args = { 'x-queue-type': 'x-delayed-message' };
  await t.rejects(other.assertQueue(session.name(), { arguments: args }), { message: /x-queue-type/ });
});

async function withPolicies(t: Test) {
  const target = await openPolicies(t);
  const connection = quiet(await connect(target.url));
  t.teardown(() => connection.close());
  return { target, channel: await connection.createConfirmChannel() };
}

t.test('a policy names the alternate exchange', { skip: againstPeer && 'the peer has no such type' }, async (t) => {
  const { target, channel } = await withPolicies(t);
  await channel.assertExchange('delayed', 'x-delayed-message', { arguments: DIRECT });
  await channel.assertExchange('other', 'fanout');
  const { queue } = await channel.assertQueue('');
  await channel.bindQueue(queue, 'other', '');
  channel.publish('delayed', 'none', Buffer.from('m'), delayed(500));
  await channel.waitForConfirms();
  await target.setPolicy({ name: 'p', pattern: '^delayed$', definition: { 'alternate-exchange': 'other' } });
  await untilReady(channel, queue, 1);
  t.same(texts([present(await channel.get(queue))]), ['m']);
});
