// x-delayed-message: when messages go on, and which delays there are. How they go on is in exchange-types-delayed-ways.test.ts.
//
// RabbitMQ's plug-in is in no distribution's package, so the peer knows no such type, and these tests run against Leveret alone
// there. What they expect is what the plug-in's documentation and its issues say; where it differs on purpose, that is said.
import type { ConsumeMessage, Options } from 'amqplib';
import t from 'tap';
import { expectChannelError, expectConnectionError, inequivalent, preconditionFailed } from '../helper/amqp.ts';
import { type PluginSession, testOfType } from '../helper/exchange-types.ts';
import { drain, text, texts } from '../helper/messages.ts';
import { passed, subscribe } from '../helper/ttl.ts';

const test = (name: string, run: Parameters<typeof testOfType>[2]): void =>
  testOfType('x-delayed-message', name, run, t);

const FANOUT = { 'x-delayed-type': 'fanout' };
const typed = (type: string, value: unknown): unknown => ({ '!': type, value });

/** An exchange that leads to a queue, whatever the key. */
async function declared(session: PluginSession): Promise<{ exchange: string; queue: string }> {
  const exchange = await session.declare(FANOUT);
  const [queue] = await session.queues(1);
  await session.channel.bindQueue(queue, exchange, '');
  return { exchange, queue };
}

function delayed(delay: unknown, options: Options.Publish = {}): Options.Publish {
  return { ...options, headers: { 'x-delay': delay, ...options.headers } };
}

test('messages go on in the order in which they are due, never early', async (t, session) => {
  const { exchange, queue } = await declared(session);
  const { inbox } = await subscribe(session.channel, queue, { noAck: true });
  const delays = [300, 100, 400, 200, 0];
  const publishedAt = Date.now();
  for (const delay of delays) session.publisher.publish(exchange, '', Buffer.from(`${delay}`), delayed(delay));
  for (const delay of [0, 100, 200, 300, 400]) {
    const message = await inbox.next();
    const after = Date.now() - publishedAt;
    t.equal(text(message), `${delay}`);
    t.ok(after >= delay, `${delay} ms came after ${after}`);
  }
});

test('what is due at the same time keeps its order', async (t, session) => {
  const { exchange, queue } = await declared(session);
  const { inbox } = await subscribe(session.channel, queue, { noAck: true });
  const expected = Array.from({ length: 5000 }, (_, i) => `${i}`);
  for (const each of expected) session.publisher.publish(exchange, '', Buffer.from(each), delayed(200));
  t.same(texts(await inbox.take(expected.length)), expected);
});

test('what says no positive number of milliseconds goes on at once, as it is', async (t, session) => {
  const { exchange, queue } = await declared(session);
  const { publisher } = session;
  const values: Record<string, unknown> = {
    zero: 0,
    negative: -1000,
    'a string of a negative number': '-1000',
    'less than one': 0.9,
    text: 'soon',
    'no whole text': '100 ms',
    empty: '',
    true: true,
    void: null,
    table: { ms: 1000 },
    array: [1000],
    timestamp: typed('timestamp', 1000),
    decimal: typed('decimal', { digits: 1000, places: 0 }),
    bytes: Buffer.from('1000'),
  };
  for (const [name, value] of Object.entries(values))
    publisher.publish(exchange, '', Buffer.from(name), delayed(value));
  publisher.publish(exchange, '', Buffer.from('none'), { headers: { other: 1 } });
  publisher.publish(exchange, '', Buffer.from('no headers'));
  await publisher.waitForConfirms();
  const zero = await publisher.get(queue, { noAck: true });
  t.same(zero !== false && zero.properties.headers, { 'x-delay': 0 });
  const negative = await publisher.get(queue, { noAck: true });
  t.same(negative !== false && negative.properties.headers, { 'x-delay': -1000 }, 'nothing is negated');
  t.same(await drain(publisher, queue), [...Object.keys(values).slice(2), 'none', 'no headers']);
});

test('a delay may be of any type of number, or a text; it is negated when the message goes on', async (t, session) => {
  const { exchange, queue } = await declared(session);
  const { inbox } = await subscribe(session.channel, queue, { noAck: true });
  const values: unknown[] = [
    typed('int8', 50),
    typed('uint8', 50),
    typed('int16', 50),
    typed('uint16', 50),
    typed('int32', 50),
    typed('uint32', 50),
    typed('int64', 50),
    typed('float', 50),
    // The plug-in of 2016 let floating point numbers, which .NET's clients send, go on at once.
    typed('double', 50),
    '50',
    '+50',
  ];
  for (const [i, value] of values.entries()) {
    const publishedAt = Date.now();
    const headers = { first: i, last: 'z' };
    session.publisher.publish(exchange, '', Buffer.from('b'), {
      headers: { first: i, 'x-delay': value, last: 'z' },
      messageId: 'id',
      contentType: 'text/plain',
      priority: 3,
    });
    const { properties } = await inbox.next();
    t.ok(Date.now() - publishedAt >= 50, `${JSON.stringify(value)} delays`);
    t.same(properties.headers, { ...headers, 'x-delay': -50 });
    t.match(properties, { messageId: 'id', contentType: 'text/plain', priority: 3 }, 'all else is as it was');
  }
});

