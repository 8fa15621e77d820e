// queue.bind and queue.unbind: what a binding is, what is refused, and in which order it is checked.
import t from 'tap';
import {
  defaultExchangeRefused,
  expectChannelError,
  notFound,
  openTopology,
  preconditionFailed,
  routedCount,
  type TopologySession,
} from '../helper/amqp.ts';
import { call, send } from '../helper/messages.ts';

/** A direct exchange and an exclusive queue, not bound yet. */
async function exchangeAndQueue({ channel, name }: TopologySession, type = 'direct') {
  const exchange = name();
  await channel.assertExchange(exchange, type);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  return { exchange, queue };
}

t.test('bindQueue routes messages, unbindQueue stops that', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  t.same(await session.channel.bindQueue(queue, exchange, 'k'), {});
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
  t.equal(await routedCount(session.connection, exchange, 'other', queue), 0);
  t.same(await session.channel.unbindQueue(queue, exchange, 'k'), {});
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('binding twice is one binding', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  await session.channel.bindQueue(queue, exchange, 'k');
  await session.channel.bindQueue(queue, exchange, 'k');
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
  await session.channel.unbindQueue(queue, exchange, 'k');
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('bindings that differ in arguments are two, but a message comes once', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  await session.channel.bindQueue(queue, exchange, 'k', { a: 1 });
  await session.channel.bindQueue(queue, exchange, 'k', { a: 2 });
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
  await session.channel.unbindQueue(queue, exchange, 'k', { a: 1 });
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
  await session.channel.unbindQueue(queue, exchange, 'k', { a: 2 });
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('unbinding with other arguments, or none, leaves the binding', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  await session.channel.bindQueue(queue, exchange, 'k', { a: 1 });
  for (const other of [{}, { a: 2 }, { a: 1, b: 1 }, { a: { '!': 'int32', value: 1 } }]) {
    await session.channel.unbindQueue(queue, exchange, 'k', other);
  }
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
});

t.test('the order of arguments does not matter', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  await session.channel.bindQueue(queue, exchange, 'k', { a: 1, b: 'x' });
  await session.channel.unbindQueue(queue, exchange, 'k', { b: 'x', a: 1 });
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('arguments may have every type', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  const typed = (type: string, value: unknown) => ({ '!': type, value });
  const numbers = { i: 2 ** 40, d: 1.5, f: typed('float', 1), x: typed('decimal', { places: 1, digits: 2 }) };
  const args = {
    ...numbers,
    s: 'a',
    b: true,
    n: null,
    t: typed('timestamp', 1),
    o: { a: [1, 'a'] },
    x: Buffer.from('x'),
  };
  await session.channel.bindQueue(queue, exchange, 'k', args);
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
  await session.channel.unbindQueue(queue, exchange, 'k', args);
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('a durable queue may be bound to a transient exchange, and the other way round', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  for (const durable of [true, false]) {
    const [exchange, queue] = [name(), name()];
    await channel.assertExchange(exchange, 'direct', { durable });
    await channel.assertQueue(queue, { durable: !durable });
    await channel.bindQueue(queue, exchange, 'k');
    t.equal(await routedCount(connection, exchange, 'k', queue), 1);
  }
});

t.test('a routing key may be empty, or 255 bytes', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  for (const key of ['', 'k'.repeat(255)]) {
    await session.channel.bindQueue(queue, exchange, key);
    t.equal(await routedCount(session.connection, exchange, key, queue), 1);
  }
});

t.test('without waiting for the reply: bound all the same', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await exchangeAndQueue(session);
  send(session.channel, 'QueueBind', { queue, exchange, routingKey: 'k', nowait: true });
  await session.channel.checkQueue(queue);
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
});

t.test('without waiting for the reply: an error closes the channel all the same', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const fields = { queue, exchange: 'amq.direct', routingKey: 'k', nowait: true };
  await expectChannelError(
    t,
    connection,
    (ch) => send(ch, 'QueueBind', fields),
    'queue.bind',
    notFound('queue', queue),
  );
});

