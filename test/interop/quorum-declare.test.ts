// queue.declare with x-queue-type: quorum: what such a queue can't be, which arguments it takes, and what counts as the same queue.
import type { Channel, ChannelModel, Options } from 'amqplib';
import t, { type Test } from 'tap';
import {
  type ExpectedClose,
  expectChannelError,
  inequivalent,
  openTopology,
  preconditionFailed,
} from '../helper/amqp.ts';
import { lockedText } from '../helper/messages.ts';
import { quorum } from '../helper/quorum.ts';

function expectRefusal(
  t: Test,
  connection: ChannelModel,
  queue: string,
  options: Options.AssertQueue,
  expected: ExpectedClose,
): Promise<void> {
  const declare = (channel: Channel) => channel.assertQueue(queue, options);
  return expectChannelError(t, connection, declare, 'queue.declare', expected);
}

function invalidArgument(queue: string, argument: string, problem: string): ExpectedClose {
  return preconditionFailed(`invalid arg '${argument}' for queue '${queue}' in vhost '/': ${problem}`);
}

function unsupported(queue: string, argument: string, type = 'quorum'): ExpectedClose {
  return preconditionFailed(
    `invalid arg '${argument}' for queue '${queue}' in vhost '/' of queue type rabbit_${type}_queue`,
  );
}

/** Names the arguments that are complained of, by leaving out each in turn. */
async function complaints(
  connection: ChannelModel,
  queue: string,
  args: Record<string, unknown>,
  type: Record<string, unknown> = {},
): Promise<string[]> {
  const left = { ...args };
  const named: string[] = [];
  for (;;) {
    const channel = await connection.createChannel();
    const failed = new Promise<Error>((resolve) => channel.once('error', resolve));
    const options = { durable: true, arguments: { ...type, ...left } };
    const error = await Promise.race([
      failed,
      channel.assertQueue(queue, options).then(
        () => undefined,
        () => failed,
      ),
    ]);
    const [, argument = ''] = /arg '([^']+)'/.exec(error?.message ?? '') ?? [];
    if (!(argument in left)) return named;
    named.push(argument);
    delete left[argument];
  }
}

t.test('what a quorum queue can not be', async (t) => {
  const { connection, name } = await openTopology(t);
  const [transient, exclusive, autoDelete] = ['non-durable', 'exclusive-owner', 'auto-delete'];
  for (const [properties, property] of [
    [{ durable: false }, transient],
    [{ exclusive: true }, exclusive],
    [{ exclusive: true, durable: false }, exclusive],
    [{ autoDelete: true }, autoDelete],
    [{ autoDelete: true, durable: false }, autoDelete],
    [{ autoDelete: true, exclusive: true }, autoDelete],
  ] as const) {
    const queue = name();
    const expected = preconditionFailed(`invalid property '${property}' for queue '${queue}' in vhost '/'`);
    await expectRefusal(t, connection, queue, { ...quorum(), ...properties }, expected);
  }
});

t.test('its name must be given, whatever else is wrong', async (t) => {
  const { connection } = await openTopology(t);
  const refusal = (type: string) => `Cannot declare a server-named queue for type rabbit_${type}_queue`;
  const expected = preconditionFailed(refusal('quorum'));
  await expectRefusal(t, connection, '', quorum(), expected);
  await expectRefusal(t, connection, '', { ...quorum(), exclusive: true }, expected);
  await expectRefusal(t, connection, '', quorum({ 'x-max-length': -1, 'x-dead-letter-exchange': 1 }), expected);
  await expectRefusal(t, connection, '', quorum({ 'x-queue-type': 'stream' }), preconditionFailed(refusal('stream')));
});

const ACCEPTED: Record<string, readonly unknown[]> = {
  'x-dead-letter-exchange': ['amq.fanout'],
  'x-dead-letter-strategy': ['at-most-once', 'at-least-once'],
  // RabbitMQ looks at no value of it, here.
  'x-delivery-limit': [0, 1, 2 ** 40, -1, 1.5, '5', true],
  'x-expires': [60_000],
  'x-max-in-memory-bytes': [0, 5],
  'x-max-in-memory-length': [0, 5],
  'x-max-length': [0, 5],
  'x-max-length-bytes': [0, 5],
  'x-message-ttl': [0, 60_000],
  'x-overflow': ['drop-head', 'reject-publish', 'reject-publish-dlx'],
  'x-queue-leader-locator': ['client-local', 'random', 'least-leaders', 'balanced'],
  // More than there are nodes.
  'x-quorum-initial-group-size': [1, 3],
  'x-single-active-consumer': [true, false],
  'x-consumer-timeout': [60_000],
  'x-anything': [1],
};

for (const [argument, values] of Object.entries(ACCEPTED)) {
  t.test(`${argument} is accepted: ${values.join(', ')}`, async (t) => {
    const { channel, name } = await openTopology(t);
    for (const value of values) {
      const queue = name();
      const options = quorum({ [argument]: value });
      t.match(await channel.assertQueue(queue, options), { queue, messageCount: 0, consumerCount: 0 });
      t.match(await channel.assertQueue(queue, options), { queue }, 'the same again');
    }
  });
}

