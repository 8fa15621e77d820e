// queue.declare: names, flags and their equivalence, passive declaration, the default queue name of a channel.
import type { Channel } from 'amqplib';
import t from 'tap';
import { accessRefused, expectChannelError, inequivalent, notFound, openTopology } from '../helper/amqp.ts';
import { call, lockedText, send } from '../helper/messages.ts';

t.test('assertQueue answers with the name and the counts', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  t.same(await channel.assertQueue(queue), { queue, messageCount: 0, consumerCount: 0 });
});

t.test('the counts are of ready messages and of consumers', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue);
  const publisher = await connection.createConfirmChannel();
  for (const text of ['1', '2', '3']) publisher.sendToQueue(queue, Buffer.from(text));
  await publisher.waitForConfirms();
  await channel.get(queue);
  t.same(await channel.assertQueue(queue), { queue, messageCount: 2, consumerCount: 0 });
  await channel.prefetch(1);
  await channel.consume(queue, () => undefined);
  t.match(await channel.checkQueue(queue), { consumerCount: 1 });
});

for (const options of [
  {},
  { durable: true },
  { durable: false },
  { exclusive: true },
  { exclusive: true, durable: true },
  { autoDelete: true },
  { exclusive: true, autoDelete: true, durable: false },
]) {
  t.test(`declared equal again with ${JSON.stringify(options)}`, async (t) => {
    const { channel, name } = await openTopology(t);
    const queue = name();
    await channel.assertQueue(queue, options);
    t.match(await channel.assertQueue(queue, options), { queue });
  });
}

for (const [first, again, argument, difference] of [
  [{ durable: true }, { durable: false }, 'durable', "received 'false' but current is 'true'"],
  [{ durable: false }, { durable: true }, 'durable', "received 'true' but current is 'false'"],
  [{}, { autoDelete: true }, 'auto_delete', "received 'true' but current is 'false'"],
  [{ autoDelete: true }, {}, 'auto_delete', "received 'false' but current is 'true'"],
  [{}, { durable: false, autoDelete: true, maxLength: 1 }, 'durable', "received 'false' but current is 'true'"],
  [{}, { autoDelete: true, maxLength: 1 }, 'auto_delete', "received 'true' but current is 'false'"],
] as const) {
  t.test(`${JSON.stringify(first)} declared again as ${JSON.stringify(again)} differs in ${argument}`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const queue = name();
    await channel.assertQueue(queue, first);
    const expected = inequivalent('queue', queue, argument, difference);
    await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, again), 'queue.declare', expected);
    t.match(await channel.assertQueue(queue, first), { queue });
  });
}

for (const [first, again] of [
  [{}, { exclusive: true }],
  [{ exclusive: true }, {}],
  [{}, { exclusive: true, durable: false, autoDelete: true, maxLength: 1 }],
]) {
  t.test(`${JSON.stringify(first)} declared again as ${JSON.stringify(again)} is locked`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const queue = name();
    await channel.assertQueue(queue, first);
    const expected = { code: 405, text: lockedText(queue) };
    await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, again), 'queue.declare', expected);
  });
}

t.test('without waiting for the reply: declared all the same', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  send(channel, 'QueueDeclare', { queue, nowait: true });
  t.match(await channel.checkQueue(queue), { queue });
});

t.test('without waiting for the reply: an error closes the channel all the same', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue, { durable: false });
  const again = { queue, durable: true, nowait: true };
  const expected = inequivalent('queue', queue, 'durable', "received 'true' but current is 'false'");
  await expectChannelError(t, connection, (ch) => send(ch, 'QueueDeclare', again), 'queue.declare', expected);
});

t.test('a queue without a name gets one of the broker, never the same', async (t) => {
  const { channel } = await openTopology(t);
  const names = new Set<string>();
  for (const given of ['', undefined, '']) {
    const { queue } = await channel.assertQueue(given, { exclusive: true });
    t.match(queue, /^amq\.gen-[A-Za-z0-9_-]{22}$/);
    names.add(queue);
  }
  t.equal(names.size, 3);
});

t.test('a name of the broker cannot be declared by its name, but checked', async (t) => {
  const { connection, channel } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  t.match(await channel.checkQueue(queue), { queue });
  const expected = accessRefused(`queue name '${queue}' contains reserved prefix 'amq.*'`);
  const again = { exclusive: true };
  await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, again), 'queue.declare', expected);
});