t.test('bindQueue names what is missing, the exchange first', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const missing = name();
  const noExchange = notFound('exchange', missing);
  await expectChannelError(t, connection, (ch) => ch.bindQueue(queue, missing, 'k'), 'queue.bind', noExchange);
  await expectChannelError(t, connection, (ch) => ch.bindQueue(missing, missing, 'k'), 'queue.bind', noExchange);
  const noQueue = notFound('queue', missing);
  await expectChannelError(t, connection, (ch) => ch.bindQueue(missing, 'amq.direct', 'k'), 'queue.bind', noQueue);
});

t.test('unbindQueue of what is not there is no error', async (t) => {
  const { channel, name } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  t.same(await channel.unbindQueue(queue, 'amq.direct', 'not-there'), {});
  t.same(await channel.unbindQueue(queue, name(), 'k'), {});
  t.same(await channel.unbindQueue(name(), 'amq.direct', 'k'), {});
  t.same(await channel.unbindQueue(name(), name(), 'k'), {});
});

t.test('nothing can be bound to the default exchange', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const [bound, key] of [
    [queue, 'k'],
    [queue, queue],
    [name(), 'k'],
  ] as const) {
    await expectChannelError(t, connection, (ch) => ch.bindQueue(bound, '', key), 'queue.bind', defaultExchangeRefused);
  }
});

t.test('no queue can be unbound from the default exchange', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const bound of [queue, name()]) {
    await expectChannelError(
      t,
      connection,
      (ch) => ch.unbindQueue(bound, '', bound),
      'queue.unbind',
      defaultExchangeRefused,
    );
  }
});

t.test('every queue is bound to the default exchange by its name', async (t) => {
  const { connection, channel } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  t.equal(await routedCount(connection, '', queue, queue), 1);
});

t.test('a queue may be bound to an internal exchange', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', { internal: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  t.same(await channel.bindQueue(queue, exchange, 'k'), {});
});

t.test('the bindings of a deleted queue do not come back with its name', async (t) => {
  const session = await openTopology(t);
  const { exchange } = await exchangeAndQueue(session);
  const queue = session.name();
  await session.channel.assertQueue(queue);
  await session.channel.bindQueue(queue, exchange, 'k');
  await session.channel.deleteQueue(queue);
  await session.channel.assertQueue(queue);
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

for (const value of ['all', 'any', 'all-with-x', 'any-with-x', undefined]) {
  t.test(`a headers exchange takes the x-match ${value}`, async (t) => {
    const session = await openTopology(t);
    const { exchange, queue } = await exchangeAndQueue(session, 'headers');
    t.same(await session.channel.bindQueue(queue, exchange, '', { 'x-match': value, a: 1 }), {});
    t.equal(await routedCount(session.connection, exchange, '', queue, { a: 1 }), 1);
    t.equal(await routedCount(session.connection, exchange, '', queue, { a: 2 }), 0);
  });
}

for (const [value, text] of [
  ['none', 'value <<"none">>; expected all, any, all-with-x, or any-with-x'],
  ['', 'value <<>>; expected all, any, all-with-x, or any-with-x'],
  ['ALL', 'value <<"ALL">>; expected all, any, all-with-x, or any-with-x'],
  [1, 'type byte (value 1); expected longstr'],
  [true, 'type bool (value true); expected longstr'],
] as const) {
  t.test(
    `a headers exchange refuses the x-match ${JSON.stringify(value)}, any other exchange does not look at it`,
    async (t) => {
      const session = await openTopology(t);
      const { exchange, queue } = await exchangeAndQueue(session, 'headers');
      const args = { 'x-match': value };
      const expected = preconditionFailed(`Invalid x-match field ${text}`);
      await expectChannelError(
        t,
        session.connection,
        (ch) => ch.bindQueue(queue, exchange, '', args),
        'queue.bind',
        expected,
      );
      t.same(await session.channel.unbindQueue(queue, exchange, '', args), {});
      t.same(await session.channel.bindQueue(queue, 'amq.direct', session.name(), args), {});
    },
  );
}

t.test('a missing queue is named before a wrong x-match', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const fields = { queue, exchange: 'amq.headers', routingKey: '', arguments: { 'x-match': 'none' } };
  await expectChannelError(
    t,
    connection,
    (ch) => call(ch, 'QueueBind', fields),
    'queue.bind',
    notFound('queue', queue),
  );
});
