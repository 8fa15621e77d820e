// x-recent-history: what is bound to it gets its last messages.
import type { GetMessage } from 'amqplib';
import t from 'tap';
import { expectChannelError, preconditionFailed } from '../helper/amqp.ts';
import { againstPeer } from '../helper/broker.ts';
import { type PluginSession, testOfType } from '../helper/exchange-types.ts';
import { call, drain, Inbox } from '../helper/messages.ts';

const test = (name: string, run: Parameters<typeof testOfType>[2]): void =>
  testOfType('x-recent-history', name, run, t);

/** Publishes texts, each with itself as its routing key. */
async function publish({ publisher }: PluginSession, exchange: string, texts: string[], options = {}): Promise<void> {
  for (const text of texts) publisher.publish(exchange, text, Buffer.from(text), options);
  await publisher.waitForConfirms();
}

test('a queue that is bound gets the last messages, as they were, the oldest first', async (t, session) => {
  const { publisher, channel } = session;
  const exchange = await session.declare({ 'x-recent-history-length': 3 });
  const [first, second] = await session.queues(2);
  await channel.bindQueue(first, exchange, '');
  await publish(session, exchange, ['1', '2', '3', '4'], { headers: { h: 1 }, persistent: true, messageId: 'id' });
  t.same(await drain(publisher, first), ['1', '2', '3', '4'], 'and goes to every binding at once, as by a fanout');
  await channel.bindQueue(second, exchange, 'any key', { any: 'argument' });
  const got: GetMessage[] = [];
  for (;;) {
    const message = await publisher.get(second, { noAck: true });
    if (message === false) break;
    got.push(message);
  }
  t.same(
    got.map(({ content }) => content.toString()),
    ['2', '3', '4'],
  );
  t.match(got[0], {
    fields: { exchange, routingKey: '2', redelivered: false },
    properties: { headers: { h: 1 }, deliveryMode: 2, messageId: 'id' },
  });
  await channel.bindQueue(second, exchange, 'any key', { any: 'argument' });
  t.same(await drain(publisher, second), [], 'the same binding again is none');
  await channel.bindQueue(second, exchange, 'another key');
  t.same(await drain(publisher, second), ['2', '3', '4'], 'another binding of the queue is one');
  await channel.unbindQueue(second, exchange, 'any key', { any: 'argument' });
  await channel.bindQueue(second, exchange, 'any key', { any: 'argument' });
  t.same(await drain(publisher, second), ['2', '3', '4'], 'and so is one that was there before');
});

test('it keeps twenty messages by default', async (t, session) => {
  const exchange = await session.declare();
  const texts = Array.from({ length: 30 }, (_, i) => `${i}`);
  await publish(session, exchange, texts);
  const [queue] = await session.queues(1);
  await session.channel.bindQueue(queue, exchange, '');
  t.same(await drain(session.publisher, queue), texts.slice(10));
});

test('a header keeps a message out of the history', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare();
  const [early, late] = await session.queues(2);
  await channel.bindQueue(early, exchange, '');
  const values = { true: true, false: false, one: 1, text: 'true', void: null };
  for (const [text, value] of Object.entries(values)) {
    await publish(session, exchange, [text], { headers: { 'x-recent-history-no-store': value } });
  }
  await publish(session, exchange, ['none']);
  t.same(await drain(publisher, early), [...Object.keys(values), 'none']);
  await channel.bindQueue(late, exchange, '');
  t.same(await drain(publisher, late), ['false', 'one', 'text', 'void', 'none']);
});

test('messages are kept whether or not they lead anywhere, and however they came', async (t, session) => {
  const { channel, publisher } = session;
  const [fanout, alternate] = [session.name(), session.name()];
  for (const name of [fanout, alternate]) await channel.assertExchange(name, 'fanout');
  const exchange = await session.declare({}, { alternateExchange: alternate });
  const [other, queue] = await session.queues(2);
  await channel.bindQueue(other, alternate, '');
  await channel.bindExchange(exchange, fanout, '');
  await publish(session, exchange, ['direct']);
  await publish(session, fanout, ['through a fanout']);
  t.same(await drain(publisher, other), ['direct', 'through a fanout'], 'the alternate exchange took them');
  await channel.bindQueue(queue, exchange, '');
  t.same(await drain(publisher, queue), ['direct', 'through a fanout']);
});

