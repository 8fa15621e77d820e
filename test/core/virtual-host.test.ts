// What a virtual host does, case by case; virtual-host-model.test.ts has the rest.
import t from 'tap';
import { brokerError, consumerOf, Inbox, messageOf, ownerOf, queueSettings, table } from './helper.ts';
import { bindingTo, createVirtualHost, exchangeSettings, publish } from './virtual-host-helper.ts';

const UNCONDITIONAL = { ifUnused: false, ifEmpty: false };
const owner = ownerOf();

t.test('a virtual host is born with the exchanges of RabbitMQ', async (t) => {
  const host = createVirtualHost();
  const found = [...host.exchanges.values()].map(({ settings }) => `${settings.name} ${settings.type}`).sort();
  t.same(found, [
    ' direct',
    'amq.direct direct',
    'amq.fanout fanout',
    'amq.headers headers',
    'amq.match headers',
    'amq.rabbitmq.trace topic',
    'amq.topic topic',
  ]);
  t.ok([...host.exchanges.values()].every(({ settings }) => settings.durable && !settings.autoDelete));
  t.ok(host.getExchange('amq.rabbitmq.trace').settings.internal);
});

t.test(
  'the default exchange leads to the queue that the routing key names, from its declaration to its end',
  async (t) => {
    const host = createVirtualHost();
    t.same(publish(host, '', 'q'), []);
    host.declareQueue(queueSettings());
    t.same(publish(host, '', 'q'), ['q']);
    t.same(publish(host, '', 'other'), []);
    host.deleteQueue('q', UNCONDITIONAL, owner);
    t.same(publish(host, '', 'q'), []);
  },
);

t.test('what does not exist is not found', async (t) => {
  const host = createVirtualHost();
  const cases: [() => unknown, string][] = [
    [() => host.getExchange('x'), "no exchange 'x' in vhost '/'"],
    [() => host.getQueue('q', owner), "no queue 'q' in vhost '/'"],
    [() => publish(host, 'x', 'k'), "no exchange 'x' in vhost '/'"],
    [() => host.bind(bindingTo('amq.direct', 'queue', 'q'), owner), "no queue 'q' in vhost '/'"],
    [() => host.bind(bindingTo('x', 'exchange', 'amq.direct'), owner), "no exchange 'x' in vhost '/'"],
  ];
  for (const [run, message] of cases) t.match(brokerError(run), { condition: 'NOT_FOUND', message });
  host.deleteExchange('x', true);
  t.equal(host.deleteQueue('q', { ifUnused: true, ifEmpty: true }, owner), 0);
  host.unbind(bindingTo('x', 'queue', 'q'), owner);
});

t.test('an exclusive queue is locked to others and goes with its owner', async (t) => {
  const host = createVirtualHost();
  const mine = ownerOf();
  host.declareQueue(queueSettings({ name: 'plain' }));
  host.declareQueue(queueSettings({ owner: mine }));
  host.bind(bindingTo('amq.fanout', 'queue', 'q'), mine);
  const attempts = [
    () => host.getQueue('q', owner),
    () => host.declareQueue(queueSettings()),
    () => host.declareQueue(queueSettings({ owner })),
    () => host.declareQueue(queueSettings({ name: 'plain', owner: mine })),
    () => host.deleteQueue('q', UNCONDITIONAL, owner),
    () => host.bind(bindingTo('amq.direct', 'queue', 'q'), owner),
    () => host.unbind(bindingTo('amq.fanout', 'queue', 'q'), owner),
  ];
  for (const attempt of attempts) t.equal(brokerError(attempt).condition, 'RESOURCE_LOCKED');
  t.match(
    brokerError(attempts[0]).message,
    "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could",
  );
  t.equal(host.getQueue('q', mine).name, 'q');
  host.deleteOwnedQueues(mine);
  t.same([...host.queues.keys()], ['plain']);
  t.same(publish(host, 'amq.fanout', ''), []);
  t.equal(mine.ownedQueues.size, 0);
});

