// exchange.delete and auto-delete: when an exchange goes, and what goes with it.
import t from 'tap';
import {
  accessRefused,
  defaultExchangeRefused,
  expectChannelError,
  notFound,
  openTopology,
  preconditionFailed,
  routedCount,
  type TopologySession,
} from '../helper/amqp.ts';
import { call, send } from '../helper/messages.ts';

/** An exchange of this name and a queue, exclusive and bound to it with the key 'k'. */
async function boundExchange({ channel, name }: TopologySession, options = {}) {
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', options);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, 'k');
  return { exchange, queue };
}

async function expectGone(
  t: Parameters<typeof expectChannelError>[0],
  { connection }: TopologySession,
  exchange: string,
) {
  const expected = notFound('exchange', exchange);
  await expectChannelError(t, connection, (ch) => ch.checkExchange(exchange), 'exchange.declare', expected);
}

t.test('a deleted exchange is gone', async (t) => {
  const session = await openTopology(t);
  const { exchange } = await boundExchange(session);
  t.same(await session.channel.deleteExchange(exchange), {});
  await expectGone(t, session, exchange);
});

t.test('deleting an exchange that is not there is no error', async (t) => {
  const { channel, name } = await openTopology(t);
  t.same(await channel.deleteExchange(name()), {});
  t.same(await channel.deleteExchange(name(), { ifUnused: true }), {});
});

t.test('the bindings of a deleted exchange do not come back with its name', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await boundExchange(session);
  await session.channel.deleteExchange(exchange);
  await session.channel.assertExchange(exchange, 'direct');
  t.equal(await routedCount(session.connection, exchange, 'k', queue), 0);
});

t.test('if-unused deletes an exchange without bindings', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await boundExchange(session);
  await session.channel.unbindQueue(queue, exchange, 'k');
  t.same(await session.channel.deleteExchange(exchange, { ifUnused: true }), {});
  await expectGone(t, session, exchange);
});

t.test('if-unused does not delete an exchange that a queue is bound to', async (t) => {
  const session = await openTopology(t);
  const { exchange } = await boundExchange(session);
  const expected = preconditionFailed(`exchange '${exchange}' in vhost '/' in use`);
  const remove = { ifUnused: true };
  await expectChannelError(
    t,
    session.connection,
    (ch) => ch.deleteExchange(exchange, remove),
    'exchange.delete',
    expected,
  );
  t.same(await session.channel.checkExchange(exchange), {});
});

t.test('if-unused does not delete an exchange that another exchange is bound to', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const [source, destination] = [name(), name()];
  await channel.assertExchange(source, 'direct');
  await channel.assertExchange(destination, 'direct');
  await channel.bindExchange(destination, source, 'k');
  const expected = preconditionFailed(`exchange '${source}' in vhost '/' in use`);
  const remove = { ifUnused: true };
  await expectChannelError(t, connection, (ch) => ch.deleteExchange(source, remove), 'exchange.delete', expected);
  t.same(await channel.deleteExchange(destination, remove), {}, 'being bound to another exchange is no use');
});

t.test('without waiting for the reply: deleted all the same', async (t) => {
  const session = await openTopology(t);
  const { exchange } = await boundExchange(session);
  const remove = (ch: TopologySession['channel']) => {
    send(ch, 'ExchangeDelete', { exchange, nowait: true });
    return ch.checkExchange(exchange);
  };
  await expectChannelError(t, session.connection, remove, 'exchange.declare', notFound('exchange', exchange));
});

t.test('without waiting for the reply: an error closes the channel all the same', async (t) => {
  const session = await openTopology(t);
  const { exchange } = await boundExchange(session);
  const fields = { exchange, ifUnused: true, nowait: true };
  const expected = preconditionFailed(`exchange '${exchange}' in vhost '/' in use`);
  await expectChannelError(
    t,
    session.connection,
    (ch) => send(ch, 'ExchangeDelete', fields),
    'exchange.delete',
    expected,
  );
});

