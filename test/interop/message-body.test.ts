// Bodies of every size: none, one byte, around the frame size, and large.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Message } from 'amqplib';
import t from 'tap';
import { openSession, present, sharedQueue, subscribe } from '../helper/messages.ts';

/** The largest payload of one body frame: frame-max 131072 less 8 bytes around it. */
const framePayloadBytes = 131_072 - 8;

const sizes = [
  0,
  1,
  2047,
  2048,
  framePayloadBytes - 1,
  framePayloadBytes,
  framePayloadBytes + 1,
  2 * framePayloadBytes,
  2 * framePayloadBytes + 1,
  1024 * 1024,
  10 * 1024 * 1024,
];

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

for (const size of sizes) {
  t.test(`a body of ${size} bytes arrives whole, by deliver and by get`, async (t) => {
    const { channel, publisher, queue } = await openSession(t);
    const content = randomBytes(size);
    publisher.sendToQueue(queue, content);
    await publisher.waitForConfirms();
    const got = present(await channel.get(queue));
    t.equal(got.content.length, size);
    t.equal(digest(got.content), digest(content));
    channel.nack(got);
    const { inbox } = await subscribe(channel, queue, { noAck: true });
    t.equal(digest((await inbox.next()).content), digest(content));
  });
}

t.test('bodies of mixed sizes keep their order', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  const contents = [300_000, 0, 5, 131_064, 0, 1, 1_000_000, 3].map((size) => randomBytes(size));
  for (const content of contents) publisher.sendToQueue(queue, content);
  const received = await inbox.take(contents.length);
  t.same(
    received.map((message) => digest(message.content)),
    contents.map(digest),
  );
});

t.test('large bodies of two channels do not mix', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  const publishers = [await connection.createChannel(), await connection.createChannel()];
  for (const [index, publisher] of publishers.entries()) publisher.sendToQueue(queue, Buffer.alloc(700_000, index + 1));
  for (const message of await inbox.take(2)) t.ok(message.content.every((byte) => byte === message.content[0]));
});

t.test('a small negotiated frame-max splits what is delivered', async (t) => {
  const { target, publisher } = await openSession(t);
  const connection = await connect(`${target.url}?frameMax=4096`);
  t.teardown(() => connection.close());
  const channel = await connection.createConfirmChannel();
  const own = await sharedQueue(t, target);
  const content = randomBytes(100_000);
  publisher.sendToQueue(own, content);
  channel.sendToQueue(own, content);
  await Promise.all([publisher.waitForConfirms(), channel.waitForConfirms()]);
  for (let i = 0; i < 2; i++) t.equal(digest(present(await channel.get(own)).content), digest(content));
});

t.test('a returned body of several frames comes back whole', async (t) => {
  const { channel } = await openSession(t);
  const returned = once(channel, 'return');
  const content = randomBytes(400_000);
  channel.publish('amq.direct', 'nobody', content, { mandatory: true });
  const [message] = (await returned) as [Message];
  t.equal(digest(message.content), digest(content));
});