t.test(
  'dead-lettering at least once is accepted with every overflow, though it works with reject-publish alone',
  async (t) => {
    const { channel, name } = await openTopology(t);
    const strategy = { 'x-dead-letter-strategy': 'at-least-once', 'x-dead-letter-exchange': 'amq.fanout' };
    for (const overflow of [undefined, 'drop-head', 'reject-publish', 'reject-publish-dlx']) {
      const queue = name();
      const args = overflow === undefined ? strategy : { ...strategy, 'x-overflow': overflow };
      t.match(await channel.assertQueue(queue, quorum(args)), { queue });
    }
  },
);

t.test('the arguments of other queue types are refused, whatever their values', async (t) => {
  const { connection, name } = await openTopology(t);
  for (const [argument, value] of [
    ['x-max-priority', 5],
    ['x-max-priority', -1],
    ['x-queue-mode', 'lazy'],
    ['x-queue-mode', 'nosuch'],
    ['x-queue-version', 2],
    ['x-queue-master-locator', 'random'],
    ['x-initial-cluster-size', 1],
    ['x-max-age', '1h'],
    ['x-stream-max-segment-size-bytes', 1000],
  ] as const) {
    const queue = name();
    await expectRefusal(t, connection, queue, quorum({ [argument]: value }), unsupported(queue, argument));
  }
});

t.test('values that are refused', async (t) => {
  const { connection, name } = await openTopology(t);
  const notInteger = (type: string) => `"expected integer, got ${type}"`;
  for (const [argument, value, problem] of [
    ['x-dead-letter-routing-key', 'a', 'routing_key_but_no_dlx_defined'],
    ['x-dead-letter-strategy', 'nosuch', 'invalid_dlx_strategy'],
    ['x-dead-letter-strategy', 1, '{unacceptable_type,byte}'],
    ['x-expires', 0, '{value_zero,0}'],
    ['x-max-in-memory-bytes', -1, '{value_negative,-1}'],
    ['x-max-in-memory-length', -1, '{value_negative,-1}'],
    ['x-max-in-memory-length', '5', notInteger('longstr')],
    ['x-max-length', -1, '{value_negative,-1}'],
    ['x-message-ttl', '1', notInteger('longstr')],
    ['x-overflow', 'nosuch', 'invalid_overflow'],
    ['x-queue-leader-locator', 'nosuch', 'invalid_queue_locator_arg'],
    ['x-queue-leader-locator', 1, '{unacceptable_type,byte}'],
    ['x-quorum-initial-group-size', 0, '{value_zero,0}'],
    ['x-quorum-initial-group-size', -1, '{value_negative,-1}'],
    ['x-quorum-initial-group-size', 1.5, notInteger('double')],
    ['x-single-active-consumer', 'true', '{unacceptable_type,longstr}'],
  ] as const) {
    const queue = name();
    await expectRefusal(t, connection, queue, quorum({ [argument]: value }), invalidArgument(queue, argument, problem));
  }
});

t.test('of several wrong things one is told: values, then what the type does not know, then properties', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const foreign = { 'x-queue-mode': 'lazy', 'x-max-priority': 1 };
  const wrong = { ...foreign, 'x-max-length': -1 };
  const negative = invalidArgument(queue, 'x-max-length', '{value_negative,-1}');
  await expectRefusal(t, connection, queue, { ...quorum(wrong), autoDelete: true }, negative);
  const transient = { ...quorum(foreign), durable: false };
  await expectRefusal(t, connection, queue, transient, unsupported(queue, 'x-queue-mode'));
});

t.test('wrong values are told in an order of their own', async (t) => {
  const { connection, name } = await openTopology(t);
  const wrong = {
    'x-queue-leader-locator': 'nosuch',
    'x-quorum-initial-group-size': 0,
    'x-single-active-consumer': 1,
    'x-overflow': 'nosuch',
    'x-max-in-memory-bytes': -1,
    'x-max-in-memory-length': -1,
    'x-max-length-bytes': -1,
    'x-max-length': -1,
    'x-dead-letter-strategy': 'nosuch',
    'x-dead-letter-routing-key': 'a',
    'x-message-ttl': -1,
    'x-expires': -1,
  };
  const order = Object.keys(wrong).reverse();
  t.same(await complaints(connection, name(), wrong, { 'x-queue-type': 'quorum' }), order);
});

t.test('arguments of other types are told in the order in which they came', async (t) => {
  const { connection, name } = await openTopology(t);
  const foreign = { 'x-queue-version': 1, 'x-max-priority': 1, 'x-max-age': '1h', 'x-queue-mode': 'lazy' };
  const type = { 'x-queue-type': 'quorum' };
  t.same(await complaints(connection, name(), foreign, type), Object.keys(foreign));
  const reversed = Object.fromEntries(Object.entries(foreign).reverse());
  t.same(await complaints(connection, name(), reversed, type), Object.keys(reversed));
});