for (const exchange of ['amq.direct', 'amq.fanout', 'amq.not-there', 'amq.default']) {
  t.test(`${exchange} cannot be deleted`, async (t) => {
    const { connection } = await openTopology(t);
    const expected = accessRefused(`deletion of system exchange '${exchange}' in vhost '/' not allowed`);
    await expectChannelError(t, connection, (ch) => ch.deleteExchange(exchange), 'exchange.delete', expected);
  });
}

t.test('the default exchange cannot be deleted', async (t) => {
  const { connection } = await openTopology(t);
  const operation = (ch: TopologySession['channel']) => call(ch, 'ExchangeDelete', { exchange: '' });
  await expectChannelError(t, connection, operation, 'exchange.delete', defaultExchangeRefused);
});

t.test('an auto-delete exchange that nothing was bound to stays', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', { autoDelete: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.unbindQueue(queue, exchange, 'not-there');
  t.same(await channel.checkExchange(exchange), {});
});

t.test('an auto-delete exchange goes with its last binding, not before', async (t) => {
  const session = await openTopology(t);
  const { channel } = session;
  const { exchange, queue } = await boundExchange(session, { autoDelete: true });
  await channel.bindQueue(queue, exchange, 'other');
  await channel.unbindQueue(queue, exchange, 'k');
  t.same(await channel.checkExchange(exchange), {});
  await channel.unbindQueue(queue, exchange, 'other');
  await expectGone(t, session, exchange);
});

t.test('an auto-delete exchange goes with its last queue', async (t) => {
  const session = await openTopology(t);
  const { exchange, queue } = await boundExchange(session, { autoDelete: true });
  await session.channel.deleteQueue(queue);
  await expectGone(t, session, exchange);
});

t.test('an auto-delete exchange goes when the connection of its last, exclusive queue does', async (t) => {
  const session = await openTopology(t);
  const other = await session.connectAgain();
  const { exchange } = await boundExchange({ ...session, channel: await other.createChannel() }, { autoDelete: true });
  t.same(await session.channel.checkExchange(exchange), {});
  await other.close();
  await expectGone(t, session, exchange);
});

t.test('an auto-delete exchange goes with the last exchange bound to it', async (t) => {
  const session = await openTopology(t);
  const { channel, name } = session;
  const [byUnbind, byDelete, destination] = [name(), name(), name()];
  await channel.assertExchange(destination, 'fanout');
  for (const source of [byUnbind, byDelete]) {
    await channel.assertExchange(source, 'direct', { autoDelete: true });
    await channel.bindExchange(destination, source, 'k');
  }
  await channel.unbindExchange(destination, byUnbind, 'k');
  await expectGone(t, session, byUnbind);
  await channel.deleteExchange(destination);
  await expectGone(t, session, byDelete);
});

t.test('an auto-delete exchange stays when what it is bound to goes', async (t) => {
  const { channel, name } = await openTopology(t);
  const [source, destination] = [name(), name()];
  await channel.assertExchange(source, 'fanout');
  await channel.assertExchange(destination, 'direct', { autoDelete: true });
  await channel.bindExchange(destination, source, 'k');
  await channel.deleteExchange(source);
  t.same(await channel.checkExchange(destination), {});
});

t.test('a chain of auto-delete exchanges goes with the last queue', async (t) => {
  const session = await openTopology(t);
  const { channel, name } = session;
  const { exchange, queue } = await boundExchange(session, { autoDelete: true });
  const [first, second] = [name(), name()];
  for (const source of [first, second]) await channel.assertExchange(source, 'direct', { autoDelete: true });
  await channel.bindExchange(second, first, 'k');
  await channel.bindExchange(exchange, second, 'k');
  await channel.deleteQueue(queue);
  for (const gone of [exchange, second, first]) await expectGone(t, session, gone);
});
