// What a user may do: which permission each operation needs, in which order it is checked, and how it is refused.
// A test cannot give a peer users, so this file runs against Leveret alone. Every case and text here was verified by hand against
// RabbitMQ 3.10.8, with users made by rabbitmqctl. (RabbitMQ 3.12 and later begin the text with the kind of access, such as 'configure'.)
import { type Channel, type ChannelModel, connect } from 'amqplib';
import t, { type Test } from 'tap';
import {
  accessRefused,
  defaultExchangeRefused,
  type ExpectedClose,
  expectChannelError,
  inequivalent,
  type MethodName,
  notFound,
  type ResourceKind,
} from '../helper/amqp.ts';
import { againstPeer, startTarget } from '../helper/broker.ts';
import { call, quiet } from '../helper/messages.ts';

const leveretOnly = { skip: againstPeer && 'a peer has no such users' };
const nothing = '^$';

/** Regular expressions for configure, write and read. */
type Rules = readonly [configure: string, write: string, read: string];

const noRules: Rules = [nothing, nothing, nothing];

/** Queue 'q' is bound to exchange 'x' with key 'k'; exchanges 'x' and 'y' are direct. The connection is that of a user with these rules. */
async function openLimited(t: Test, [configure, write, read]: Rules): Promise<ChannelModel> {
  const admin = { name: 'admin', password: 'admin' };
  const limited = { name: 'limited', password: 'limited', permissions: { '/': { configure, write, read } } };
  const { host, port } = await startTarget(t, { users: [admin, limited] });
  const open = async ({ name, password }: typeof admin) => {
    const connection = quiet(await connect({ hostname: host, port, username: name, password }));
    t.teardown(() => connection.close());
    return connection;
  };
  const channel = await (await open(admin)).createChannel();
  for (const exchange of ['x', 'y']) await channel.assertExchange(exchange, 'direct');
  await channel.assertQueue('q');
  await channel.bindQueue('q', 'x', 'k');
  return open(limited);
}

function refused(kind: ResourceKind, name: string): ExpectedClose {
  return accessRefused(`access to ${kind} '${name}' in vhost '/' refused for user 'limited'`);
}

type Operation = (channel: Channel) => unknown;

const deadLetter = { deadLetterExchange: 'x' };
const declareQueue: Operation = (channel) => channel.assertQueue('new');
const declareDeadLettering: Operation = (channel) => channel.assertQueue('new', deadLetter);
const declareAlternate: Operation = (channel) => channel.assertExchange('new', 'direct', { alternateExchange: 'y' });
const bindQueue: Operation = (channel) => channel.bindQueue('q', 'x', 'k2');
const unbindQueue: Operation = (channel) => channel.unbindQueue('q', 'x', 'k');
const bindExchange: Operation = (channel) => channel.bindExchange('y', 'x', 'k');
const unbindExchange: Operation = (channel) => channel.unbindExchange('y', 'x', 'k');