/** In the order in which RabbitMQ compares them. */
const COMPARED = [
  ['x-dead-letter-exchange', 'a', 'b', 'longstr'],
  ['x-dead-letter-strategy', 'at-most-once', 'at-least-once', 'longstr'],
  ['x-expires', 60_000, 70_000, 'signedint'],
  ['x-max-length', 1, 2, 'byte'],
  ['x-max-length-bytes', 1, 2, 'byte'],
  ['x-max-in-memory-length', 1, 2, 'byte'],
  ['x-max-in-memory-bytes', 1, 2, 'byte'],
  ['x-overflow', 'drop-head', 'reject-publish', 'longstr'],
  ['x-single-active-consumer', true, false, 'bool'],
  ['x-quorum-initial-group-size', 1, 3, 'byte'],
  ['x-delivery-limit', 1, 2, 'byte'],
  ['x-message-ttl', 1000, 2000, 'short'],
  ['x-queue-leader-locator', 'client-local', 'balanced', 'longstr'],
] as const;

for (const [argument, one, other, type] of COMPARED) {
  t.test(`${argument} must not be added, left out or changed`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const [without, having] = [name(), name()];
    await channel.assertQueue(without, quorum());
    await channel.assertQueue(having, quorum({ [argument]: one }));
    const theValue = `the value '${one}' of type '${type}'`;
    const added = inequivalent('queue', without, argument, `received ${theValue} but current is none`);
    await expectRefusal(t, connection, without, quorum({ [argument]: one }), added);
    const removed = inequivalent('queue', having, argument, `received none but current is ${theValue}`);
    await expectRefusal(t, connection, having, quorum(), removed);
    const changed = inequivalent('queue', having, argument, `received '${other}' but current is '${one}'`);
    await expectRefusal(t, connection, having, quorum({ [argument]: other }), changed);
  });
}

t.test('differences are told in an order of their own, the type among them', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, quorum());
  const order: string[] = COMPARED.map(([argument]) => argument);
  order.splice(1, 0, 'x-dead-letter-routing-key');
  order.splice(order.indexOf('x-quorum-initial-group-size'), 0, 'x-queue-type');
  const values = new Map<string, unknown>(COMPARED.map(([argument, value]) => [argument, value]));
  values.set('x-dead-letter-routing-key', 'a').set('x-queue-type', 'classic');
  const args = Object.fromEntries(order.toReversed().map((argument) => [argument, values.get(argument)]));
  // Left out, the type still differs: it is complained of twice, and nothing behind it is compared.
  const expected = order.slice(0, order.indexOf('x-queue-type') + 1);
  t.same(await complaints(connection, queue, args), expected);
  delete args['x-queue-type'];
  t.same(
    await complaints(connection, queue, args, { 'x-queue-type': 'quorum' }),
    order.filter((argument) => argument !== 'x-queue-type'),
  );
});

t.test('an existing queue does not look at the arguments of other types', async (t) => {
  const { channel, name } = await openTopology(t);
  const [queue, classic] = [name(), name()];
  await channel.assertQueue(queue, quorum());
  await channel.assertQueue(classic);
  for (const args of [
    { 'x-max-priority': -1 },
    { 'x-queue-mode': 'lazy' },
    { 'x-queue-version': 2 },
    { 'x-max-age': 1 },
  ]) {
    t.match(await channel.assertQueue(queue, quorum(args)), { queue });
  }
  for (const args of [
    { 'x-dead-letter-strategy': 'a' },
    { 'x-delivery-limit': 1 },
    { 'x-queue-leader-locator': 'a' },
  ]) {
    t.match(await channel.assertQueue(classic, { arguments: args }), { queue: classic });
  }
});

t.test('the type of a queue does not change', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const [queue, classic] = [name(), name()];
  await channel.assertQueue(queue, quorum());
  await channel.assertQueue(classic);
  const different = (of: string, difference: string) => inequivalent('queue', of, 'x-queue-type', difference);
  const theType = "the value 'quorum' of type 'longstr'";
  const none = different(queue, `received none but current is ${theType}`);
  await expectRefusal(t, connection, queue, {}, none);
  for (const type of ['classic', 'stream', 'nosuch']) {
    const expected = different(queue, `received '${type}' but current is 'quorum'`);
    await expectRefusal(t, connection, queue, quorum({ 'x-queue-type': type }), expected);
  }
  await expectRefusal(t, connection, classic, quorum(), different(classic, `received ${theType} but current is none`));
});

t.test('declared again with other properties', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, quorum());
  const received = (received: boolean, current: boolean) => `received '${received}' but current is '${current}'`;
  const transient = inequivalent('queue', queue, 'durable', received(false, true));
  await expectRefusal(t, connection, queue, { ...quorum(), durable: false }, transient);
  const autoDelete = inequivalent('queue', queue, 'auto_delete', received(true, false));
  await expectRefusal(t, connection, queue, { ...quorum(), autoDelete: true }, autoDelete);
  const locked = { code: 405, text: lockedText(queue) };
  await expectRefusal(t, connection, queue, { ...quorum(), exclusive: true }, locked);
  t.match(await channel.checkQueue(queue), { queue });
});
