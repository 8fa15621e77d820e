// exchange.bind and exchange.unbind, a RabbitMQ extension: exchanges that feed exchanges. https://www.rabbitmq.com/docs/e2e
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

/** A source, a destination, and a queue that gets what reaches the destination. */
async function pair({ channel, name }: TopologySession, options = {}) {
  const [source, destination] = [name(), name()];
  await channel.assertExchange(source, 'direct');
  await channel.assertExchange(destination, 'fanout', options);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, destination, '');
  return { source, destination, queue };
}

t.test('bindExchange routes messages on, unbindExchange stops that', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session);
  t.same(await session.channel.bindExchange(destination, source, 'k'), {});
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
  t.equal(await routedCount(session.connection, source, 'other', queue), 0);
  t.same(await session.channel.unbindExchange(destination, source, 'k'), {});
  t.equal(await routedCount(session.connection, source, 'k', queue), 0);
});

t.test('the message keeps the exchange and the key that it was published with', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session);
  await session.channel.bindExchange(destination, source, 'k');
  const received = new Promise<unknown>((resolve) => {
    session.channel.consume(queue, (message) => resolve(message?.fields), { noAck: true });
  });
  session.channel.publish(source, 'k', Buffer.from(''));
  t.match(await received, { exchange: source, routingKey: 'k' });
});

t.test('binding twice is one binding; bindings that differ in arguments are two', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session);
  for (const args of [{}, {}, { a: 1 }]) await session.channel.bindExchange(destination, source, 'k', args);
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
  await session.channel.unbindExchange(destination, source, 'k');
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
  await session.channel.unbindExchange(destination, source, 'k', { a: 1 });
  t.equal(await routedCount(session.connection, source, 'k', queue), 0);
});

t.test('messages reach a queue once, whatever ways lead to it', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session);
  await session.channel.bindExchange(destination, source, 'k');
  await session.channel.bindQueue(queue, source, 'k');
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
});

t.test('a cycle of bindings is safe', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session);
  await session.channel.bindExchange(destination, source, 'k');
  await session.channel.bindExchange(source, destination, '');
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
  t.equal(await routedCount(session.connection, destination, 'k', queue), 1);
});

t.test('an exchange may be bound to itself', async (t) => {
  const session = await openTopology(t);
  const { destination, queue } = await pair(session);
  t.same(await session.channel.bindExchange(destination, destination, ''), {});
  t.equal(await routedCount(session.connection, destination, '', queue), 1);
});

t.test('an internal exchange may be source and destination', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session, { internal: true });
  const last = session.name();
  await session.channel.assertExchange(last, 'fanout');
  await session.channel.bindQueue(queue, last, '');
  await session.channel.unbindQueue(queue, destination, '');
  await session.channel.bindExchange(destination, source, 'k');
  await session.channel.bindExchange(last, destination, '');
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
});

for (const which of ['source', 'destination'] as const) {
  t.test(`the binding goes with its ${which}`, async (t) => {
    const session = await openTopology(t);
    const ends = await pair(session);
    const { source, destination, queue } = ends;
    await session.channel.bindExchange(destination, source, 'k');
    await session.channel.deleteExchange(ends[which]);
    await session.channel.assertExchange(ends[which], which === 'source' ? 'direct' : 'fanout');
    await session.channel.bindQueue(queue, destination, '');
    t.equal(await routedCount(session.connection, source, 'k', queue), 0);
  });
}

t.test('bindExchange names what is missing, the source first', async (t) => {
  const { connection, name } = await openTopology(t);
  const [source, destination] = [name(), name()];
  for (const [from, to, missing] of [
    [source, 'amq.direct', source],
    ['amq.direct', destination, destination],
    [source, destination, source],
  ] as const) {
    await expectChannelError(
      t,
      connection,
      (ch) => ch.bindExchange(to, from, 'k'),
      'exchange.bind',
      notFound('exchange', missing),
    );
  }
});

