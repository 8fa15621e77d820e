// The arguments of queue.declare: those of amqplib's options, what is compared when a queue is declared again, and how differences are told.
import t from 'tap';
import { expectChannelError, inequivalent, openTopology } from '../helper/amqp.ts';

for (const options of [
  { messageTtl: 60_000 },
  { expires: 60_000 },
  { deadLetterExchange: 'amq.fanout' },
  { deadLetterExchange: '', deadLetterRoutingKey: 'dead' },
  { maxLength: 10 },
  { maxPriority: 5 },
  { overflow: 'drop-head' },
  { overflow: 'reject-publish' },
  { queueMode: 'lazy' },
  { arguments: { 'x-queue-type': 'classic' } },
  { arguments: { 'x-max-length-bytes': 1000 } },
  { arguments: { 'x-single-active-consumer': true } },
  { messageTtl: 0, maxLength: 0, arguments: { 'x-max-length-bytes': 0 } },
  {
    messageTtl: 1,
    expires: 1000,
    maxLength: 1,
    maxPriority: 1,
    overflow: 'drop-head',
    durable: false,
    autoDelete: true,
  },
  { arguments: { 'x-anything': { nested: [1, true, null] } } },
]) {
  t.test(`declared equal again with ${JSON.stringify(options)}`, async (t) => {
    const { channel, name } = await openTopology(t);
    const queue = name();
    await channel.assertQueue(queue, options);
    t.match(await channel.assertQueue(queue, options), { queue });
  });
}

t.test('an option is the same as its argument', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, {
    messageTtl: 1000,
    maxLength: 10,
    deadLetterExchange: 'a',
    deadLetterRoutingKey: 'b',
  });
  const named = {
    'x-message-ttl': 1000,
    'x-max-length': 10,
    'x-dead-letter-exchange': 'a',
    'x-dead-letter-routing-key': 'b',
  };
  t.match(await channel.assertQueue(queue, { arguments: named }), { queue });
});

const compared = [
  ['x-expires', 60_000, 70_000, 'signedint'],
  ['x-message-ttl', 1, 2, 'byte'],
  ['x-dead-letter-exchange', 'a', 'b', 'longstr'],
  ['x-max-length', 1000, 2000, 'short'],
  ['x-max-length-bytes', 2 ** 40, 1, 'long'],
  ['x-max-priority', 1, 2, 'byte'],
  ['x-overflow', 'drop-head', 'reject-publish', 'longstr'],
  ['x-queue-mode', 'default', 'lazy', 'longstr'],
  ['x-queue-version', 1, 2, 'byte'],
  ['x-single-active-consumer', true, false, 'bool'],
  ['x-queue-master-locator', 'client-local', 'random', 'longstr'],
] as const;

for (const [argument, one, other, type] of compared) {
  t.test(`${argument} must not be added, left out or changed`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const [without, having] = [name(), name()];
    const declare = (queue: string, value: unknown) => (ch: typeof channel) =>
      ch.assertQueue(queue, { arguments: value === undefined ? {} : { [argument]: value } });
    await declare(without, undefined)(channel);
    await declare(having, one)(channel);
    const theValue = `the value '${one}' of type '${type}'`;
    const added = inequivalent('queue', without, argument, `received ${theValue} but current is none`);
    await expectChannelError(t, connection, declare(without, one), 'queue.declare', added);
    const removed = inequivalent('queue', having, argument, `received none but current is ${theValue}`);
    await expectChannelError(t, connection, declare(having, undefined), 'queue.declare', removed);
    const changed = inequivalent('queue', having, argument, `received '${other}' but current is '${one}'`);
    await expectChannelError(t, connection, declare(having, other), 'queue.declare', changed);
  });
}

t.test('x-dead-letter-routing-key must not be changed', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, { deadLetterExchange: 'a', deadLetterRoutingKey: 'b' });
  const again = { deadLetterExchange: 'a', deadLetterRoutingKey: 'c' };
  const expected = inequivalent('queue', queue, 'x-dead-letter-routing-key', "received 'c' but current is 'b'");
  await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, again), 'queue.declare', expected);
});

const typed = (type: string, value: unknown) => ({ '!': type, value });