/** What is refused to a user with some rules. Rules that are no more than a name allow access to that alone. */
const refusals: [what: string, rules: Rules, operation: Operation, method: MethodName, expected: ExpectedClose][] = [
  ['a new queue needs configure', [nothing, '.*', '.*'], declareQueue, 'queue.declare', refused('queue', 'new')],
  [
    'an existing queue needs configure',
    [nothing, '.*', '.*'],
    (channel) => channel.assertQueue('q'),
    'queue.declare',
    refused('queue', 'q'),
  ],
  [
    'a dead letter exchange needs read on the queue',
    ['.*', '.*', nothing],
    declareDeadLettering,
    'queue.declare',
    refused('queue', 'new'),
  ],
  [
    'a dead letter exchange needs write on itself',
    ['.*', nothing, '^new$'],
    declareDeadLettering,
    'queue.declare',
    refused('exchange', 'x'),
  ],
  [
    'the default exchange as dead letter exchange needs write on amq.default',
    ['.*', '^x$', '.*'],
    (channel) => channel.assertQueue('new', { deadLetterExchange: '' }),
    'queue.declare',
    refused('exchange', 'amq.default'),
  ],
  [
    'a dead letter exchange that differs is told before its permissions',
    ['.*', nothing, nothing],
    (channel) => channel.assertQueue('q', deadLetter),
    'queue.declare',
    inequivalent(
      'queue',
      'q',
      'x-dead-letter-exchange',
      "received the value 'x' of type 'longstr' but current is none",
    ),
  ],
  [
    'a reserved queue name is told before the permission',
    noRules,
    (channel) => channel.assertQueue('amq.mine'),
    'queue.declare',
    accessRefused("queue name 'amq.mine' contains reserved prefix 'amq.*'"),
  ],
  [
    'deleting a queue needs configure',
    [nothing, '.*', '.*'],
    (channel) => channel.deleteQueue('q'),
    'queue.delete',
    refused('queue', 'q'),
  ],
  [
    'a missing queue is not given away by delete',
    noRules,
    (channel) => channel.deleteQueue('no'),
    'queue.delete',
    refused('queue', 'no'),
  ],
  [
    'purging needs read',
    ['.*', '.*', nothing],
    (channel) => channel.purgeQueue('q'),
    'queue.purge',
    refused('queue', 'q'),
  ],
  ['binding a queue needs write on the queue', ['.*', nothing, '.*'], bindQueue, 'queue.bind', refused('queue', 'q')],
  [
    'binding a queue needs read on the exchange',
    ['.*', '.*', nothing],
    bindQueue,
    'queue.bind',
    refused('exchange', 'x'),
  ],
  ['unbinding needs write on the queue', ['.*', nothing, '.*'], unbindQueue, 'queue.unbind', refused('queue', 'q')],
  [
    'unbinding needs read on the exchange',
    ['.*', '.*', nothing],
    unbindQueue,
    'queue.unbind',
    refused('exchange', 'x'),
  ],
  [
    'binding to the default exchange is refused after the permission on the queue',
    noRules,
    (channel) => channel.bindQueue('q', '', 'k'),
    'queue.bind',
    refused('queue', 'q'),
  ],
  [
    'binding to the default exchange is refused before the permission on it',
    [nothing, '^q$', nothing],
    (channel) => channel.bindQueue('q', '', 'k'),
    'queue.bind',
    defaultExchangeRefused,
  ],
  [
    'a new exchange needs configure',
    [nothing, '.*', '.*'],
    (channel) => channel.assertExchange('new', 'direct'),
    'exchange.declare',
    refused('exchange', 'new'),
  ],
  [
    'a predeclared exchange needs configure',
    [nothing, '.*', '.*'],
    (channel) => channel.assertExchange('amq.direct', 'direct'),
    'exchange.declare',
    refused('exchange', 'amq.direct'),
  ],
  [
    'a reserved exchange name is told after the permission',
    noRules,
    (channel) => channel.assertExchange('amq.mine', 'direct'),
    'exchange.declare',
    refused('exchange', 'amq.mine'),
  ],
  [
    'an alternate exchange needs read on the exchange',
    ['.*', '.*', nothing],
    declareAlternate,
    'exchange.declare',
    refused('exchange', 'new'),
  ],
  [
    'an alternate exchange needs write on itself',
    ['.*', nothing, '^new$'],
    declareAlternate,
    'exchange.declare',
    refused('exchange', 'y'),
  ],
  [
    'deleting an exchange needs configure',
    [nothing, '.*', '.*'],
    (channel) => channel.deleteExchange('x'),
    'exchange.delete',
    refused('exchange', 'x'),
  ],
  [
    'a system exchange is told before the permission',
    noRules,
    (channel) => channel.deleteExchange('amq.direct'),
    'exchange.delete',
    accessRefused("deletion of system exchange 'amq.direct' in vhost '/' not allowed"),
  ],
  [
    'the default exchange is told before the permission',
    noRules,
    (channel) => call(channel, 'ExchangeDelete', { exchange: '' }),
    'exchange.delete',
    defaultExchangeRefused,
  ],
  [
    'binding an exchange needs write on the destination',
    ['.*', '^x$', '.*'],
    bindExchange,
    'exchange.bind',
    refused('exchange', 'y'),
  ],
  [
    'binding an exchange needs read on the source',
    ['.*', '.*', '^y$'],
    bindExchange,
    'exchange.bind',
    refused('exchange', 'x'),
  ],
  [
    'unbinding an exchange needs write on the destination',
    ['.*', '^x$', '.*'],
    unbindExchange,
    'exchange.unbind',
    refused('exchange', 'y'),
  ],
  [
    'unbinding an exchange needs read on the source',
    ['.*', '.*', '^y$'],
    unbindExchange,
    'exchange.unbind',
    refused('exchange', 'x'),
  ],
  [
    'publishing needs write',
    ['.*', nothing, '.*'],
    (channel) => channel.publish('x', 'k', Buffer.from('')),
    'basic.publish',
    refused('exchange', 'x'),
  ],
  [
    'publishing to a queue needs write on amq.default',
    ['.*', '^q$', '.*'],
    (channel) => channel.sendToQueue('q', Buffer.from('')),
    'basic.publish',
    refused('exchange', 'amq.default'),
  ],
  [
    'a missing exchange is not given away by publish',
    noRules,
    (channel) => channel.publish('no', 'k', Buffer.from('')),
    'basic.publish',
    refused('exchange', 'no'),
  ],
  [
    'consuming needs read',
    ['.*', '.*', nothing],
    (channel) => channel.consume('q', () => undefined),
    'basic.consume',
    refused('queue', 'q'),
  ],
  ['getting needs read', ['.*', '.*', nothing], (channel) => channel.get('q'), 'basic.get', refused('queue', 'q')],
  [
    'a missing queue is not given away by get',
    noRules,
    (channel) => channel.get('no'),
    'basic.get',
    refused('queue', 'no'),
  ],
  [
    'a passive declaration needs nothing, and tells that a queue is missing',
    noRules,
    (channel) => channel.checkQueue('no'),
    'queue.declare',
    notFound('queue', 'no'),
  ],
];