t.test('a queue is deleted only under the conditions that were asked for', async (t) => {
  const host = createVirtualHost();
  const queue = host.declareQueue(queueSettings());
  const inbox = new Inbox();
  queue.publish(messageOf('1'), null);
  const ifEmpty = { ifEmpty: true, ifUnused: false };
  const ifUnused = { ifEmpty: false, ifUnused: true };
  t.match(brokerError(() => host.deleteQueue('q', ifEmpty, owner)).message, "queue 'q' in vhost '/' not empty");
  queue.addConsumer(consumerOf(inbox));
  t.match(brokerError(() => host.deleteQueue('q', ifUnused, owner)).message, "queue 'q' in vhost '/' in use");
  t.equal(host.deleteQueue('q', ifEmpty, owner), 0);
  t.equal(inbox.cancelled.length, 1);
  host.declareQueue(queueSettings()).publish(messageOf('1'), null);
  t.equal(host.deleteQueue('q', ifUnused, owner), 1);
});

t.test('an auto-delete queue goes with its last consumer, and its bindings with it', async (t) => {
  const host = createVirtualHost();
  const queue = host.declareQueue(queueSettings({ autoDelete: true }));
  host.declareExchange(exchangeSettings({ name: 'x', autoDelete: true }));
  host.bind(bindingTo('x', 'queue', 'q'), owner);
  const consumer = consumerOf(new Inbox());
  queue.addConsumer(consumer);
  queue.removeConsumer(consumer);
  t.equal(host.queues.size, 0);
  t.notOk(host.exchanges.has('x'), 'it was the last binding of the exchange');
});

t.test('bad arguments of exchanges and bindings are refused in the words of RabbitMQ', async (t) => {
  const host = createVirtualHost();
  host.declareQueue(queueSettings());
  const alternate = table({ 'alternate-exchange': { type: 'I', value: 1 } });
  const match = table({ 'x-match': 'some' });
  const cases: [() => unknown, string, RegExp][] = [
    [
      () => host.declareExchange(exchangeSettings({ name: 'x', arguments: alternate })),
      'PRECONDITION_FAILED',
      /^invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '\/'$/,
    ],
    [
      () => host.bind({ ...bindingTo('amq.headers', 'queue', 'q'), arguments: match }, owner),
      'PRECONDITION_FAILED',
      /x-match/,
    ],
    [() => host.checkExchangeType('odd'), 'COMMAND_INVALID', /^unknown exchange type 'odd'$/],
    [() => host.declareExchange(exchangeSettings({ type: '' })), 'COMMAND_INVALID', /^invalid exchange type ''$/],
  ];
  for (const [run, condition, message] of cases) t.match(brokerError(run), { condition, message });
  t.notOk(host.exchanges.has('x'));
  t.equal(host.getQueue('q', owner).bindings.size, 0);
});

t.test('further keys of a message lead to further queues, each once', async (t) => {
  const host = createVirtualHost();
  for (const name of ['a', 'b']) {
    host.declareQueue(queueSettings({ name }));
    host.bind(bindingTo('amq.direct', 'queue', name, name), owner);
    host.bind(bindingTo('amq.direct', 'queue', name, 'both'), owner);
  }
  const message = messageOf('', { exchange: 'amq.direct', routingKey: 'a' });
  const names = (...keys: string[]): string[] => host.route(message, keys).map(({ name }) => name);
  t.same(names(), ['a']);
  t.same(names('b'), ['a', 'b']);
  t.same(names('both', 'a'), ['a', 'b']);
  t.same(names(), ['a'], 'and the message of the same route without them goes where it went');
});

t.test('a direct reply reaches the consumer of its address, until that is closed', async (t) => {
  const host = createVirtualHost();
  const inbox = new Inbox();
  const queue = host.openReplyQueue(consumerOf(inbox, { noAck: true }));
  t.ok(host.hasReplyQueue(queue.name));
  host.deliverReplies(messageOf('1', { routingKey: queue.name }), []);
  host.deliverReplies(messageOf('2', { routingKey: 'elsewhere' }), [queue.name]);
  host.deliverReplies(messageOf('3', { routingKey: `${queue.name}x` }), []);
  t.same(inbox.texts, ['1', '2']);
  t.notOk(host.queues.has(queue.name), 'it is no queue that clients see');
  host.closeReplyQueue(queue);
  host.deliverReplies(messageOf('4', { routingKey: queue.name }), []);
  t.same(inbox.texts, ['1', '2']);
  t.notOk(host.hasReplyQueue(queue.name));
});
