// Virtual hosts that come and go while the broker runs: who may open them, what goes with them, what is there after a restart.
import { once } from 'node:events';
import { type ChannelModel, connect } from 'amqplib';
import t, { type Test } from 'tap';
import { type Broker, type BrokerOptions, createBroker } from '../../lib/index.ts';
import { afterEachEnding } from '../helper/durable-broker.ts';
import { closeText, EmbedClient, turnsUntil } from '../helper/embed-client.ts';
import { drain, Inbox, publish, quiet } from '../helper/messages.ts';
import { connectionOpen, PROTOCOL_HEADER, startOk, tuneOk } from '../helper/wire-bytes.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };

async function startBroker(t: Test, options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return broker;
}

async function open(t: Test, broker: Broker, vhost: string): Promise<ChannelModel> {
  const url = new URL(broker.url);
  url.pathname = `/${encodeURIComponent(vhost)}`;
  const connection = quiet(await connect(url.href));
  t.teardown(() => connection.close().catch(() => undefined)); // most are closed by then
  return connection;
}

/** Code and text of the connection.close that a virtual host is refused with. */
async function refusal(t: Test, broker: Broker, vhost: string): Promise<string> {
  const client = EmbedClient.dial(broker.port);
  t.teardown(() => client.stream.destroy());
  const told = client.expect(0, 10, 50);
  const opened = client.open({ vhost });
  opened.catch(() => {}); // refused, which is what is asked for
  const args = await Promise.race([told, opened.then(() => Promise.reject(new Error(`${vhost} can be opened`)))]);
  return `${args.readUInt16BE(0)} ${closeText(args)}`;
}

t.test('a virtual host is there as soon as it is created, for those who get permissions on it', async (t) => {
  const broker = await startBroker(t);
  t.strictSame(broker.virtualHosts, ['/']);
  await broker.createVirtualHost('orders');
  t.strictSame(broker.virtualHosts, ['/', 'orders']);
  t.equal(
    await refusal(t, broker, 'orders'),
    "530 NOT_ALLOWED - access to vhost 'orders' refused for user 'guest'",
    'nobody has, as in RabbitMQ',
  );
  await broker.putUser({ name: 'guest', permissions: { orders: ALL } });
  const connection = await open(t, broker, 'orders');
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('new');
  await publish(channel, 'new', ['one']);
  await broker.createVirtualHost('orders');
  t.strictSame(await drain(channel, 'new'), ['one'], 'one that exists is left as it is');
  t.equal(broker.connectionCount, 1);
});

t.test('a virtual host that is deleted takes everything along', async (t) => {
  const broker = await startBroker(t, { vhosts: ['/', 'x'] });
  const other = await open(t, broker, '/');
  const connection = await open(t, broker, 'x');
  const idle = await open(t, broker, 'x');
  const channel = quiet(await connection.createConfirmChannel());
  const inbox = new Inbox();
  await channel.assertExchange('e', 'fanout');
  await channel.assertQueue('shared');
  await channel.assertQueue('exclusive', { exclusive: true });
  await channel.bindQueue('shared', 'e', '');
  await publish(channel, 'shared', ['unacknowledged', 'ready']);
  await channel.prefetch(1);
  await channel.consume('shared', inbox.receive);
  await inbox.next();
  t.ok(broker.memoryUsedBytes > 0);

  const closed = Promise.all([connection, idle].map((one) => once(one, 'close')));
  const deleted = broker.deleteVirtualHost('x');
  t.strictSame(broker.virtualHosts, ['/'], 'at once');
  await deleted;
  for (const [reason] of await closed) {
    t.match(reason, { code: 320, message: "CONNECTION_FORCED - vhost 'x' is deleted" });
  }
  await turnsUntil(() => broker.connectionCount === 1);
  t.equal(broker.connectionEnds.get('forced'), 2);
  t.equal(broker.memoryUsedBytes, 0);
  t.equal(await refusal(t, broker, 'x'), '530 NOT_ALLOWED - vhost x not found');
  await (await other.createChannel()).assertQueue('still-works');

  await t.test('and one of the same name is new, and closed to all', async (t) => {
    await broker.createVirtualHost('x');
    t.equal(await refusal(t, broker, 'x'), "530 NOT_ALLOWED - access to vhost 'x' refused for user 'guest'");
    await broker.putUser({ name: 'guest', permissions: { x: ALL } });
    const again = await open(t, broker, 'x');
    for (const name of ['shared', 'exclusive']) {
      const looking = quiet(await again.createChannel());
      await t.rejects(looking.checkQueue(name), { code: 404 });
    }
    await t.rejects(quiet(await again.createChannel()).checkExchange('e'), { code: 404 });
    await (await again.createChannel()).checkExchange('amq.topic');
  });
});

