// Dead letters and restarts: a message is in the queue that it died in, or where its dead letter went, and survives where it would anyway.
import type { Channel } from 'amqplib';
import { uniqueName } from '../helper/broker.ts';
import { deathsOf, olderHeaders } from '../helper/dead-letter.ts';
import { afterEachEnding, flush } from '../helper/durable-broker.ts';
import { drain, present, publish, readyCount } from '../helper/messages.ts';
import { untilReady } from '../helper/ttl.ts';

const PERSISTENT = { persistent: true };

interface Names {
  readonly queue: string;
  readonly dead: string;
}

/** A durable queue that dead-letters to another. */
async function declare(channel: Channel, options: object = {}): Promise<Names> {
  const [queue, dead] = [uniqueName(), uniqueName()];
  await channel.assertQueue(dead);
  await channel.assertQueue(queue, { deadLetterExchange: '', deadLetterRoutingKey: dead, ...options });
  return { queue, dead };
}

/** Rejects all messages of the queue; their dead letters are on disk when this is done. */
async function rejectAll(channel: Channel, queue: string): Promise<void> {
  for (;;) {
    const message = await channel.get(queue);
    if (message === false) break;
    channel.nack(message, false, false);
  }
  await flush(channel);
}

afterEachEnding('a persistent dead letter survives, once; a transient one does not', async (t, broker) => {
  const { channel, publisher } = await broker.connect();
  const { queue, dead } = await declare(channel);
  const body = Buffer.alloc(20_000, 'large');
  publisher.sendToQueue(queue, Buffer.from('persistent'), PERSISTENT);
  publisher.sendToQueue(queue, Buffer.from('transient'));
  publisher.sendToQueue(queue, body, PERSISTENT);
  await publisher.waitForConfirms();
  await rejectAll(channel, queue);
  t.equal(await untilReady(channel, dead, 3), 3);
  const { channel: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 0);
  t.same(await drain(later, dead), ['persistent', body.toString()]);
});

afterEachEnding('what a dead letter says of its deaths survives', async (t, broker) => {
  const { channel, publisher } = await broker.connect();
  const { queue, dead } = await declare(channel);
  publisher.sendToQueue(queue, Buffer.from('a'), {
    ...PERSISTENT,
    expiration: 600_000,
    messageId: 'm',
    headers: { z: 1 },
  });
  await publisher.waitForConfirms();
  await rejectAll(channel, queue);
  await untilReady(channel, dead, 1);
  const { channel: later } = await broker.restart();
  const { properties, fields } = present(await later.get(dead));
  t.equal(properties.messageId, 'm');
  t.equal(properties.expiration, undefined);
  t.same([fields.exchange, fields.routingKey], ['', dead]);
  const { 'x-death': deaths, ...headers } = olderHeaders(properties.headers);
  t.match(deaths, [{ count: 1, reason: 'rejected', queue, 'original-expiration': '600000', 'routing-keys': [queue] }]);
  const first = { 'x-first-death-exchange': '', 'x-first-death-queue': queue, 'x-first-death-reason': 'rejected' };
  t.same(headers, { ...first, z: 1 });
});

afterEachEnding('messages from before a restart become dead letters with all that they are', async (t, broker) => {
  const { channel, publisher } = await broker.connect();
  const { queue, dead } = await declare(channel);
  const options = {
    ...PERSISTENT,
    CC: [uniqueName()],
    expiration: 600_000,
    contentType: 'text/plain',
    headers: { z: 1 },
  };
  publisher.sendToQueue(queue, Buffer.from('before'), options);
  await publisher.waitForConfirms();
  const { channel: later } = await broker.restart();
  await rejectAll(later, queue);
  await untilReady(later, dead, 1);
  const letter = present(await later.get(dead));
  const { properties, content } = letter;
  t.equal(content.toString(), 'before');
  t.equal(properties.contentType, 'text/plain');
  t.equal(properties.deliveryMode, 2);
  const [death] = deathsOf(letter);
  t.same([death['routing-keys'], death['original-expiration']], [[queue, ...options.CC], '600000']);
});

afterEachEnding('what makes room survives elsewhere', async (t, broker) => {
  const { channel, publisher } = await broker.connect();
  const { queue, dead } = await declare(channel, { maxLength: 2 });
  for (const text of ['1', '2', '3', '4', '5']) publisher.sendToQueue(queue, Buffer.from(text), PERSISTENT);
  await publisher.waitForConfirms();
  await untilReady(channel, dead, 3);
  await flush(channel);
  const { channel: later, publisher: next } = await broker.restart();
  t.equal(await readyCount(later, dead), 3);
  next.sendToQueue(queue, Buffer.from('6'), PERSISTENT);
  await next.waitForConfirms();
  await untilReady(later, dead, 4);
  t.same(await drain(later, dead), ['1', '2', '3', '4']);
  t.same(await drain(later, queue), ['5', '6']);
});

afterEachEnding('what was rejected just before the end is in one place', async (t, broker) => {
  const { channel, publisher } = await broker.connect();
  const { queue, dead } = await declare(channel);
  const texts = Array.from({ length: 50 }, (_, i) => String(i));
  for (const text of texts) publisher.sendToQueue(queue, Buffer.from(text), PERSISTENT);
  await publisher.waitForConfirms();
  for (const _ of texts) channel.nack(present(await channel.get(queue)), false, false);
  await publish(publisher, uniqueName(), ['as long as a round trip takes']);
  const { channel: later } = await broker.restart();
  const [left, gone] = [await drain(later, queue), await drain(later, dead)];
  const found = [...left, ...gone].sort((a, b) => Number(a) - Number(b));
  t.same(found, texts, `${left.length} in the queue, ${gone.length} dead`);
});
