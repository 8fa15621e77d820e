// Where dead letters go: by the exchange that the queue names, of whatever type, and with the keys of the message or one of their own.
import type { Channel, Options } from 'amqplib';
import t from 'tap';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { deathsOf } from '../helper/dead-letter.ts';
import { openSession, present, publish, readyCount, type Session, subscribe, text } from '../helper/messages.ts';
import { outcome, until, untilReady } from '../helper/ttl.ts';

async function exchange(channel: Channel, type: string, options: Options.AssertExchange = {}): Promise<string> {
  const settings = { durable: false, autoDelete: true, ...options };
  return (await channel.assertExchange(uniqueName(), type, settings)).exchange;
}

async function declare(channel: Channel, options: Options.AssertQueue = {}): Promise<string> {
  return (await channel.assertQueue(uniqueName(), { exclusive: true, ...options })).queue;
}

/** A queue bound to the exchange. */
async function bound(channel: Channel, source: string, key = '', args?: unknown): Promise<string> {
  const queue = await declare(channel);
  await channel.bindQueue(queue, source, key, args);
  return queue;
}

/** The next message, taken for good. */
async function take(channel: Channel, queue: string) {
  const taken = await until(
    () => channel.get(queue, { noAck: true }),
    (got) => got !== false,
  );
  return present(taken);
}

/** Publishes a message that is rejected at once. Its dead letter is there, wherever it goes, when this is done. */
async function reject({ channel, publisher }: Session, queue: string, options: Options.Publish = {}): Promise<void> {
  publisher.sendToQueue(queue, Buffer.from('dead'), options);
  await publisher.waitForConfirms();
  channel.nack(present(await channel.get(queue)), false, false);
  await settled(channel);
}

/** A message that goes through a queue without room comes after all that was dead-lettered before. */
async function settled(channel: Channel): Promise<void> {
  const end = await declare(channel);
  const through = await declare(channel, { maxLength: 0, deadLetterExchange: '', deadLetterRoutingKey: end });
  channel.sendToQueue(through, Buffer.from('last'));
  await untilReady(channel, end, 1);
}

t.test('the default exchange: to the queue that has the name of the key', async (t) => {
  const session = await openSession(t);
  const target = await declare(session.channel);
  const queue = await declare(session.channel, { deadLetterExchange: '', deadLetterRoutingKey: target });
  await reject(session, queue);
  const { fields } = await take(session.channel, target);
  t.same([fields.exchange, fields.routingKey], ['', target]);
});

t.test('direct, topic and fanout exchanges, by the key of the message', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  for (const [type, key] of [
    ['direct', (queue: string) => queue],
    ['topic', () => '#'],
    ['fanout', () => ''],
  ] as const) {
    const source = await exchange(channel, type);
    const queue = await declare(channel, { deadLetterExchange: source });
    const target = await bound(channel, source, key(queue));
    await reject(session, queue);
    const { fields } = await take(channel, target);
    t.same([fields.exchange, fields.routingKey], [source, queue], type);
  }
});

t.test('a key of its own', async (t) => {
  const session = await openSession(t);
  const source = await exchange(session.channel, 'topic');
  const target = await bound(session.channel, source, 'dead.*');
  const queue = await declare(session.channel, { deadLetterExchange: source, deadLetterRoutingKey: 'dead.letter' });
  await reject(session, queue);
  t.equal((await take(session.channel, target)).fields.routingKey, 'dead.letter');
});

t.test('a headers exchange sees the headers of the dead letter, and those of the message', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const source = await exchange(channel, 'headers');
  const death = await bound(channel, source, '', { 'x-match': 'all-with-x', 'x-first-death-reason': 'rejected' });
  const other = await bound(channel, source, '', { 'x-match': 'all-with-x', 'x-first-death-reason': 'expired' });
  const own = await bound(channel, source, '', { 'x-match': 'all', own: 'yes' });
  await reject(session, await declare(channel, { deadLetterExchange: source }), { headers: { own: 'yes' } });
  for (const target of [death, own]) t.equal(text(await take(channel, target)), 'dead');
  t.equal(await readyCount(channel, other), 0);
});

t.test('CC: the dead letter goes by the further keys as well, time and again', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const source = await exchange(channel, 'direct');
  const target = await declare(channel);
  const second = await declare(channel, { deadLetterExchange: source });
  await channel.bindQueue(second, source, 'copy');
  await reject(session, await declare(channel, { deadLetterExchange: source }), { CC: 'copy' });
  await channel.bindQueue(target, source, 'copy');
  channel.nack(present(await channel.get(second)), false, false);
  const { properties } = await take(channel, target);
  t.same(properties.headers?.CC, ['copy']);
  t.equal(properties.headers?.['x-death']?.length, 2);
});

t.test('CC: no more with a key of its own', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const source = await exchange(channel, 'direct');
  const [target, copy] = [await bound(channel, source, 'own'), await bound(channel, source, 'copy')];
  const queue = await declare(channel, { deadLetterExchange: source, deadLetterRoutingKey: 'own' });
  await reject(session, queue, { CC: 'copy' });
  t.notOk('CC' in ((await take(channel, target)).properties.headers ?? {}));
  t.equal(await readyCount(channel, copy), 0);
});

t.test('BCC: never told', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const source = await exchange(channel, 'direct');
  const queue = await declare(channel, { deadLetterExchange: source });
  const [target, blind] = [await bound(channel, source, queue), await bound(channel, source, 'blind')];
  await reject(session, queue, { BCC: 'blind' });
  const { properties } = await take(channel, target);
  t.notOk('BCC' in (properties.headers ?? {}));
  t.same(properties.headers?.['x-death']?.[0]['routing-keys'], [queue]);
  // RabbitMQ still knows the key, which is no property of the message, and routes by it. Leveret forgets it once it has routed the message.
  t.equal(await readyCount(channel, blind), againstPeer ? 1 : 0);
});

