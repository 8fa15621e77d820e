// Which bindings are there after a restart: those with two durable ends.
import type { ConfirmChannel } from 'amqplib';
import { uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type DurableBroker } from '../helper/durable-broker.ts';
import { readyCount } from '../helper/messages.ts';

/** Publishes once for each key and tells how many messages reached the queue. */
async function routed(publisher: ConfirmChannel, exchange: string, queue: string, keys: readonly string[]) {
  const counts: Record<string, number> = {};
  for (const key of keys) {
    publisher.publish(exchange, key, Buffer.from(key));
    await publisher.waitForConfirms();
    counts[key] = await readyCount(publisher, queue);
    await publisher.purgeQueue(queue);
  }
  return counts;
}

/** An exchange and a queue. */
async function declarePair(broker: DurableBroker, type: string) {
  const client = await broker.connect();
  const { exchange } = await client.publisher.assertExchange(uniqueName(), type);
  const { queue } = await client.publisher.assertQueue(uniqueName());
  return { ...client, exchange, queue };
}

for (const { type, bound, expected } of [
  { type: 'direct', bound: ['a', 'b', ''], expected: { a: 1, b: 1, '': 1, c: 0 } },
  { type: 'topic', bound: ['*.a', 'b.#', ''], expected: { 'x.a': 1, 'b.x.y': 1, '': 1, 'x.b': 0 } },
  { type: 'fanout', bound: ['a'], expected: { a: 1, b: 1 } },
]) {
  afterEachEnding(`bindings of a ${type} exchange route as before`, async (t, broker) => {
    const { publisher, exchange, queue } = await declarePair(broker, type);
    for (const key of bound) await publisher.bindQueue(queue, exchange, key);
    const keys = Object.keys(expected);
    t.same(await routed(publisher, exchange, queue, keys), expected);
    const { publisher: later } = await broker.restart();
    t.same(await routed(later, exchange, queue, keys), expected);
  });
}

afterEachEnding('bindings of a headers exchange route as before, and are the same', async (t, broker) => {
  const { publisher, exchange, queue } = await declarePair(broker, 'headers');
  const bindings = [
    { 'x-match': 'all', kind: 'hare', age: 3 },
    { 'x-match': 'any', wild: true, bytes: Buffer.from([1, 2]), none: null },
  ];
  for (const args of bindings) await publisher.bindQueue(queue, exchange, 'k', args);
  const headers = [
    { kind: 'hare', age: 3 },
    { kind: 'hare', age: 4 },
    { wild: true },
    { wild: false },
    { none: 'x' },
    {},
  ];
  const counts = async (channel: ConfirmChannel): Promise<number[]> => {
    const all: number[] = [];
    for (const each of headers) {
      channel.publish(exchange, '', Buffer.from(''), { headers: each });
      await channel.waitForConfirms();
      all.push((await channel.purgeQueue(queue)).messageCount);
    }
    return all;
  };
  const before = await counts(publisher);
  t.same(before, [1, 0, 1, 0, 1, 0]);
  const { publisher: later } = await broker.restart();
  t.same(await counts(later), before);
  for (const args of bindings) await later.unbindQueue(queue, exchange, 'k', args);
  t.same(await counts(later), [0, 0, 0, 0, 0, 0], 'they are found by their arguments');
});

afterEachEnding('bindings between exchanges, with several on the way and predeclared ones', async (t, broker) => {
  const { publisher, exchange, queue } = await declarePair(broker, 'direct');
  const { exchange: first } = await publisher.assertExchange(uniqueName(), 'topic');
  await publisher.bindExchange(exchange, first, 'a.#');
  await publisher.bindExchange(first, 'amq.fanout', '');
  await publisher.bindQueue(queue, exchange, 'a.b');
  await publisher.bindQueue(queue, 'amq.direct', exchange);
  const { publisher: later } = await broker.restart();
  const keys = ['a.b', 'a.c', 'b'];
  t.same(await routed(later, first, queue, keys), { 'a.b': 1, 'a.c': 0, b: 0 });
  t.same(await routed(later, 'amq.fanout', queue, keys), { 'a.b': 1, 'a.c': 0, b: 0 });
  t.same(await routed(later, 'amq.direct', queue, [exchange]), { [exchange]: 1 });
  await later.unbindExchange(first, 'amq.fanout', '');
});

afterEachEnding('bindings with a transient end are gone, even when that is declared again', async (t, broker) => {
  const { publisher, exchange, queue } = await declarePair(broker, 'fanout');
  const transient = { durable: false };
  const names = { queue: uniqueName(), source: uniqueName(), destination: uniqueName() };
  const declareTransient = async (channel: ConfirmChannel): Promise<void> => {
    await channel.assertQueue(names.queue, transient);
    await channel.assertExchange(names.source, 'fanout', transient);
    await channel.assertExchange(names.destination, 'fanout', transient);
  };
  await declareTransient(publisher);
  await publisher.bindQueue(names.queue, exchange, '');
  await publisher.bindQueue(queue, names.source, '');
  await publisher.bindExchange(names.destination, exchange, '');
  const { queue: behind } = await publisher.assertQueue(uniqueName());
  await publisher.bindQueue(behind, names.destination, '');
  t.same(await routed(publisher, exchange, names.queue, ['k']), { k: 1 });
  t.same(await routed(publisher, names.source, queue, ['k']), { k: 1 });
  const { publisher: later } = await broker.restart();
  await declareTransient(later);
  t.same(await routed(later, exchange, names.queue, ['k']), { k: 0 });
  t.same(await routed(later, names.source, queue, ['k']), { k: 0 });
  t.same(await routed(later, names.destination, behind, ['k']), { k: 0 });
});

afterEachEnding(
  'an auto-delete exchange whose only binding led to a transient queue is there, unbound',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { autoDelete: true });
    const { queue } = await publisher.assertQueue(uniqueName(), { durable: false });
    await publisher.bindQueue(queue, exchange, '');
    const { publisher: later } = await broker.restart();
    t.ok(await later.checkExchange(exchange));
    await later.deleteExchange(exchange, { ifUnused: true });
  },
);

afterEachEnding('what was unbound stays so, and so does what went with one of its ends', async (t, broker) => {
  const { publisher, exchange, queue } = await declarePair(broker, 'direct');
  const other = uniqueName();
  await publisher.assertQueue(other);
  for (const key of ['kept', 'unbound']) await publisher.bindQueue(queue, exchange, key);
  await publisher.bindQueue(other, exchange, 'other');
  await publisher.unbindQueue(queue, exchange, 'unbound');
  await publisher.deleteQueue(other);
  await publisher.assertQueue(other);
  const keys = ['kept', 'unbound', 'other'];
  let { publisher: later } = await broker.restart();
  t.same(await routed(later, exchange, queue, keys), { kept: 1, unbound: 0, other: 0 });
  t.same(await routed(later, exchange, other, keys), { kept: 0, unbound: 0, other: 0 });
  await later.unbindQueue(queue, exchange, 'kept');
  await later.bindQueue(queue, exchange, 'unbound');
  ({ publisher: later } = await broker.restart());
  t.same(await routed(later, exchange, queue, keys), { kept: 0, unbound: 1, other: 0 });
});