t.test('a queue is no destination of bindExchange', async (t) => {
  const { connection, channel } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await expectChannelError(
    t,
    connection,
    (ch) => ch.bindExchange(queue, 'amq.direct', 'k'),
    'exchange.bind',
    notFound('exchange', queue),
  );
});

t.test('unbindExchange of what is not there is no error', async (t) => {
  const { channel, name } = await openTopology(t);
  t.same(await channel.unbindExchange('amq.fanout', 'amq.direct', name()), {});
  t.same(await channel.unbindExchange('amq.fanout', name(), 'k'), {});
  t.same(await channel.unbindExchange(name(), 'amq.direct', 'k'), {});
});

for (const [from, to] of [
  ['', 'amq.direct'],
  ['amq.direct', ''],
  ['', ''],
  ['', 'not-there'],
  ['not-there', ''],
] as const) {
  t.test(`the default exchange is neither source nor destination: from '${from}' to '${to}'`, async (t) => {
    const { connection } = await openTopology(t);
    await expectChannelError(
      t,
      connection,
      (ch) => ch.bindExchange(to, from, 'k'),
      'exchange.bind',
      defaultExchangeRefused,
    );
    await expectChannelError(
      t,
      connection,
      (ch) => ch.unbindExchange(to, from, 'k'),
      'exchange.unbind',
      defaultExchangeRefused,
    );
  });
}

t.test('a headers exchange refuses a wrong x-match for an exchange, too', async (t) => {
  const { connection } = await openTopology(t);
  const args = { 'x-match': 'none' };
  const expected = preconditionFailed(
    'Invalid x-match field value <<"none">>; expected all, any, all-with-x, or any-with-x',
  );
  await expectChannelError(
    t,
    connection,
    (ch) => ch.bindExchange('amq.fanout', 'amq.headers', '', args),
    'exchange.bind',
    expected,
  );
});

t.test('without waiting for the reply: bound and unbound all the same', async (t) => {
  const session = await openTopology(t);
  const { source, destination, queue } = await pair(session);
  const fields = { source, destination, routingKey: 'k', nowait: true };
  send(session.channel, 'ExchangeBind', fields);
  await session.channel.checkExchange(source);
  t.equal(await routedCount(session.connection, source, 'k', queue), 1);
  send(session.channel, 'ExchangeUnbind', fields);
  await session.channel.checkExchange(source);
  t.equal(await routedCount(session.connection, source, 'k', queue), 0);
});

t.test('without waiting for the reply: an error closes the channel all the same', async (t) => {
  const { connection, name } = await openTopology(t);
  const source = name();
  const fields = { source, destination: 'amq.direct', routingKey: 'k', nowait: true };
  await expectChannelError(
    t,
    connection,
    (ch) => send(ch, 'ExchangeBind', fields),
    'exchange.bind',
    notFound('exchange', source),
  );
});

t.test('an alternate exchange gets what is bound nowhere', async (t) => {
  const session = await openTopology(t);
  const { destination, queue } = await pair(session, { internal: true });
  const exchange = session.name();
  await session.channel.assertExchange(exchange, 'direct', { alternateExchange: destination });
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 1);
  const other = (await session.channel.assertQueue('', { exclusive: true })).queue;
  await session.channel.bindQueue(other, exchange, 'k');
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('the default exchange is no alternate: an empty name is no exchange', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await call(channel, 'ExchangeDeclare', { exchange, type: 'direct', arguments: { 'alternate-exchange': '' } });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  t.equal(await routedCount(connection, exchange, queue, queue), 0);
});

for (const which of ['not there', 'the exchange itself'] as const) {
  t.test(`an alternate exchange that is ${which} loses the message, or returns it`, async (t) => {
    const { channel, name } = await openTopology(t);
    const exchange = name();
    const alternateExchange = which === 'not there' ? name() : exchange;
    await channel.assertExchange(exchange, 'direct', { alternateExchange });
    const returned = new Promise<unknown>((resolve) => channel.on('return', (message) => resolve(message.fields)));
    channel.publish(exchange, 'k', Buffer.from(''), { mandatory: true });
    t.same(await returned, { replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey: 'k' });
  });
}