for (const [value, text] of [
  [typed('int8', -7), "the value '-7' of type 'byte'"],
  [typed('uint8', 7), "the value '7' of type 'unsignedbyte'"],
  [typed('int16', 7), "the value '7' of type 'short'"],
  [typed('uint16', 7), "the value '7' of type 'unsignedshort'"],
  [typed('int32', 7), "the value '7' of type 'signedint'"],
  [typed('uint32', 7), "the value '7' of type 'unsignedint'"],
  [typed('int64', 7), "the value '7' of type 'long'"],
  [typed('timestamp', 7), "the value '7' of type 'timestamp'"],
  [typed('double', 7), "the value '7.0' of type 'double'"],
  [1.25, "the value '1.25' of type 'double'"],
  [typed('float', 7), "the value '7.0' of type 'float'"],
  [typed('decimal', { places: 2, digits: 314 }), "the value '{2,314}' of type 'decimal'"],
  ['üé', "the value 'üé' of type 'longstr'"],
  [true, "the value 'true' of type 'bool'"],
  [null, "the value 'undefined' of type 'void'"],
  [Buffer.from('xy'), "the value 'xy' of type 'binary'"],
  [{ a: 1 }, `the value '[{<<"a">>,byte,1}]' of type 'table'`],
  [[1, 'a', true], `the value '[{byte,1},{longstr,<<"a">>},{bool,true}]' of type 'array'`],
] as const) {
  t.test(`a value is told as ${text}`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const queue = name();
    await channel.assertQueue(queue);
    const expected = inequivalent('queue', queue, 'x-max-length', `received ${text} but current is none`);
    const again = { arguments: { 'x-max-length': value } };
    await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, again), 'queue.declare', expected);
  });
}

t.test('integers are equal whatever their types', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, { arguments: { 'x-message-ttl': 100 } });
  for (const type of ['uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64']) {
    const again = { arguments: { 'x-message-ttl': typed(type, 100) } };
    t.match(await channel.assertQueue(queue, again), { queue });
  }
});

t.test("a boolean and its text aren't equal", async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, { arguments: { 'x-single-active-consumer': true } });
  const again = { arguments: { 'x-single-active-consumer': 'true' } };
  const expected = inequivalent('queue', queue, 'x-single-active-consumer', "received 'true' but current is 'true'");
  await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, again), 'queue.declare', expected);
});

t.test('x-queue-type classic and none are equal, another type is not', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const [classic, none] = [name(), name()];
  const type = (value: string) => ({ arguments: { 'x-queue-type': value } });
  await channel.assertQueue(classic, type('classic'));
  await channel.assertQueue(none);
  t.match(await channel.assertQueue(classic), { queue: classic });
  t.match(await channel.assertQueue(none, type('classic')), { queue: none });
  const expected = inequivalent('queue', classic, 'x-queue-type', "received 'quorum' but current is 'classic'");
  await expectChannelError(t, connection, (ch) => ch.assertQueue(classic, type('quorum')), 'queue.declare', expected);
});

t.test('arguments that mean nothing to the broker are not compared', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, { arguments: { 'x-anything': 1 } });
  for (const args of [{}, { 'x-anything': 2 }, { other: 'a', 'x-ha-policy': 'all' }]) {
    t.match(await channel.assertQueue(queue, { arguments: args }), { queue });
  }
});

t.test('of several differing arguments one is named, in an order of its own', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue);
  const reversed: Record<string, unknown> = { 'x-dead-letter-routing-key': 'a' };
  for (const [argument, value] of compared.toReversed()) reversed[argument] = value;
  const order = compared.map(([argument]) => argument);
  for (const argument of order.toSpliced(3, 0, 'x-dead-letter-routing-key' as never)) {
    const channelOfItsOwn = await connection.createChannel();
    channelOfItsOwn.on('error', () => undefined);
    const again = { arguments: { ...reversed } };
    await t.rejects(channelOfItsOwn.assertQueue(queue, again), { message: `inequivalent arg '${argument}' for queue` });
    delete reversed[argument];
  }
});

for (const argument of [
  'x-dead-letter-strategy',
  'x-delivery-limit',
  'x-initial-cluster-size',
  'x-max-age',
  'x-max-in-memory-bytes',
  'x-max-in-memory-length',
  'x-queue-leader-locator',
  'x-quorum-initial-group-size',
  'x-stream-max-segment-size-bytes',
]) {
  t.test(`a new classic queue refuses ${argument}, an existing one does not look at it`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const queue = name();
    const options = { arguments: { [argument]: 1 } };
    const text = `PRECONDITION_FAILED - invalid arg '${argument}' for queue '${queue}' in vhost '/' of queue type rabbit_classic_queue`;
    await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, options), 'queue.declare', {
      code: 406,
      text,
    });
    await channel.assertQueue(queue);
    t.match(await channel.assertQueue(queue, options), { queue });
  });
}

for (const type of ['x-nothing', '']) {
  t.test(`the queue type '${type}' is unknown`, async (t) => {
    const { connection, name } = await openTopology(t);
    const queue = name();
    const options = { arguments: { 'x-queue-type': type } };
    const text = `PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '${queue}' in vhost '/': "unsupported queue type '${type}'"`;
    await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, options), 'queue.declare', {
      code: 406,
      text,
    });
  });
}