for (const queue of ['amq.mine', 'amq.', 'amq.gen-mine']) {
  t.test(`the name '${queue}' is reserved`, async (t) => {
    const { connection } = await openTopology(t);
    const expected = accessRefused(`queue name '${queue}' contains reserved prefix 'amq.*'`);
    await expectChannelError(t, connection, (ch) => ch.assertQueue(queue), 'queue.declare', expected);
    await expectChannelError(t, connection, (ch) => ch.checkQueue(queue), 'queue.declare', notFound('queue', queue));
  });
}

t.test('a name may have 255 bytes, blanks and any character, and begin with AMQ', async (t) => {
  const { channel, name } = await openTopology(t);
  const unused = name();
  for (const queue of [unused.padEnd(255, 'x'), `${unused} ü\0`, `AMQ.${unused}`]) {
    t.match(await channel.assertQueue(queue, { exclusive: true }), { queue });
    t.match(await channel.checkQueue(queue), { queue });
  }
});

t.test('line ends are left out of a name', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  t.match(await channel.assertQueue(`\r${queue}\r\n`), { queue });
  t.match(await channel.checkQueue(queue), { queue });
});

t.test('checkQueue of a missing queue is 404', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  await expectChannelError(t, connection, (ch) => ch.checkQueue(queue), 'queue.declare', notFound('queue', queue));
});

t.test('a passive declaration does not look at flags and arguments', async (t) => {
  const { channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue);
  const differing = { queue, passive: true, exclusive: true, autoDelete: true, arguments: { 'x-max-length': -1 } };
  t.same(await call(channel, 'QueueDeclare', differing), { queue, messageCount: 0, consumerCount: 0 });
});

t.test('a queue outlives its channel and its connection', async (t) => {
  const { channel, name, connectAgain } = await openTopology(t);
  const queue = name();
  const other = await connectAgain();
  await (await other.createChannel()).assertQueue(queue, { durable: false });
  await other.close();
  t.match(await channel.checkQueue(queue), { queue });
});

// The specification gives a channel a default: the queue that was declared on it last stands for the empty name.

const onDefaultQueue: Record<string, (channel: Channel) => Promise<unknown>> = {
  'queue.bind': (channel) => call(channel, 'QueueBind', { exchange: 'amq.direct', routingKey: 'k' }),
  'queue.unbind': (channel) => call(channel, 'QueueUnbind', { exchange: 'amq.direct', routingKey: 'k' }),
  'queue.purge': (channel) => channel.purgeQueue(''),
  'basic.get': (channel) => channel.get(''),
  'basic.consume': (channel) => channel.consume('', () => undefined),
  'queue.delete': (channel) => channel.deleteQueue(''),
};

for (const [method, operation] of Object.entries(onDefaultQueue)) {
  t.test(`${method} of the empty name means the queue declared last on the channel`, async (t) => {
    const { channel } = await openTopology(t);
    await channel.assertQueue('', { exclusive: true });
    await t.resolves(operation(channel));
  });

  t.test(`${method} of the empty name is 404 when no queue was declared on the channel`, async (t) => {
    const { connection, channel } = await openTopology(t);
    await channel.assertQueue('', { exclusive: true });
    const expected = { code: 404, text: 'NOT_FOUND - no previously declared queue' };
    await expectChannelError(t, connection, operation, method as 'queue.bind', expected);
  });
}

t.test('the last of several declarations counts, a passive one too', async (t) => {
  const { channel, name } = await openTopology(t);
  const [first, second] = [name(), name()];
  await channel.assertQueue(first);
  await channel.assertQueue(second);
  await channel.checkQueue(first);
  await channel.deleteQueue('');
  t.match(await channel.checkQueue(second), { queue: second });
});

t.test('the default name stays when its queue is deleted', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const operation = async (channel: Channel) => {
    await channel.assertQueue(queue);
    await channel.deleteQueue('');
    await channel.purgeQueue('');
  };
  await expectChannelError(t, connection, operation, 'queue.purge', notFound('queue', queue));
});

t.test('binding the empty name by an empty key takes the name as the key', async (t) => {
  const { channel } = await openTopology(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue('', 'amq.direct', '');
  channel.publish('amq.direct', queue, Buffer.from('by name'));
  channel.publish('amq.direct', '', Buffer.from('by the empty key'));
  const message = await channel.get(queue);
  t.match(message, { content: Buffer.from('by name'), fields: { messageCount: 0 } });
});

t.test('a passive declaration has no default name', async (t) => {
  const { connection } = await openTopology(t);
  const operation = async (channel: Channel) => {
    await channel.assertQueue('', { exclusive: true });
    await channel.checkQueue('');
  };
  await expectChannelError(t, connection, operation, 'queue.declare', notFound('queue', ''));
});
