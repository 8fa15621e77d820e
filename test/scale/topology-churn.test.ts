// Queues, exchanges and bindings that come and go by the thousand leave nothing behind.
import t from 'tap';
import { createBroker } from '../../lib/index.ts';
import {
  type Cycle,
  exchangeBind,
  exchangeDeclare,
  exchangeDelete,
  exchangeUnbind,
  expectNothingLeft,
  queueBind,
  queueUnbind,
  requeueAll,
  runCycles,
} from '../helper/embed-churn.ts';
import { EmbedClient, queueDelete, sharedQueueDeclare } from '../helper/embed-client.ts';
import { memoryInUse } from '../helper/embed-memory.ts';
import { basicGet, message, queuePurge, table } from '../helper/wire-bytes.ts';

const TYPES = ['direct', 'fanout', 'topic', 'headers'];

const cycles: Record<string, Cycle> = {
  'queues that are bound, unbound, filled, emptied and deleted': (id) => [
    sharedQueueDeclare(1, id),
    queueBind(id, 'amq.direct', id),
    message(1, id, { exchange: 'amq.direct', routingKey: id }),
    message(1, id, { routingKey: id }),
    queueUnbind(id, 'amq.direct', id),
    basicGet(1, id),
    queuePurge(1, id),
    message(1, id, { routingKey: id }),
    queueDelete(1, id),
    requeueAll(1),
  ],
  'queues that are deleted with their bindings to every type of exchange': (id) => [
    sharedQueueDeclare(1, id),
    queueBind(id, 'amq.direct', id),
    queueBind(id, 'amq.fanout', id),
    queueBind(id, 'amq.topic', `${id}.*.#`),
    queueBind(id, 'amq.topic', `#.${id}`),
    queueBind(id, 'amq.headers', '', table({ 'x-match': 'all', id })),
    queueBind(id, 'amq.headers', '', table({ 'x-match': 'any', id, other: 1 })),
    message(1, id, { exchange: 'amq.topic', routingKey: `${id}.a.b` }),
    message(1, id, { exchange: 'amq.fanout', routingKey: id }),
    queueDelete(1, id),
  ],
  'exchanges of every type, deleted with their bindings to a queue that stays': (id) => [
    ...TYPES.flatMap((type) => [
      exchangeDeclare(`${id}.${type}`, type, table({ 'alternate-exchange': 'amq.fanout' })),
      queueBind('stays', `${id}.${type}`, `${id}.#`, table({ id })),
      message(1, id, { exchange: `${id}.${type}`, routingKey: `${id}.x` }),
    ]),
    queuePurge(1, 'stays'),
    ...TYPES.map((type) => exchangeDelete(`${id}.${type}`)),
  ],
  'bindings between exchanges': (id) => [
    exchangeDeclare(id, 'topic'),
    exchangeBind(id, 'amq.topic', `${id}.#`),
    exchangeBind('amq.fanout', id, '#'),
    exchangeBind(id, id, 'to.itself'),
    message(1, id, { exchange: 'amq.topic', routingKey: `${id}.x` }),
    exchangeUnbind(id, 'amq.topic', `${id}.#`),
    exchangeBind(id, 'amq.direct', id),
    exchangeDelete(id),
  ],
};

for (const [title, cycle] of Object.entries(cycles)) {
  t.test(`10,000 ${title} leave nothing behind`, (t) => expectNothingLeft(t, cycle));
}

/** The cache of 16,384 routes is some 6 MB. */
const MOST_CACHED_BYTES = 1_000_000;

t.test('routing keys of their own fill a cache that has its bounds, and that a new binding empties', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const client = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'stays'));
  const publish: Cycle = (id) => [message(1, id, { exchange: 'amq.topic', routingKey: `${id}.${'x'.repeat(50)}` })];
  const empty = await memoryInUse();
  // More than the 16,384 places of the cache.
  await runCycles(client, publish, 'filling', 30_000);
  const full = await memoryInUse();
  await runCycles(client, publish, 'overflowing', 50_000);
  const overflowing = await memoryInUse();
  t.ok(
    overflowing.heap - full.heap < MOST_CACHED_BYTES,
    `${overflowing.heap - full.heap} bytes more with each one new`,
  );

  await client.call(1, 50, 21, queueBind('stays', 'amq.topic', 'unmatched'));
  await runCycles(client, publish, 'after', 20);
  const emptied = await memoryInUse();
  t.ok(emptied.heap - empty.heap < MOST_CACHED_BYTES, `${emptied.heap - empty.heap} bytes more in the heap`);
  t.ok(emptied.buffers - empty.buffers < MOST_CACHED_BYTES, `${emptied.buffers - empty.buffers} bytes more in buffers`);
});
