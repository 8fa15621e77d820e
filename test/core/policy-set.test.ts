// Policies and limits within a virtual host: what they apply to, at once and later.
import t from 'tap';
import type { Policy } from '../../lib/core/policy.ts';
import { brokerError, consumerOf, Inbox, ownerOf, queueSettings, table } from './helper.ts';
import { bindingTo, createVirtualHost, exchangeSettings, publish } from './virtual-host-helper.ts';

function policyOf(options: Partial<Policy> = {}): Policy {
  const defaults = { name: 'p', pattern: '', definition: {}, priority: 0, applyTo: 'all' as const };
  return { ...defaults, matches: () => true, ...options };
}

t.test('queues that are there and those that come have what a policy asks for, until it goes', async (t) => {
  const host = createVirtualHost();
  const before = host.declareQueue(queueSettings({ name: 'before' }));
  host.policies.put('policy', policyOf({ definition: { 'max-length': 5 } }));
  const after = host.declareQueue(queueSettings({ name: 'after', owner: ownerOf() }));
  for (const queue of [before, after]) t.equal(queue.features.maxLength, 5);
  host.policies.put('operator_policy', policyOf({ definition: { 'max-length': 3, expires: 4 } }));
  for (const queue of [before, after]) t.match(queue.features, { maxLength: 3, expiresMs: 4 });
  t.match(host.policyOf(before), {
    policy: { name: 'p' },
    operatorPolicy: { name: 'p' },
    definition: { 'max-length': 3, expires: 4 },
  });
  host.policies.put('policy', policyOf({ definition: { 'max-length': 1 } }));
  t.equal(before.features.maxLength, 1, 'in place of the one of this name');
  t.equal(host.policies.list('policy').length, 1);
  t.ok(host.policies.remove('policy', 'p'));
  t.ok(host.policies.remove('operator_policy', 'p'));
  t.notOk(host.policies.remove('policy', 'p'));
  for (const queue of [before, after]) t.match(queue.features, { maxLength: Infinity, expiresMs: Infinity });
  t.strictSame(host.policyOf(before), { policy: null, operatorPolicy: null, definition: null });
});

t.test('queues that a policy does not change are left alone', async (t) => {
  const host = createVirtualHost();
  const queue = host.declareQueue(queueSettings({ arguments: table({ 'x-max-length': { type: 'I', value: 2 } }) }));
  const { features } = queue;
  host.policies.put('policy', policyOf({ definition: { 'max-length': 9, 'alternate-exchange': 'x' } }));
  t.equal(queue.features, features);
});

t.test('an alternate exchange by a policy: for the messages of routes that are known already, too', async (t) => {
  const host = createVirtualHost();
  host.declareExchange(exchangeSettings({ name: 'ae', type: 'fanout' }));
  host.declareQueue(queueSettings());
  host.bind(bindingTo('ae', 'queue', 'q'), ownerOf());
  host.declareExchange(exchangeSettings({ name: 'x' }));
  const own = table({ 'alternate-exchange': 'nowhere' });
  host.declareExchange(exchangeSettings({ name: 'with-argument', arguments: own }));
  t.strictSame(publish(host, 'x', 'k'), []);
  host.policies.put('policy', policyOf({ definition: { 'alternate-exchange': 'ae' }, applyTo: 'exchanges' }));
  t.strictSame(publish(host, 'x', 'k'), ['q']);
  t.strictSame(publish(host, 'amq.topic', 'k'), ['q'], 'those that every virtual host has, too');
  t.strictSame(publish(host, '', 'k'), [], 'but not the default exchange');
  t.strictSame(publish(host, 'with-argument', 'k'), [], 'nor one whose argument names another');
  host.declareExchange(exchangeSettings({ name: 'later' }));
  t.strictSame(publish(host, 'later', 'k'), ['q']);
  host.policies.remove('policy', 'p');
  t.strictSame(publish(host, 'x', 'k'), []);
});

t.test("a quorum queue that is given no delivery limit has the broker's", async (t) => {
  const host = createVirtualHost({ quorumDeliveryLimit: 20 });
  const quorum = { durable: true, arguments: table({ 'x-queue-type': 'quorum' }) };
  const queue = host.declareQueue(queueSettings(quorum));
  t.equal(queue.features.deliveryLimit, 20);
  host.policies.put('policy', policyOf({ definition: { 'delivery-limit': 30 } }));
  t.equal(queue.features.deliveryLimit, 30);
  host.policies.remove('policy', 'p');
  t.equal(queue.features.deliveryLimit, 20);
  t.equal(host.declareQueue(queueSettings({ name: 'classic' })).features.deliveryLimit, Infinity);
});

t.test('policies are not for reply addresses', async (t) => {
  const host = createVirtualHost();
  host.policies.put('policy', policyOf({ definition: { 'max-length': 0 } }));
  const queue = host.openReplyQueue(consumerOf(new Inbox()));
  t.equal(queue.features.maxLength, Infinity);
});

t.test('no more queues than a virtual host may have, whatever else is wrong with a new one', async (t) => {
  const host = createVirtualHost();
  host.declareQueue(queueSettings({ name: 'one' }));
  host.limits.maxQueues = 1;
  const arguments_ = table({ 'x-max-length': 'no number' });
  const refused = brokerError(() => host.declareQueue(queueSettings({ name: 'two', arguments: arguments_ })));
  t.match(refused, {
    condition: 'PRECONDITION_FAILED',
    message: "cannot declare queue 'two': queue limit in vhost '/' (1) is reached",
  });
  t.equal(host.declareQueue(queueSettings({ name: 'one' })).name, 'one', 'one that exists is found');
  host.limits.maxQueues = 2;
  host.declareQueue(queueSettings({ name: 'two' }));
  host.limits.maxQueues = 0;
  host.deleteQueue('two', { ifUnused: false, ifEmpty: false }, ownerOf());
  t.match(brokerError(() => host.declareQueue(queueSettings({ name: 'two' }))).message, /'\/' \(0\) is reached/);
});

t.test('no more queues than all virtual hosts may have together', async (t) => {
  const hosts = new Set<ReturnType<typeof createVirtualHost>>();
  const count = (): number => [...hosts].reduce((sum, { queues }) => sum + queues.size, 0);
  for (const _ of ['a', 'b']) hosts.add(createVirtualHost({ queueQuota: { limit: 2, count } }));
  for (const host of hosts) host.declareQueue(queueSettings());
  for (const host of hosts) {
    t.match(
      brokerError(() => host.declareQueue(queueSettings({ name: 'more' }))),
      {
        condition: 'PRECONDITION_FAILED',
        message: "cannot declare queue 'more': queue limit in cluster (2) is reached",
      },
    );
  }
});
