// Which messages an exchange of each type hands to a queue, as a client sees it. The unit tests of exchanges/ go into the corners.
import t from 'tap';
import { openTopology, routedCount } from '../helper/amqp.ts';

const topics = [
  { pattern: 'a.b', matches: ['a.b'], others: ['a', 'a.b.c', 'b.a', 'a.B', 'a.*', ''] },
  { pattern: 'a.*', matches: ['a.b', 'a.', 'a.*'], others: ['a', 'a.b.c'] },
  { pattern: '*', matches: ['a'], others: ['a.b', '.', ''] },
  { pattern: '*.*', matches: ['a.b', '.'], others: ['a', 'a.b.c'] },
  { pattern: '#', matches: ['', 'a', 'a.b.c'], others: [] },
  { pattern: 'a.#', matches: ['a', 'a.b', 'a.b.c'], others: ['b', 'b.a', ''] },
  { pattern: '#.a', matches: ['a', 'b.a', 'c.b.a'], others: ['a.b', ''] },
  { pattern: 'a.#.z', matches: ['a.z', 'a.b.z', 'a.b.c.z'], others: ['a', 'z', 'a.b'] },
  { pattern: '#.a.#', matches: ['a', 'b.a', 'a.b', 'c.a.a.b'], others: ['b', 'aa'] },
  { pattern: '#.#', matches: ['', 'a', 'a.b'], others: [] },
  { pattern: '*.#', matches: ['a', 'a.b', '.'], others: [''] },
  { pattern: 'a*', matches: ['a*'], others: ['ab', 'a'] },
  { pattern: '', matches: [''], others: ['a', '.'] },
];

for (const { pattern, matches, others } of topics) {
  t.test(`topic: the pattern '${pattern}'`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const exchange = name();
    await channel.assertExchange(exchange, 'topic');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, pattern);
    for (const key of matches) t.equal(await routedCount(connection, exchange, key, queue), 1, `matches '${key}'`);
    for (const key of others)
      t.equal(await routedCount(connection, exchange, key, queue), 0, `does not match '${key}'`);
  });
}

t.test('topic: a message comes once, however many patterns match', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'topic');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const pattern of ['#', 'a.#', '*.b', 'a.b']) await channel.bindQueue(queue, exchange, pattern);
  t.equal(await routedCount(connection, exchange, 'a.b', queue), 1);
});

t.test('fanout: the routing key does not matter', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'fanout');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, 'k');
  for (const key of ['', 'k', 'other']) t.equal(await routedCount(connection, exchange, key, queue), 1);
});

t.test('direct: every queue bound with the key gets the message, wildcards are letters', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct');
  for (const pattern of ['k', 'k', '#']) {
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, pattern);
    for (const key of ['k', '#', 'K']) {
      t.equal(await routedCount(connection, exchange, key, queue), key === pattern ? 1 : 0, `${pattern} and ${key}`);
    }
  }
});

const typed = (type: string, value: unknown) => ({ '!': type, value });

const headersCases = [
  { match: 'all', args: { a: 1, b: 'x' }, headers: { a: 1, b: 'x', c: true }, routed: 1 },
  { match: 'all', args: { a: 1, b: 'x' }, headers: { a: 1 }, routed: 0 },
  { match: 'any', args: { a: 1, b: 'x' }, headers: { b: 'x' }, routed: 1 },
  { match: 'any', args: { a: 1, b: 'x' }, headers: { a: 2, b: 'y' }, routed: 0 },
  { match: 'all', args: {}, headers: {}, routed: 1 },
  { match: 'any', args: {}, headers: { a: 1 }, routed: 0 },
  { match: 'all', args: { a: null }, headers: { a: 'any value' }, routed: 1 },
  { match: 'all', args: { a: null }, headers: { b: 1 }, routed: 0 },
  { match: 'all', args: { a: 1 }, headers: { a: typed('int64', 1) }, routed: 1 },
  { match: 'all', args: { a: 1 }, headers: { a: typed('double', 1) }, routed: 1 },
  { match: 'all', args: { a: true }, headers: { a: 'true' }, routed: 0 },
  { match: 'all', args: { a: true }, headers: { a: 1 }, routed: 0 },
  { match: 'all', args: { a: 'x' }, headers: { a: Buffer.from('x') }, routed: 1 },
  { match: 'all', args: { a: [1, 'x'] }, headers: { a: [1, 'x'] }, routed: 1 },
  { match: 'all', args: { a: [1] }, headers: { a: [typed('int64', 1)] }, routed: 0 },
  { match: 'all', args: { a: 1 }, headers: { a: '1' }, routed: 0 },
  { match: 'all', args: { 'x-a': 1 }, headers: {}, routed: 1 },
  { match: 'all-with-x', args: { 'x-a': 1 }, headers: {}, routed: 0 },
  { match: 'all-with-x', args: { 'x-a': 1 }, headers: { 'x-a': 1 }, routed: 1 },
  { match: 'any', args: { 'x-a': 1 }, headers: { 'x-a': 1 }, routed: 0 },
  { match: 'any-with-x', args: { 'x-a': 1 }, headers: { 'x-a': 1 }, routed: 1 },
] as const;

for (const { match, args, headers, routed } of headersCases) {
  const what = `x-match ${match} of ${JSON.stringify(args)} ${routed ? 'takes' : 'does not take'} ${JSON.stringify(headers)}`;
  t.test(`headers: ${what}`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const exchange = name();
    await channel.assertExchange(exchange, 'headers');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, 'key of no meaning', { 'x-match': match, ...args });
    t.equal(await routedCount(connection, exchange, '', queue, headers), routed);
  });
}

t.test('a change of bindings holds for the next message of the same key', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'topic');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const pattern of ['a.*', '#', 'a.b']) {
    channel.publish(exchange, 'a.b', Buffer.from('unbound'));
    await channel.bindQueue(queue, exchange, pattern);
    channel.publish(exchange, 'a.b', Buffer.from(pattern));
    await channel.unbindQueue(queue, exchange, pattern);
    t.match(await channel.get(queue, { noAck: true }), { content: Buffer.from(pattern), fields: { messageCount: 0 } });
  }
});