test('a delay has no limit that anybody would meet', async (t, session) => {
  const { exchange, queue } = await declared(session);
  const { inbox } = await subscribe(session.channel, queue, { noAck: true });
  // The plug-in sends on at once what is to wait for longer than 2^32 - 1 ms, which is 49 days.
  const values = [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER, 1e300, '9'.repeat(400)];
  for (const value of values) session.publisher.publish(exchange, '', Buffer.from('late'), delayed(value));
  session.publisher.publish(exchange, '', Buffer.from('early'), delayed(100));
  t.equal(text(await inbox.next()), 'early');
  await session.publisher.waitForConfirms();
  await session.channel.checkExchange(exchange);
  t.equal(inbox.size, 0, 'the others wait');
});

test('while it waits nothing is held up, and nobody waits with it', async (t, session) => {
  const { exchange, queue } = await declared(session);
  const got: ConsumeMessage[] = [];
  await session.channel.consume(queue, (message) => message !== null && got.push(message), { noAck: true });
  session.publisher.publish(exchange, '', Buffer.from('late'), delayed(60_000));
  await session.publisher.waitForConfirms();
  session.publisher.publish(exchange, '', Buffer.from('at once'));
  await session.publisher.waitForConfirms();
  // As long as a message needs that goes on by mistake.
  await passed(50);
  t.same(texts(got), ['at once']);
});

test('the type that routes must be said, and be there', async (t, session) => {
  const { connection } = session;
  const missing = preconditionFailed("Invalid argument, 'x-delayed-type' must be an existing exchange type");
  for (const args of [{}, { 'x-delayed-type': 5 }, { 'x-delayed-type': null }, { 'x-delayed-type': ['direct'] }]) {
    await expectChannelError(
      t,
      connection,
      (channel) => channel.assertExchange(session.name(), 'x-delayed-message', { arguments: args }),
      'exchange.declare',
      missing,
    );
  }
  await expectChannelError(
    t,
    connection,
    (channel) =>
      channel.assertExchange(session.name(), 'x-delayed-message', {
        arguments: { 'x-delayed-type': 'x-delayed-message' },
      }),
    'exchange.declare',
    preconditionFailed("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'"),
  );
  for (const type of ['Direct', 'x-none']) {
    await expectConnectionError(
      t,
      session,
      (channel) =>
        channel.assertExchange(session.name(), 'x-delayed-message', { arguments: { 'x-delayed-type': type } }),
      { code: 503, text: `COMMAND_INVALID - unknown exchange type '${type}'` },
    );
  }
});

test('it is declared again with the same type that routes alone', async (t, session) => {
  const { channel, connection } = session;
  const exchange = await session.declare({ 'x-delayed-type': 'direct' });
  await channel.assertExchange(exchange, 'x-delayed-message', { arguments: { 'x-delayed-type': 'direct', other: 1 } });
  const redeclare = (type: string, args: object) =>
    [
      (channel: PluginSession['channel']) => channel.assertExchange(exchange, type, { arguments: args }),
      'exchange.declare',
    ] as const;
  // The plug-in leaves the exchange as it is, and tells nobody.
  await expectChannelError(
    t,
    connection,
    ...redeclare('x-delayed-message', { 'x-delayed-type': 'topic' }),
    inequivalent('exchange', exchange, 'x-delayed-type', "received 'topic' but current is 'direct'"),
  );
  await expectChannelError(
    t,
    connection,
    ...redeclare('x-delayed-message', {}),
    inequivalent(
      'exchange',
      exchange,
      'x-delayed-type',
      "received none but current is the value 'direct' of type 'longstr'",
    ),
  );
  await expectChannelError(
    t,
    connection,
    ...redeclare('direct', {}),
    inequivalent('exchange', exchange, 'type', "received 'direct' but current is 'x-delayed-message'"),
  );
});

test('the type that routes checks arguments and bindings', async (t, session) => {
  const { connection } = session;
  const hash = await session.declare({ 'x-delayed-type': 'x-consistent-hash' });
  const headers = await session.declare({ 'x-delayed-type': 'headers' });
  const [queue] = await session.queues(1);
  await expectChannelError(
    t,
    connection,
    (channel) => channel.bindQueue(queue, hash, 'no number'),
    'queue.bind',
    preconditionFailed('The binding key must be an integer: <<"no number">>'),
  );
  await expectChannelError(
    t,
    connection,
    (channel) => channel.bindQueue(queue, headers, '', { 'x-match': 'none' }),
    'queue.bind',
    preconditionFailed('Invalid x-match field value <<"none">>; expected all, any, all-with-x, or any-with-x'),
  );
  await expectChannelError(
    t,
    connection,
    (channel) =>
      channel.assertExchange(session.name(), 'x-delayed-message', {
        arguments: { 'x-delayed-type': 'x-recent-history', 'x-recent-history-length': 0 },
      }),
    'exchange.declare',
    preconditionFailed("Invalid argument 0, 'x-recent-history-length' must be a positive integer"),
  );
});