test('an exchange that is bound routes the last messages by all of their keys, the newest first', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare();
  const direct = session.name();
  await channel.assertExchange(direct, 'direct');
  const queues = await session.queues(3);
  for (const [i, queue] of queues.entries()) await channel.bindQueue(queue, direct, `${i}`);
  await publish(session, exchange, ['0', '1']);
  publisher.publish(exchange, '0', Buffer.from('all'), { CC: ['1'], BCC: ['2'] });
  await publisher.waitForConfirms();
  await channel.bindExchange(direct, exchange, 'any');
  t.same(await drain(publisher, queues[0]), ['all', '0']);
  t.same(await drain(publisher, queues[1]), ['all', '1']);
  t.same(await drain(publisher, queues[2]), ['all']);
});

test('one history feeds another', async (t, session) => {
  const { channel, publisher } = session;
  const [first, second] = [await session.declare(), await session.declare()];
  const [early, late] = await session.queues(2);
  await channel.bindQueue(early, second, '');
  await publish(session, first, ['1', '2']);
  await channel.bindExchange(second, first, '');
  t.same(await drain(publisher, early), ['2', '1']);
  await channel.bindQueue(late, second, '');
  t.same(await drain(publisher, late), ['2', '1']);
});

test('the time to live of what is kept begins at the bind', async (t, session) => {
  const { channel } = session;
  const exchange = await session.declare();
  const [queue] = await session.queues(1);
  await publish(session, exchange, ['brief'], { expiration: '50' });
  const inbox = new Inbox();
  await channel.consume(queue, inbox.receive, { noAck: true });
  // No queue has it, so nothing tells that its time has passed but the time itself.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await channel.bindQueue(queue, exchange, '');
  t.match(await inbox.next(), { content: Buffer.from('brief'), properties: { expiration: '50' } });
});

test('a message of a transaction is kept from its publish on, even if it is rolled back', async (t, session) => {
  const { channel, connection, publisher } = session;
  const exchange = await session.declare();
  const [early, late] = await session.queues(2);
  await channel.bindQueue(early, exchange, '');
  const transactional = await connection.createChannel();
  await call(transactional, 'TxSelect');
  transactional.publish(exchange, '', Buffer.from('rolled back'));
  await call(transactional, 'TxRollback');
  t.same(await drain(publisher, early), []);
  await channel.bindQueue(late, exchange, '');
  t.same(await drain(publisher, late), ['rolled back']);
});

test('a history ends with its exchange', async (t, session) => {
  const { channel, publisher } = session;
  const exchange = await session.declare({}, { durable: true });
  await publish(session, exchange, ['forgotten']);
  await channel.deleteExchange(exchange);
  await channel.assertExchange(exchange, 'x-recent-history');
  const [queue] = await session.queues(1);
  await channel.bindQueue(queue, exchange, '');
  t.same(await drain(publisher, queue), []);
});

test('a length that is no positive integer is refused with the text of RabbitMQ', async (t, {
  connection,
  name,
  channel,
}) => {
  const typed = (type: string, value: unknown): unknown => ({ '!': type, value });
  const refused: [value: unknown, printed: string][] = [
    [0, '0'],
    [-1, '-1'],
    ['5', '<<"5">>'],
    [1.5, '1.5'],
    [typed('double', 5), '5.0'],
    [true, 'true'],
    [null, 'undefined'],
    [{}, '[]'],
    [[1], '[{byte,1}]'],
    [typed('timestamp', 5), '5'],
    [typed('decimal', { digits: 5, places: 0 }), '{0,5}'],
    [Buffer.from('5'), '<<"5">>'],
    [typed('uint8', 5), '5'],
    [typed('uint16', 5), '5'],
    [typed('uint32', 5), '5'],
  ];
  for (const [value, printed] of refused) {
    const exchange = name();
    await expectChannelError(
      t,
      connection,
      (each) => each.assertExchange(exchange, 'x-recent-history', { arguments: { 'x-recent-history-length': value } }),
      'exchange.declare',
      preconditionFailed(`Invalid argument ${printed}, 'x-recent-history-length' must be a positive integer`),
    );
  }
  for (const type of ['int8', 'int16', 'int32', 'int64']) {
    const args = { 'x-recent-history-length': typed(type, 5) };
    await channel.assertExchange(name(), 'x-recent-history', { arguments: args });
  }
  t.pass('signed integers of every width are taken');
});

if (!againstPeer) {
  // RabbitMQ drops the connection (541) and the binding: Leveret differs on purpose.
  test('an exchange that leads nowhere is bound all the same', async (t, session) => {
    const { channel, publisher } = session;
    const exchange = await session.declare();
    const fanout = session.name();
    await channel.assertExchange(fanout, 'fanout');
    await publish(session, exchange, ['lost']);
    await channel.bindExchange(fanout, exchange, '');
    const [queue] = await session.queues(1);
    await channel.bindQueue(queue, fanout, '');
    await publish(session, exchange, ['routed']);
    t.same(await drain(publisher, queue), ['routed']);
  });
}
