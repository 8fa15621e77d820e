// Policies that are set and removed while the broker runs: what there is of them, what is there after a restart, what goes with a
// virtual host. What they do is tested in test/interop/policies.test.ts, against RabbitMQ too.
import { type Channel, connect } from 'amqplib';
import t, { type Test } from 'tap';
import { UserDirectory } from '../../lib/auth/user-directory.ts';
import { systemClock } from '../../lib/clock.ts';
import { resolveOptions } from '../../lib/config.ts';
import { Alarms } from '../../lib/core/alarms.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Policy } from '../../lib/core/policy.ts';
import { PublishFlow } from '../../lib/core/publish-flow.ts';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { DataFolder } from '../../lib/data-folder.ts';
import { AdminError, type Broker, type BrokerOptions, createBroker, type PolicyOptions } from '../../lib/index.ts';
import { createLogger } from '../../lib/log.ts';
import { defect } from '../core/helper.ts';
import { createVirtualHost } from '../core/virtual-host-helper.ts';
import { afterEachEnding, DurableBroker, temporaryFolder } from '../helper/durable-broker.ts';
import { drain, publish, quiet, readyCount } from '../helper/messages.ts';
import { until } from '../helper/ttl.ts';

const SHORT = { vhost: '/', name: 'short', pattern: '^q', definition: { 'max-length': 1 } };

async function startBroker(t: Test, options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return broker;
}

/** How many of three messages stay in a queue that is declared now. */
async function kept(channel: Channel, publisher: Parameters<typeof publish>[0], queue: string): Promise<number> {
  await channel.assertQueue(queue, { durable: false });
  await channel.purgeQueue(queue);
  await publish(publisher, queue, ['1', '2', '3']);
  return readyCount(channel, queue);
}

t.test('a policy is there as it was set, until it is deleted', async (t) => {
  const broker = await startBroker(t, { vhosts: ['/', 'x'] });
  t.strictSame(broker.policies, []);
  const complete = { priority: 3, applyTo: 'queues' as const, definition: { expires: 9, 'ha-mode': 'all' } };
  await broker.putPolicy(SHORT);
  await broker.putPolicy({ ...SHORT, vhost: 'x', ...complete });
  await broker.putOperatorPolicy({ ...SHORT, name: 'limits' });
  t.strictSame(broker.policies, [
    { ...SHORT, priority: 0, applyTo: 'all' },
    { ...SHORT, vhost: 'x', ...complete },
  ]);
  t.strictSame(broker.operatorPolicies, [{ ...SHORT, name: 'limits', priority: 0, applyTo: 'all' }]);
  await broker.putPolicy({ ...SHORT, pattern: '', priority: undefined });
  t.match(broker.policies[0], { name: 'short', pattern: '' }, 'in place of the one of this name');
  await broker.deletePolicy('/', 'short');
  await broker.deleteOperatorPolicy('/', 'limits');
  t.strictSame(
    broker.policies.map(({ vhost }) => vhost),
    ['x'],
  );
  t.strictSame(broker.operatorPolicies, []);
});

t.test('nobody else has a hold of a policy', async (t) => {
  const broker = await startBroker(t);
  const definition: Record<string, unknown> = { 'ha-mode': 'nodes', 'ha-params': ['a'] };
  await broker.putPolicy({ ...SHORT, definition });
  definition['max-length'] = 'wrong';
  for (const policy of broker.policies) (policy.definition['ha-params'] as string[]).push('b');
  t.strictSame(broker.policies[0]?.definition, { 'ha-mode': 'nodes', 'ha-params': ['a'] });
});

t.test('patterns are regular expressions as RabbitMQ reads them', async (t) => {
  const broker = await startBroker(t);
  const connection = quiet(await connect(broker.url));
  t.teardown(() => connection.close());
  const channel = await connection.createChannel();
  const publisher = await connection.createConfirmChannel();
  const matches = async (pattern: string, queue: string): Promise<boolean> => {
    await broker.putPolicy({ ...SHORT, pattern });
    return (await kept(channel, publisher, queue)) === 1;
  };
  t.ok(await matches('', 'queue'));
  t.ok(await matches('ue', 'queue'));
  t.notOk(await matches('^ue', 'queue'));
  t.notOk(await matches('QUE', 'queue'));
  t.ok(await matches('(?i)QUE', 'queue'));
  t.ok(await matches('^[[:alpha:]]+$', 'queue'));
  t.ok(await matches('^é$', 'é'));
});