t.test('an exchange that is not there: dead letters are dropped until it is', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const name = uniqueName();
  const queue = await declare(channel, { deadLetterExchange: name });
  await reject(session, queue);
  await channel.assertExchange(name, 'fanout', { durable: false, autoDelete: true });
  const target = await bound(channel, name);
  t.equal(await readyCount(channel, target), 0);
  await reject(session, queue, { messageId: 'second' });
  t.equal((await take(channel, target)).properties.messageId, 'second');
  await channel.deleteExchange(name);
  await reject(session, queue);
  t.equal(await readyCount(channel, target), 0);
});

t.test('what leads nowhere goes to the alternate exchange', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const alternate = await exchange(channel, 'fanout');
  const source = await exchange(channel, 'direct', { alternateExchange: alternate });
  const target = await bound(channel, alternate);
  await reject(session, await declare(channel, { deadLetterExchange: source }));
  t.equal((await take(channel, target)).fields.exchange, source);
  await channel.deleteExchange(source); // it never had a binding, so nothing else deletes it
});

t.test('through an exchange bound to the exchange, and an internal one', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const inner = await exchange(channel, 'topic');
  const outer = await exchange(channel, 'fanout', { internal: true });
  await channel.bindExchange(inner, outer, '');
  const target = await bound(channel, inner, 'k.*');
  await reject(session, await declare(channel, { deadLetterExchange: outer, deadLetterRoutingKey: 'k.1' }));
  t.equal((await take(channel, target)).fields.exchange, outer);
});

t.test('several queues get a copy each', async (t) => {
  const session = await openSession(t);
  const { channel } = session;
  const source = await exchange(channel, 'fanout');
  const targets = [await bound(channel, source), await bound(channel, source), await bound(channel, source)];
  await reject(session, await declare(channel, { deadLetterExchange: source }));
  const letters = await Promise.all(targets.map((target) => take(channel, target)));
  for (const letter of letters) t.same(letter.properties.headers, letters[0].properties.headers);
});

t.test('a queue that refuses loses its copy, and no other does', async (t) => {
  const session = await openSession(t);
  const { channel, publisher } = session;
  const source = await exchange(channel, 'fanout');
  const full = await declare(channel, { maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } });
  await channel.bindQueue(full, source, '');
  const other = await bound(channel, source);
  t.equal(await outcome(publisher, full, 'first'), 'ack');
  await reject(session, await declare(channel, { deadLetterExchange: source }));
  t.equal(text(await take(channel, other)), 'dead');
  t.equal(text(await take(channel, full)), 'first');
  t.equal(await readyCount(channel, full), 0);
});

t.test('a queue that refuses, but dead-letters what it refuses', async (t) => {
  const session = await openSession(t);
  const { channel, publisher } = session;
  const end = await declare(channel);
  const settings = { maxLength: 1, deadLetterExchange: '', deadLetterRoutingKey: end };
  const full = await declare(channel, { ...settings, arguments: { 'x-overflow': 'reject-publish-dlx' } });
  await publish(publisher, full, ['first']);
  await reject(session, await declare(channel, { deadLetterExchange: '', deadLetterRoutingKey: full }));
  const deaths = deathsOf(await take(channel, end));
  t.same(
    deaths.map(({ reason }) => reason),
    ['maxlen', 'rejected'],
  );
});

t.test('the address of a client that waits for a reply', async (t) => {
  const session = await openSession(t);
  const { channel, connection } = session;
  const asking = await connection.createChannel();
  const { inbox } = await subscribe(asking, 'amq.rabbitmq.reply-to', { noAck: true });
  const asked = await declare(channel);
  asking.sendToQueue(asked, Buffer.from('question'), { replyTo: 'amq.rabbitmq.reply-to' });
  const { replyTo } = (await take(channel, asked)).properties;
  const queue = await declare(channel, { deadLetterExchange: '', deadLetterRoutingKey: replyTo });
  await reject(session, queue);
  const reply = await inbox.next();
  t.equal(text(reply), 'dead');
  t.equal(deathsOf(reply)[0].queue, queue);
});

t.test('dead letters are published as they come, in order, through several queues', async (t) => {
  const { channel, publisher } = await openSession(t);
  const end = await declare(channel);
  let next = end;
  for (let i = 0; i < 20; i++) {
    next = await declare(channel, { maxLength: 0, deadLetterExchange: '', deadLetterRoutingKey: next });
  }
  const { inbox } = await subscribe(channel, end, { noAck: true });
  const texts = Array.from({ length: 50 }, (_, i) => String(i));
  await publish(publisher, next, texts);
  const letters = await inbox.take(texts.length);
  t.same(letters.map(text), texts);
  t.equal(deathsOf(letters[0]).length, 20);
});

t.test('a message is in all its queues before its dead letter, whichever comes first', async (t) => {
  const { channel, publisher } = await openSession(t);
  for (let i = 0; i < 4; i++) {
    const source = await exchange(channel, 'fanout');
    const target = await declare(channel);
    const full = await declare(channel, { maxLength: 0, deadLetterExchange: '', deadLetterRoutingKey: target });
    for (const queue of i < 2 ? [full, target] : [target, full]) await channel.bindQueue(queue, source, '');
    publisher.publish(source, '', Buffer.from('both'));
    await publisher.waitForConfirms();
    const deaths = [deathsOf(await take(channel, target)), deathsOf(await take(channel, target))];
    t.same(
      deaths.map(({ length }) => length),
      [0, 1],
    );
  }
});
