// Which exchanges and queues are there after a restart, and that they are what was declared.
import type { Channel, Options } from 'amqplib';
import t from 'tap';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type Client, DurableBroker, flush } from '../helper/durable-broker.ts';
import { drain, present, quiet, send, subscribe } from '../helper/messages.ts';

type Task = (channel: Channel) => PromiseLike<unknown>;

/** Does something on a channel of its own and gives the text of the error that it ends with; undefined when it ends well. */
async function refusal(client: Client, task: Task): Promise<string | undefined> {
  const channel = quiet(await client.connection.createChannel());
  try {
    await task(channel);
    await channel.close();
    return undefined;
  } catch (error) {
    return error instanceof Error ? /with message "(.*)"/s.exec(error.message)?.[1] : String(error);
  }
}

const isThere = {
  queue: async (client: Client, name: string) => (await refusal(client, (c) => c.checkQueue(name))) === undefined,
  exchange: async (client: Client, name: string) => (await refusal(client, (c) => c.checkExchange(name))) === undefined,
};

/** What each task ends with, line by line. */
async function refusals(client: Client, tasks: readonly Task[]): Promise<string[]> {
  const texts: string[] = [];
  for (const task of tasks) texts.push((await refusal(client, task)) ?? 'fine');
  return texts;
}

afterEachEnding('durable exchanges of every kind are there, and the same', async (t, broker) => {
  const client = await broker.connect();
  const declared: [name: string, type: string, options: Options.AssertExchange][] = [
    [uniqueName(), 'direct', {}],
    [uniqueName(), 'fanout', { autoDelete: true }],
    [uniqueName(), 'topic', { internal: true }],
    [uniqueName(), 'headers', { alternateExchange: uniqueName('alternate') }],
    [uniqueName('ünïcode 🐇'), 'direct', { arguments: { 'x-some': 'thing', 'x-table': { a: [1, null] } } }],
  ];
  const tasks = declared.flatMap(([name, type, options]): Task[] => [
    (channel) => channel.assertExchange(name, type, options),
    (channel) => channel.assertExchange(name, type === 'direct' ? 'fanout' : 'direct', options),
    (channel) => channel.assertExchange(name, type, { ...options, durable: false }),
    (channel) => channel.assertExchange(name, type, { ...options, autoDelete: options.autoDelete !== true }),
    (channel) => channel.assertExchange(name, type, { ...options, internal: options.internal !== true }),
    (channel) => channel.assertExchange(name, type, { ...options, alternateExchange: 'another' }),
    (channel) => channel.assertExchange(name, type, { ...options, arguments: { 'x-other': 1 } }),
  ]);
  const before = await refusals(client, tasks);
  t.match(before.slice(0, 3), ['fine', /inequivalent arg 'type'/, /inequivalent arg 'durable'/]);
  t.same(await refusals(await broker.restart(), tasks), before);
});

afterEachEnding('an internal exchange is still closed to publishers', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { internal: true });
  const { channel } = await broker.restart();
  const closed = new Promise<Error>((resolve) => channel.once('error', resolve));
  channel.publish(exchange, '', Buffer.from(''));
  t.match((await closed).message, `ACCESS_REFUSED - cannot publish to internal exchange '${exchange}' in vhost '/'`);
});

afterEachEnding('an alternate exchange gets what the other does not route', async (t, broker) => {
  const { publisher } = await broker.connect();
  const names = { main: uniqueName('main'), rest: uniqueName('a rest') };
  await publisher.assertExchange(names.main, 'direct', { alternateExchange: names.rest });
  await publisher.assertExchange(names.rest, 'fanout');
  const { queue } = await publisher.assertQueue(uniqueName());
  await publisher.bindQueue(queue, names.rest, '');
  const { publisher: later } = await broker.restart();
  later.publish(names.main, 'nobody', Buffer.from('1'));
  await later.waitForConfirms();
  t.same(await drain(later, queue), ['1']);
});