t.test('a virtual host can go while a client is about to open it', async (t) => {
  const broker = await startBroker(t, { vhosts: ['/', 'x'] });
  const client = EmbedClient.dial(broker.port);
  t.teardown(() => client.stream.destroy());
  client.send(PROTOCOL_HEADER, startOk());
  await client.expect(0, 10, 30);
  await broker.deleteVirtualHost('x');
  const told = client.expect(0, 10, 50);
  client.send(tuneOk(), connectionOpen('x'));
  t.equal(closeText(await told), 'NOT_ALLOWED - vhost x not found');
});

t.test('the last virtual host can be deleted, too', async (t) => {
  const broker = await startBroker(t);
  await broker.deleteVirtualHost('/');
  t.strictSame(broker.virtualHosts, []);
  t.strictSame(broker.users, [{ name: 'guest', tags: ['administrator'], permissions: {} }]);
});

t.test('what can not be done is refused', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  await t.rejects(broker.createVirtualHost(''), { name: 'AdminError', code: 'invalid', message: /1 to 255 bytes/ });
  await t.rejects(broker.createVirtualHost('ä'.repeat(128)), { code: 'invalid' });
  await broker.createVirtualHost('ä'.repeat(127));
  await t.rejects(broker.deleteVirtualHost('nope'), {
    code: 'not-found',
    message: "virtual host 'nope' does not exist",
  });
  const closing = broker.close();
  await t.rejects(broker.createVirtualHost('late'), { code: 'closed', message: 'the broker is closed' });
  await t.rejects(broker.deleteVirtualHost('/'), { code: 'closed' });
  await closing;
  t.equal(broker.virtualHosts.length, 2);
});

afterEachEnding('a virtual host is there after a restart, with what it holds', async (t, durable) => {
  await durable.broker.createVirtualHost('orders');
  await durable.broker.putUser({ name: 'guest', permissions: { orders: ALL } });
  const before = await durable.connect('orders');
  await before.channel.assertExchange('e', 'topic');
  await before.channel.assertQueue('q');
  await before.channel.bindQueue('q', 'e', 'a.*');
  before.publisher.publish('e', 'a.b', Buffer.from('kept'), { persistent: true });
  await before.publisher.waitForConfirms();

  await durable.restart();
  const { channel, publisher } = await durable.connect('orders');
  t.strictSame(durable.broker.virtualHosts, ['/', 'orders']);
  publisher.publish('e', 'a.c', Buffer.from('routed'), { persistent: true });
  await publisher.waitForConfirms();
  t.strictSame(await drain(channel, 'q'), ['kept', 'routed']);
});

afterEachEnding('a virtual host that was deleted is gone after a restart', async (t, durable) => {
  await durable.broker.createVirtualHost('x');
  await durable.broker.putUser({ name: 'guest', permissions: { x: ALL } });
  const { channel, publisher } = await durable.connect('x');
  await channel.assertExchange('e', 'fanout');
  await channel.bindExchange('amq.topic', 'amq.fanout', '');
  await channel.bindExchange('e', 'amq.fanout', '');
  await channel.assertQueue('q');
  await channel.bindQueue('q', 'amq.topic', '#');
  await channel.bindQueue('q', 'e', '');
  publisher.sendToQueue('q', Buffer.from('lost'), { persistent: true });
  await publisher.waitForConfirms();
  await durable.broker.deleteVirtualHost('x');
  await durable.restart();
  t.strictSame(durable.broker.virtualHosts, ['/']);

  await t.test('with all that was in it, also when it is made again', async (t) => {
    await durable.broker.createVirtualHost('x');
    await durable.broker.putUser({ name: 'guest', permissions: { x: ALL } });
    await durable.restart();
    const again = await durable.connect('x');
    await again.channel.assertQueue('q');
    await again.channel.bindQueue('q', 'amq.topic', '#');
    again.publisher.publish('amq.fanout', 'key', Buffer.from('nowhere'));
    await again.publisher.waitForConfirms();
    t.strictSame(await drain(again.channel, 'q'), [], 'no message, and no binding from amq.fanout to amq.topic');
    await t.rejects(again.channel.checkExchange('e'), { code: 404 });
  });
});

afterEachEnding(
  'a configured virtual host that was deleted is there after a restart, empty and open to those who are configured for it',
  async (t, durable) => {
    const { channel } = await durable.connect('orders');
    await channel.assertQueue('q');
    await durable.broker.deleteVirtualHost('orders');
    t.strictSame(durable.broker.virtualHosts, ['/']);
    await durable.restart();
    const again = await durable.connect('orders');
    await t.rejects(again.channel.checkQueue('q'), { code: 404 });
  },
  { vhosts: ['/', 'orders'] },
);
