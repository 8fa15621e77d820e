// Messages that are held back and restarts: each goes on once, in order and not early, whatever happens to the broker meanwhile. The
// peer has no delayed message exchange, so these are for Leveret alone.
import type { ConfirmChannel } from 'amqplib';
import t, { type Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type DurableBroker, flush } from '../helper/durable-broker.ts';
import { drain, present, readyCount, text, texts } from '../helper/messages.ts';
import { passed, subscribe, until, untilReady } from '../helper/ttl.ts';

// Most of each test is waiting, so they wait side by side.
t.jobs = 4;

/** Small, so that pages, segments and checkpoints come and go during a test. */
const SMALL: BrokerOptions = { memoryBudgetBytes: 2 ** 20, segmentSizeBytes: 2 ** 20 };

function test(
  title: string,
  run: (t: Test, broker: DurableBroker) => Promise<void>,
  options: BrokerOptions = {},
  alone = false,
): void {
  if (againstPeer) t.test(title, { skip: 'the peer has no such exchange type' }, async () => undefined);
  else afterEachEnding(title, run, options, alone);
}

/** A durable exchange that leads to a durable queue. */
async function declare(channel: ConfirmChannel, type = 'fanout', key = '') {
  const [exchange, queue] = [uniqueName(), uniqueName()];
  await channel.assertExchange(exchange, 'x-delayed-message', { arguments: { 'x-delayed-type': type } });
  await channel.assertQueue(queue);
  await channel.bindQueue(queue, exchange, key);
  return { exchange, queue };
}

/** So many messages of 1,000 bytes are too many for `SMALL`. */
const COUNT = 3000;

function publish(publisher: ConfirmChannel, exchange: string, body: string, delay: number, persistent = true): void {
  publisher.publish(exchange, '', Buffer.from(body), { persistent, headers: { 'x-delay': delay } });
}

/** Has the exchange hold back too much for memory, for longer than any test takes, and waits until most of it is on disk alone. */
async function fillMemory(t: Test, { broker }: DurableBroker, publisher: ConfirmChannel, exchange: string) {
  for (let i = 0; i < COUNT; i++) publish(publisher, exchange, 'later '.padEnd(1000, 'x'), 600_000, i % 5 > 0);
  await publisher.waitForConfirms();
  const used = await until(
    () => broker.memoryUsedBytes,
    (bytes) => bytes < 500 * COUNT,
  );
  t.ok(used < 500 * COUNT, `${used} bytes are in memory`);
}

test('what is to last goes on at its time after a restart, once', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange, queue } = await declare(publisher);
  const publishedAt = Date.now();
  publish(publisher, exchange, 'second', 1500);
  publish(publisher, exchange, 'transient', 1450, false);
  publish(publisher, exchange, 'first', 1400);
  await publisher.waitForConfirms();
  t.equal(await readyCount(publisher, queue), 0);
  const { channel } = await broker.restart();
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  const first = await inbox.next();
  t.ok(Date.now() - publishedAt >= 1400, 'not early');
  t.equal(text(first), 'first');
  t.match(first, { fields: { exchange, redelivered: false }, properties: { headers: { 'x-delay': -1400 } } });
  t.equal(text(await inbox.next()), 'second', 'the transient one is gone');
  t.ok(Date.now() - publishedAt >= 1500, 'not early');
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 0);
});

test('what was due while the broker was down goes on at once, in order', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange, queue } = await declare(publisher);
  for (const delay of [900, 700, 800, 700]) publish(publisher, exchange, `${delay}`, delay);
  await publisher.waitForConfirms();
  const { channel } = await broker.restart(() => passed(1000));
  await untilReady(channel, queue, 4);
  t.same(await drain(channel, queue), ['700', '700', '800', '900']);
});

test('what went on before a restart does not go on again', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange, queue } = await declare(publisher);
  const expected = Array.from({ length: 500 }, (_, i) => `${i}`);
  for (const each of expected) publish(publisher, exchange, each, 50);
  await untilReady(publisher, queue, expected.length);
  await flush(publisher);
  const { channel, publisher: next } = await broker.restart();
  publish(next, exchange, 'last', 1);
  await untilReady(channel, queue, expected.length + 1);
  t.same(await drain(channel, queue), [...expected, 'last']);
});

test('a message is in one place when the broker ends just as it goes on', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange, queue } = await declare(publisher);
  const expected = Array.from({ length: 300 }, (_, i) => `${i}`);
  for (const each of expected) publish(publisher, exchange, each, 200 + Number(each));
  await publisher.waitForConfirms();
  await until(
    () => readyCount(publisher, queue),
    (count) => count >= 20,
  );
  const { channel } = await broker.restart();
  await untilReady(channel, queue, expected.length);
  t.same(await drain(channel, queue), expected);
});