afterEachEnding('an auto-delete exchange goes when its last binding does, before or after', async (t, broker) => {
  const { publisher, channel } = await broker.connect();
  const names = [uniqueName('gone'), uniqueName('here')];
  const { queue } = await publisher.assertQueue(uniqueName());
  for (const name of names) {
    await publisher.assertExchange(name, 'direct', { autoDelete: true });
    await publisher.bindQueue(queue, name, 'k');
  }
  const [gone, here] = names;
  await publisher.unbindQueue(queue, gone, 'k');
  const unused = (await channel.assertExchange(uniqueName('unused'), 'direct', { autoDelete: true })).exchange;
  const client = await broker.restart();
  t.notOk(await isThere.exchange(client, gone));
  t.ok(await isThere.exchange(client, here));
  t.ok(await isThere.exchange(client, unused));
  await client.publisher.unbindQueue(queue, here, 'k');
  t.notOk(await isThere.exchange(client, here));
});

afterEachEnding('durable queues are there, and the same', async (t, broker) => {
  const client = await broker.connect();
  const reject = { 'x-max-length-bytes': 1000, 'x-overflow': 'reject-publish' };
  const declared: [name: string, options: Options.AssertQueue][] = [
    [uniqueName(), {}],
    [uniqueName(), { autoDelete: true }],
    [uniqueName('ünïcode 🐇'), { maxLength: 10, arguments: reject }],
    [uniqueName(), { arguments: { 'x-queue-mode': 'lazy', 'x-queue-type': 'classic', 'x-any': [{ a: 1 }, null] } }],
  ];
  const tasks = declared.flatMap(([name, options]): Task[] => [
    (channel) => channel.assertQueue(name, options),
    (channel) => channel.assertQueue(name, { ...options, durable: false }),
    (channel) => channel.assertQueue(name, { ...options, autoDelete: options.autoDelete !== true }),
    (channel) => channel.assertQueue(name, { ...options, maxLength: 11 }),
    (channel) => channel.assertQueue(name, { ...options, exclusive: true }),
    (channel) => channel.assertQueue(name, { durable: true, autoDelete: options.autoDelete === true }),
  ]);
  const before = await refusals(client, tasks);
  t.match(before.slice(0, 2), ['fine', /inequivalent arg 'durable'/]);
  t.same(await refusals(await broker.restart(), tasks), before);
});

afterEachEnding('transient exchanges and queues are gone', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange } = await publisher.assertExchange(uniqueName(), 'direct', { durable: false });
  const { queue } = await publisher.assertQueue(uniqueName(), { durable: false });
  const client = await broker.restart();
  t.notOk(await isThere.exchange(client, exchange));
  t.notOk(await isThere.queue(client, queue));
  t.equal(await refusal(client, (c) => c.assertExchange(exchange, 'fanout')), undefined, 'the name is free');
  t.equal(await refusal(client, (c) => c.assertQueue(queue)), undefined, 'the name is free');
});

afterEachEnding('exclusive queues are gone, durable or not', async (t, broker) => {
  const { publisher } = await broker.connect();
  const durable = (await publisher.assertQueue(uniqueName(), { exclusive: true, durable: true })).queue;
  const transient = (await publisher.assertQueue(uniqueName(), { exclusive: true, durable: false })).queue;
  for (const queue of [durable, transient]) publisher.sendToQueue(queue, Buffer.from(''), { persistent: true });
  await publisher.waitForConfirms();
  const client = await broker.restart();
  t.notOk(await isThere.queue(client, durable));
  t.notOk(await isThere.queue(client, transient));
});

afterEachEnding('a queue that the server named keeps its name', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue('', { durable: true });
  publisher.sendToQueue(queue, Buffer.from('1'), { persistent: true });
  await publisher.waitForConfirms();
  const client = await broker.restart();
  const { queue: other } = await client.publisher.assertQueue('', { durable: true });
  t.not(other, queue);
  t.same(await drain(client.channel, queue), ['1']);
});

