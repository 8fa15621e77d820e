// Limits of virtual hosts and users, set while the broker runs: what they are, what is there after a restart, what goes with them.
// That connections and channels keep to theirs is tested with the connections.
import { connect } from 'amqplib';
import t, { type Test } from 'tap';
import { type Broker, type BrokerOptions, createBroker } from '../../lib/index.ts';
import { afterEachEnding } from '../helper/durable-broker.ts';
import { channelClose, errorOf, quiet } from '../helper/messages.ts';

async function startBroker(t: Test, options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return broker;
}

t.test('limits of a virtual host and of a user, set one by one', async (t) => {
  const broker = await startBroker(t);
  t.strictSame(broker.virtualHostLimits('/'), { maxConnections: -1, maxQueues: -1 });
  await broker.setVirtualHostLimits('/', { maxQueues: 0 });
  await broker.setVirtualHostLimits('/', { maxConnections: 9, maxQueues: undefined });
  t.strictSame(broker.virtualHostLimits('/'), { maxConnections: 9, maxQueues: 0 });
  await broker.setVirtualHostLimits('/', { maxConnections: -5, maxQueues: -1 });
  t.strictSame(broker.virtualHostLimits('/'), { maxConnections: -1, maxQueues: -1 });
  t.strictSame(broker.userLimits('guest'), { maxConnections: -1, maxChannels: -1 });
  await broker.setUserLimits('guest', { maxChannels: 3 });
  await broker.setUserLimits('guest', { maxConnections: 2 });
  t.strictSame(broker.userLimits('guest'), { maxConnections: 2, maxChannels: 3 });
});

t.test('what is wrong is refused, and changes nothing', async (t) => {
  const broker = await startBroker(t);
  const vhost = (limits: object): Promise<void> => broker.setVirtualHostLimits('/', limits);
  const user = (limits: object): Promise<void> => broker.setUserLimits('guest', limits);
  const invalid = (message: string | RegExp) => ({ name: 'AdminError', code: 'invalid', message });
  // The texts are RabbitMQ 3.10.8's.
  await t.rejects(
    vhost({ maxConnections: 1, maxQueues: '1' }),
    invalid('Validation failed\n\nmax-queues should be a number, actually was <<"1">>'),
  );
  await t.rejects(vhost({ maxQueues: null }), invalid(/max-queues should be a number, actually was null$/));
  await t.rejects(user({ maxChannels: 'a' }), invalid('max-channels should be a number, actually was <<"a">>'));
  await t.rejects(user({ maxConnections: 1.5 }), invalid('max-connections should be a number, actually was 1.5'));
  // These have names of ours.
  await t.rejects(
    vhost({ maxQueue: 1 }),
    invalid("a virtual host has no limit 'maxQueue' (did you mean 'maxQueues'?)"),
  );
  await t.rejects(user({ maxQueues: 1 }), invalid(/^a user has no limit 'maxQueues'/));
  await t.rejects(user([]), invalid('the limits of a user are { maxConnections?, maxChannels? }'));
  await t.rejects(broker.setVirtualHostLimits('x', {}), { code: 'not-found' });
  await t.rejects(broker.setUserLimits('x', {}), { code: 'not-found' });
  t.throws(() => broker.virtualHostLimits('x'), { code: 'not-found', message: "virtual host 'x' does not exist" });
  t.throws(() => broker.userLimits('x'), { code: 'not-found', message: "user 'x' does not exist" });
  t.strictSame(broker.virtualHostLimits('/'), { maxConnections: -1, maxQueues: -1 });
  t.strictSame(broker.userLimits('guest'), { maxConnections: -1, maxChannels: -1 });
  await broker.close();
  await t.rejects(user({ maxChannels: 1 }), { code: 'closed' });
  await t.rejects(vhost({ maxQueues: 1 }), { code: 'closed' });
});

t.test('no more queues than the broker may have', async (t) => {
  const broker = await startBroker(t, { maxQueues: 2, vhosts: ['/', 'x'] });
  const refusal = async (vhost: string, queue: string) => {
    const connection = quiet(await connect(new URL(`/${encodeURIComponent(vhost)}`, broker.url).href));
    t.teardown(() => connection.close());
    const channel = quiet(await connection.createChannel());
    const failed = errorOf(channel);
    return channel.assertQueue(queue, { durable: false }).then(
      () => 'declared',
      () => failed,
    );
  };
  t.equal(await refusal('/', 'one'), 'declared');
  t.equal(await refusal('x', 'two'), 'declared');
  const text = "PRECONDITION_FAILED - cannot declare queue 'three': queue limit in cluster (2) is reached";
  t.match(await refusal('/', 'three'), channelClose(406, text, 50, 10), 'as in RabbitMQ 4');
  t.equal(await refusal('/', 'one'), 'declared', 'one that exists');
});

afterEachEnding('limits are there again after a restart, and go with what they limit', async (t, durable) => {
  const { broker } = durable;
  await broker.createVirtualHost('x');
  await broker.createVirtualHost('gone');
  for (const name of ['ann', 'gone']) await broker.putUser({ name, password: 'secret' });
  await broker.setVirtualHostLimits('x', { maxQueues: 0, maxConnections: 5 });
  await broker.setVirtualHostLimits('gone', { maxQueues: 1 });
  await broker.setVirtualHostLimits('/', { maxQueues: 1 });
  await broker.setVirtualHostLimits('/', { maxQueues: -1 });
  await broker.setUserLimits('ann', { maxChannels: 7 });
  await broker.setUserLimits('guest', { maxConnections: 70 });
  await broker.setUserLimits('gone', { maxChannels: 7 });
  await broker.putUser({ name: 'ann', password: 'another' });
  await broker.deleteVirtualHost('gone');
  await broker.deleteUser('gone');
  // The second start reads the checkpoint that the first one wrote at its end.
  for (const start of ['first', 'second']) {
    await durable.restart();
    const now = durable.broker;
    t.strictSame(now.virtualHostLimits('x'), { maxQueues: 0, maxConnections: 5 }, start);
    t.strictSame(now.virtualHostLimits('/'), { maxQueues: -1, maxConnections: -1 });
    t.strictSame(now.userLimits('ann'), { maxConnections: -1, maxChannels: 7 });
    t.strictSame(now.userLimits('guest'), { maxConnections: 70, maxChannels: -1 });
    await now.createVirtualHost('gone');
    await now.putUser({ name: 'gone' });
    t.strictSame(now.virtualHostLimits('gone'), { maxQueues: -1, maxConnections: -1 });
    t.strictSame(now.userLimits('gone'), { maxConnections: -1, maxChannels: -1 });
    await now.deleteVirtualHost('gone');
    await now.deleteUser('gone');
  }
});