test(
  'what is due later than memory has room for comes from disk, on time and in order',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const { exchange, queue } = await declare(publisher);
    await fillMemory(t, broker, publisher, exchange);
    const delays = [4000, 2500, 3000];
    const publishedAt: number[] = [];
    for (let i = 0; i < COUNT; i++) {
      publishedAt.push(Date.now());
      publish(publisher, exchange, `${i} `.padEnd(1000, 'x'), delays[i % 3], i % 5 > 0);
    }
    await publisher.waitForConfirms();
    const { channel } = await broker.restart();
    const { inbox } = await subscribe(channel, queue, { noAck: true });
    const lasting = COUNT - COUNT / 5;
    const numbers: number[] = [];
    let early = 0;
    while (numbers.length < lasting) {
      const number = Number.parseInt(text(await inbox.next()), 10);
      if (Date.now() < publishedAt[number] + delays[number % 3]) early++;
      numbers.push(number);
    }
    t.equal(early, 0);
    t.equal(new Set(numbers).size, lasting, 'each once');
    t.notOk(numbers.some((number) => number % 5 === 0));
    for (const group of [0, 1, 2]) {
      const found = numbers.filter((number) => number % 3 === group);
      t.same(
        found,
        [...found].sort((a, b) => a - b),
        'what is held for as long keeps its order',
      );
    }
    await passed(50);
    t.equal(inbox.size, 0, 'the others are gone');
  },
  SMALL,
);

test(
  'transient messages of which there are too many for memory go on as well',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const { exchange, queue } = await declare(publisher);
    await fillMemory(t, broker, publisher, exchange);
    const { inbox } = await subscribe(publisher, queue, { noAck: true });
    for (let i = 0; i < COUNT; i++) publish(publisher, exchange, `${i} `.padEnd(1000, 'x'), 3000, false);
    await publisher.waitForConfirms();
    const numbers = texts(await inbox.take(COUNT)).map((body) => Number.parseInt(body, 10));
    t.same(
      numbers,
      Array.from({ length: COUNT }, (_, i) => i),
    );
  },
  SMALL,
);

test('a deleted exchange holds nothing after a restart, nor does a new one of its name', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange, queue } = await declare(publisher);
  const transient = uniqueName();
  const options = { durable: false, arguments: { 'x-delayed-type': 'fanout' } };
  await publisher.assertExchange(transient, 'x-delayed-message', options);
  await publisher.bindQueue(queue, transient, '');
  for (const each of [exchange, transient]) publish(publisher, each, 'gone', 1500);
  await publisher.waitForConfirms();
  await publisher.deleteExchange(exchange);
  const { channel, publisher: next } = await broker.restart();
  for (const each of [exchange, transient]) {
    await channel.assertExchange(each, 'x-delayed-message', { arguments: { 'x-delayed-type': 'fanout' } });
    await channel.bindQueue(queue, each, '');
    publish(next, each, 'new', 1500);
  }
  await untilReady(channel, queue, 2);
  t.same(await drain(channel, queue), ['new', 'new']);
});

test('further routing keys and the type that routes survive', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange, queue } = await declare(publisher, 'topic', 'blind.*');
  publisher.publish(exchange, 'nowhere', Buffer.from('m'), {
    persistent: true,
    CC: ['no.where'],
    BCC: ['blind.copy'],
    expiration: 600_000,
    headers: { 'x-delay': 300 },
  });
  await publisher.waitForConfirms();
  const { channel } = await broker.restart();
  await untilReady(channel, queue, 1);
  const { fields, properties } = present(await channel.get(queue, { noAck: true }));
  t.match(fields, { exchange, routingKey: 'nowhere' });
  t.same(properties.headers, { 'x-delay': -300, CC: ['no.where'] });
  t.equal(properties.expiration, '600000');
});

test('messages that are held through several restarts are neither lost nor doubled', async (t, broker) => {
  const first = await broker.connect();
  const { exchange, queue } = await declare(first.publisher);
  let { channel, publisher } = first;
  const expected: string[] = [];
  for (let life = 0; life < 4; life++) {
    for (let i = 0; i < 200; i++) {
      expected.push(`${life}.${i}`);
      publish(publisher, exchange, `${life}.${i}`, i % 2 === 0 ? 60 : 1500);
    }
    await publisher.waitForConfirms();
    ({ channel, publisher } = await broker.restart());
  }
  await untilReady(channel, queue, expected.length);
  t.same((await drain(channel, queue)).sort(), expected.sort());
});

test(
  'twenty thousand that are due in one millisecond go on in order, from before a restart and after',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const { exchange, queue } = await declare(publisher);
    const COUNT = 20_000;
    const { now } = Date;
    t.teardown(() => Object.assign(Date, { now }));
    const publishAll = async (channel: ConfirmChannel, from: number): Promise<void> => {
      for (let i = from; i < from + COUNT / 2; i++) publish(channel, exchange, `${i}`, 2000);
      await channel.waitForConfirms();
    };
    // The broker's clock stands still meanwhile, since it is in this process.
    const stopped = now();
    Date.now = () => stopped;
    await publishAll(publisher, 0);
    const { channel, publisher: next } = await broker.restart();
    await publishAll(next, COUNT / 2);
    Object.assign(Date, { now });
    const { inbox } = await subscribe(channel, queue, { noAck: true });
    const numbers = texts(await inbox.take(COUNT)).map(Number);
    t.ok(now() - stopped >= 2000);
    t.same(
      numbers,
      Array.from({ length: COUNT }, (_, i) => i),
    );
  },
  {},
  true, // it stops the clock of the whole process
);