afterEachEnding(
  'an auto-delete queue that nobody ever consumed waits on, and goes with its consumers',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const { queue } = await publisher.assertQueue(uniqueName(), { autoDelete: true });
    publisher.sendToQueue(queue, Buffer.from('1'), { persistent: true });
    await publisher.waitForConfirms();
    let client = await broker.restart();
    const { inbox, consumerTag } = await subscribe(client.channel, queue);
    t.equal((await inbox.next()).content.toString(), '1');
    await client.channel.cancel(consumerTag);
    t.notOk(await isThere.queue(client, queue));
    await flush(client.publisher); // the answer to the cancel does not wait for the disk
    client = await broker.restart();
    t.notOk(await isThere.queue(client, queue));
  },
);

t.test('an auto-delete queue goes with its consumer when the broker closes, but not when it is killed', async (t) => {
  for (const ending of againstPeer ? (['close'] as const) : (['close', 'crash'] as const)) {
    const broker = await DurableBroker.start(t, ending);
    const { publisher, channel } = await broker.connect();
    const { queue } = await publisher.assertQueue(uniqueName(), { autoDelete: true });
    await subscribe(channel, queue);
    t.equal(await isThere.queue(await broker.restart(), queue), ending === 'crash');
  }
});

afterEachEnding('what was deleted stays deleted, and its name is free', async (t, broker) => {
  let client: Client = await broker.connect();
  const exchange = uniqueName();
  const queue = uniqueName();
  for (let round = 0; round < 3; round++) {
    const { publisher } = client;
    await publisher.assertExchange(exchange, 'fanout');
    await publisher.assertQueue(queue, { maxLength: 1 + round });
    await publisher.bindQueue(queue, exchange, '');
    publisher.publish(exchange, '', Buffer.from('of a queue that will be gone'), { persistent: true });
    await publisher.waitForConfirms();
    if (round > 0) client = await broker.restart();
    await client.channel.deleteQueue(queue);
    await client.channel.deleteExchange(exchange);
    client = await broker.restart();
    t.notOk(await isThere.queue(client, queue));
    t.notOk(await isThere.exchange(client, exchange));
  }
  await client.channel.assertQueue(queue);
  await client.channel.assertExchange(exchange, 'fanout');
  client = await broker.restart();
  client.publisher.publish(exchange, '', Buffer.from('not bound'), { persistent: true });
  await client.publisher.waitForConfirms();
  t.same(await drain(client.channel, queue), []);
});

afterEachEnding('a queue that was deleted with what a consumer held leaves nothing behind', async (t, broker) => {
  const { publisher, channel } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName());
  for (const body of ['1', '2']) publisher.sendToQueue(queue, Buffer.from(body), { persistent: true });
  await publisher.waitForConfirms();
  const held = present(await channel.get(queue));
  await publisher.deleteQueue(queue);
  await publisher.assertQueue(queue);
  channel.ack(held);
  publisher.sendToQueue(queue, Buffer.from('3'), { persistent: true });
  await publisher.waitForConfirms();
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.same(await drain(later, queue), ['3']);
});

afterEachEnding('what was declared without an answer is there as well', async (t, broker) => {
  const { channel } = await broker.connect();
  const name = uniqueName();
  const base = { ticket: 0, passive: false, durable: true, autoDelete: false, nowait: true, arguments: {} };
  send(channel, 'ExchangeDeclare', { ...base, exchange: name, type: 'fanout', internal: false });
  send(channel, 'QueueDeclare', { ...base, queue: name, exclusive: false });
  send(channel, 'QueueBind', { ticket: 0, queue: name, exchange: name, routingKey: '', nowait: true, arguments: {} });
  await flush(channel);
  const { publisher } = await broker.restart();
  publisher.publish(name, '', Buffer.from('1'));
  await publisher.waitForConfirms();
  t.same(await drain(publisher, name), ['1']);
});