t.test('what is wrong is refused, and changes nothing', async (t) => {
  const broker = await startBroker(t);
  const refused = async (promise: Promise<void>, code: string, message: string | RegExp) => {
    await t.rejects(promise, { name: 'AdminError', code, message });
  };
  const wrong = (change: object): Promise<void> => broker.putPolicy({ ...SHORT, ...change } as PolicyOptions);
  await refused(
    wrong({ definition: { foo: 1 } }),
    'invalid',
    /^Validation failed\n\n.* not recognised policy settings$/,
  );
  await refused(wrong({ pattern: '(' }), 'invalid', /pattern should be regular expression but is invalid: /);
  await refused(wrong({ vhost: 'x' }), 'not-found', "virtual host 'x' does not exist");
  await refused(wrong({ name: '' }), 'invalid', "the name of a policy is a text of 1 to 255 bytes, which '' is not");
  await refused(wrong({ definition: 1 }), 'invalid', /^a policy is \{ vhost, name, pattern, definition/);
  await refused(wrong({ definition: { 'ha-params': 1n } }), 'invalid', /^the definition of a policy must be JSON/);
  await refused(wrong({ aplyTo: 'all' }), 'invalid', "a policy has no 'aplyTo' (did you mean 'applyTo'?)");
  await refused(
    broker.putOperatorPolicy({ ...SHORT, definition: { overflow: 'drop-head' } }),
    'invalid',
    /not recognised/,
  );
  await refused(broker.deletePolicy('/', 'x'), 'not-found', "policy 'x' does not exist in virtual host '/'");
  await refused(broker.deleteOperatorPolicy('/', 'x'), 'not-found', /^operator policy 'x' does not exist/);
  await refused(broker.deletePolicy('x', 'x'), 'not-found', "virtual host 'x' does not exist");
  t.strictSame([...broker.policies, ...broker.operatorPolicies], []);
  await broker.close();
  await t.rejects(broker.putPolicy(SHORT), { code: 'closed' });
  await t.rejects(broker.deletePolicy('/', 'short'), AdminError);
});

t.test('a virtual host takes its policies along', async (t) => {
  const broker = await startBroker(t);
  await broker.createVirtualHost('x');
  await broker.putPolicy({ ...SHORT, vhost: 'x' });
  await broker.deleteVirtualHost('x');
  await broker.createVirtualHost('x');
  t.strictSame(broker.policies, []);
});

afterEachEnding('policies are there again after a restart, before the queues', async (t, durable) => {
  const { broker } = durable;
  await broker.createVirtualHost('gone');
  await broker.putPolicy({ ...SHORT, vhost: 'gone' });
  const policy = { vhost: '/', name: 'p', pattern: '^q', definition: { 'max-length': 3, 'alternate-exchange': 'x' } };
  await broker.putPolicy(policy);
  await broker.putPolicy({ ...SHORT, name: 'deleted', priority: 9 });
  await broker.deletePolicy('/', 'deleted');
  await broker.putOperatorPolicy({ ...SHORT, name: 'o', definition: { 'max-length': 2 } });
  const policies = broker.policies.filter(({ vhost }) => vhost === '/');
  const { operatorPolicies } = broker;
  await broker.deleteVirtualHost('gone');
  const { channel, publisher } = await durable.connect();
  await channel.assertQueue('q');
  await channel.assertExchange('x', 'fanout');
  await channel.bindQueue('q', 'x', '');
  await channel.assertExchange('q-exchange', 'direct');
  for (const text of ['1', '2', '3']) publisher.sendToQueue('q', Buffer.from(text), { persistent: true });
  await publisher.waitForConfirms();

  const again = await durable.restart();
  t.strictSame(durable.broker.policies, policies);
  t.strictSame(durable.broker.operatorPolicies, operatorPolicies);
  t.equal(await readyCount(again.channel, 'q'), 2);
  again.publisher.publish('q-exchange', 'nobody', Buffer.from('4'));
  await again.publisher.waitForConfirms();
  t.strictSame(await drain(again.channel, 'q'), ['3', '4'], 'by the alternate exchange; and the limit holds');
  await durable.broker.createVirtualHost('gone');
  t.equal(durable.broker.policies.length, 1);

  const checkpointed = await durable.restart();
  t.strictSame(durable.broker.policies, policies, 'after one more');
  t.equal(await readyCount(checkpointed.channel, 'q'), 0);
});

/** Writes into a data folder a policy that no broker would take. */
async function writePolicy(dataDir: string, policy: Policy): Promise<void> {
  const clock = systemClock;
  const [turn, memory] = [new TurnScheduler(clock), new MemoryAccount(2 ** 40, 2 ** 40)];
  const logger = createLogger({ level: 'silent' });
  const parts = { clock, turn, memory, flow: new PublishFlow(), alarms: new Alarms(), logger, defect, failed: defect };
  const folder = await DataFolder.open(dataDir, resolveOptions({ dataDir }), parts);
  const virtualHost = createVirtualHost();
  const users = new UserDirectory({ definitions: [], isDefault: false, entries: [], journal: null });
  folder.start(new Map([['/', virtualHost]]), users);
  virtualHost.policies.put('policy', policy);
  await folder.close(); // with a checkpoint of what there is
}

t.test('a policy of the data folder that this broker can not have is named', async (t) => {
  const dataDir = temporaryFolder(t);
  await writePolicy(dataDir, { ...SHORT, pattern: '(', matches: () => false, priority: 0, applyTo: 'all' });
  const start = async (): Promise<void> => (await createBroker({ port: 0, dataDir })).close();
  await t.rejects(start(), {
    name: 'StorageError',
    message: /^the data folder holds policy 'short' in vhost '\/', which this broker can not have: /,
  });
});

t.test('a policy that is set is durable when that is reported', async (t) => {
  const durable = await DurableBroker.start(t, 'crash');
  await durable.broker.putPolicy(SHORT);
  const { channel, publisher } = await durable.restart();
  t.equal(await kept(channel, publisher, 'q'), 1);
  await durable.broker.deletePolicy('/', 'short');
  const later = await durable.restart();
  t.equal(
    await until(
      () => kept(later.channel, later.publisher, 'q'),
      (count) => count === 3,
    ),
    3,
  );
});