for (const [what, rules, operation, method, expected] of refusals) {
  t.test(what, leveretOnly, async (t) => {
    await expectChannelError(t, await openLimited(t, rules), operation, method, expected);
  });
}

/** What is allowed with rules that are just enough. */
const allowed: [what: string, rules: Rules, operation: (channel: Channel) => Promise<unknown>][] = [
  ['checkQueue with no permission', noRules, (channel) => channel.checkQueue('q')],
  ['checkExchange with no permission', noRules, (channel) => channel.checkExchange('x')],
  ['consuming replies with no permission', noRules, (channel) => consumeReplies(channel)],
  ['declaring a queue with configure', ['^new$', nothing, nothing], (channel) => channel.assertQueue('new')],
  ['a pattern that matches a part of the name', ['e', nothing, nothing], (channel) => channel.assertQueue('new')],
  ['deleting a queue with configure', ['^q$', nothing, nothing], (channel) => channel.deleteQueue('q')],
  ['purging with read', [nothing, nothing, '^q$'], (channel) => channel.purgeQueue('q')],
  ['getting with read', [nothing, nothing, '^q$'], (channel) => channel.get('q')],
  ['consuming with read', [nothing, nothing, '^q$'], (channel) => channel.consume('q', () => undefined)],
  ['dead-lettering with all three', ['^new$', '^x$', '^new$'], (channel) => channel.assertQueue('new', deadLetter)],
  [
    'an alternate exchange with all three',
    ['^new$', '^y$', '^new$'],
    (channel) => channel.assertExchange('new', 'direct', { alternateExchange: 'y' }),
  ],
  ['binding with write and read', [nothing, '^q$', '^x$'], (channel) => channel.bindQueue('q', 'x', 'k2')],
  ['unbinding with write and read', [nothing, '^q$', '^x$'], (channel) => channel.unbindQueue('q', 'x', 'k')],
  ['binding exchanges with write and read', [nothing, '^y$', '^x$'], (channel) => channel.bindExchange('y', 'x', 'k')],
  [
    'declaring amq.direct with configure',
    ['^amq', nothing, nothing],
    (ch) => ch.assertExchange('amq.direct', 'direct'),
  ],
];

function consumeReplies(channel: Channel): Promise<unknown> {
  return channel.consume('amq.rabbitmq.reply-to', () => undefined, { noAck: true });
}

for (const [what, rules, operation] of allowed) {
  t.test(`allowed: ${what}`, leveretOnly, async (t) => {
    const connection = await openLimited(t, rules);
    await t.resolves(operation(quiet(await connection.createChannel())));
  });
}

t.test('allowed: publishing with write', leveretOnly, async (t) => {
  const connection = await openLimited(t, [nothing, '^(x|amq\\.default)$', nothing]);
  const channel = await connection.createConfirmChannel();
  channel.publish('x', 'k', Buffer.from(''));
  channel.sendToQueue('q', Buffer.from(''));
  await channel.waitForConfirms();
  t.match(await channel.checkQueue('q'), { messageCount: 2 });
});

t.test('the name that the broker gives a queue must match, too', leveretOnly, async (t) => {
  const connection = await openLimited(t, ['^new', '.*', '.*']);
  const channel = quiet(await connection.createChannel());
  const pattern = /access to queue 'amq\.gen-[A-Za-z0-9_-]{22}' in vhost '\/' refused for user 'limited'/;
  await t.rejects(channel.assertQueue(''), { code: 403, message: pattern });
});

t.test('a user without permissions on a virtual host cannot open it', leveretOnly, async (t) => {
  const users = [{ name: 'other', password: 'other', permissions: {} }];
  const { host, port } = await startTarget(t, { users });
  const address = { hostname: host, port, username: 'other', password: 'other' };
  await t.rejects(connect(address), { message: 'Expected ConnectionOpenOk; got <ConnectionClose' });
});
