// The memory alarm: a publisher that is faster than its consumers is not read from, and goes on when they made room.
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import {
  EmbedClient,
  heldUp,
  NumberedInbox,
  numberedMessages,
  type OpenOptions,
  queueDelete,
  sharedQueueDeclare,
  TELL_BLOCKED,
  turnsUntil,
} from '../helper/embed-client.ts';
import {
  basicConsume,
  basicGet,
  basicPublish,
  bytes,
  confirmSelect,
  contentBody,
  contentHeader,
  message,
  method,
  queuePurge,
  shortString,
} from '../helper/wire-bytes.ts';

const LIMIT_BYTES = 8 * 1024 * 1024;
/** A publisher is held back at once, but what was read from its socket before is still taken: a few chunks of 64 KiB. */
const MOST_OVERSHOOT_BYTES = 512 * 1024;
/** Five times what fits, so that the kernel's buffers can't hold the rest. */
const COUNT = 40_000;
const SIZE = 1_000;

async function startBroker(t: Test): Promise<Broker> {
  const broker = await createBroker({ port: 0, memoryLimitBytes: LIMIT_BYTES });
  t.teardown(() => broker.close());
  return broker;
}

async function openChannel(t: Test, broker: Broker, options: OpenOptions = {}): Promise<EmbedClient> {
  return (await EmbedClient.connect(t, broker.port, options)).openChannel();
}

/** Publishes far more than the limit allows and waits until the broker reads no more of it. */
async function floodUntilHeld(publisher: EmbedClient, queue = 'flood'): Promise<void> {
  await publisher.call(1, 50, 11, sharedQueueDeclare(1, queue));
  for (let first = 0; first < COUNT; first += 1_000) {
    publisher.send(numberedMessages(1, { routingKey: queue }, { first, count: 1_000, size: SIZE }));
  }
  await heldUp(publisher);
}

async function consumeAll(t: Test, broker: Broker, queue = 'flood'): Promise<NumberedInbox> {
  const inbox = new NumberedInbox();
  const consumer = await openChannel(t, broker, TELL_BLOCKED);
  consumer.onMessage = inbox.take;
  await consumer.call(1, 60, 21, basicConsume(1, queue));
  await inbox.count(COUNT);
  t.notOk(consumer.has(0, 10, 60), "the consumer's connection was never blocked");
  return inbox;
}

t.test('a publisher that is faster than its consumers', async (t) => {
  const broker = await startBroker(t);
  const publisher = await openChannel(t, broker, TELL_BLOCKED);
  const blocked = publisher.expect(0, 10, 60);
  await floodUntilHeld(publisher);

  await t.test('is told that it is blocked, and why', async (t) => {
    t.same(await blocked, shortString('low on memory'));
    t.notOk(publisher.has(0, 10, 61));
  });

  await t.test('is not read from', async (t) => {
    t.ok(publisher.stream.writableLength > 0, `${publisher.stream.writableLength} bytes stay in its socket`);
    t.notOk(publisher.send(numberedMessages(1, { routingKey: 'flood' }, { first: COUNT, count: 1, size: SIZE })));
  });

  await t.test('fills the memory to its limit and little more', async (t) => {
    t.ok(broker.memoryUsedBytes > LIMIT_BYTES * 0.95, `${broker.memoryUsedBytes} bytes are used`);
    t.ok(broker.memoryUsedBytes < LIMIT_BYTES + MOST_OVERSHOOT_BYTES, `${broker.memoryUsedBytes} bytes are used`);
  });

  await t.test('does not hold up connections that only consume, declare and take', async (t) => {
    const other = await openChannel(t, broker, TELL_BLOCKED);
    await other.call(1, 50, 11, sharedQueueDeclare(1, 'another'));
    const got = new Promise((resolve) => {
      other.onMessage = resolve;
    });
    other.send(basicGet(1, 'flood'));
    await got;
    t.notOk(other.has(0, 10, 60));
    await other.close();
  });

  await t.test('goes on when consumers made room: everything arrives, in order, once', async (t) => {
    // The first message was taken above and came back when its connection ended, the last was sent above.
    let unblocked = false;
    const told = publisher.expect(0, 10, 61).then(() => {
      unblocked = true;
    });
    const inbox = await consumeAll(t, broker);
    await inbox.count(COUNT + 1);
    t.same(inbox.misplaced, []);
    await told;
    t.ok(unblocked);
    await publisher.openChannel(2);
    t.equal(publisher.stream.writableLength, 0);
    t.equal(broker.memoryUsedBytes, 0);
  });
});

t.test('a publisher that can not be told is held back without a word', async (t) => {
  const broker = await startBroker(t);
  const publisher = await openChannel(t, broker);
  await floodUntilHeld(publisher);
  t.ok(publisher.stream.writableLength > 0);
  t.ok(broker.memoryUsedBytes < LIMIT_BYTES + MOST_OVERSHOOT_BYTES);
  const inbox = await consumeAll(t, broker);
  t.same(inbox.misplaced, []);
  t.notOk(publisher.has(0, 10, 60));
  t.notOk(publisher.has(0, 10, 61));
});

t.test('all of several publishers are held back, and all go on', async (t) => {
  const broker = await startBroker(t);
  const queues = ['flood-1', 'flood-2', 'flood-3'];
  const publishers = await Promise.all(queues.map(() => openChannel(t, broker, TELL_BLOCKED)));
  await Promise.all(publishers.map((publisher, i) => floodUntilHeld(publisher, queues[i])));
  for (const publisher of publishers) t.ok(publisher.has(0, 10, 60), 'blocked');
  t.ok(broker.memoryUsedBytes < LIMIT_BYTES + publishers.length * MOST_OVERSHOOT_BYTES, `${broker.memoryUsedBytes}`);
  const inboxes = await Promise.all(queues.map((queue) => consumeAll(t, broker, queue)));
  t.same(
    inboxes.map((inbox) => inbox.misplaced),
    [[], [], []],
  );
});

t.test('confirms of a blocked publisher all come in the end', async (t) => {
  const broker = await startBroker(t);
  const publisher = await openChannel(t, broker, TELL_BLOCKED);
  await publisher.call(1, 85, 11, confirmSelect(1));
  await floodUntilHeld(publisher);
  await consumeAll(t, broker);
  for (let confirmed = 0; confirmed < COUNT; ) {
    confirmed = Number((await publisher.expect(1, 60, 80)).readBigUInt64BE(0));
  }
  t.pass('the last publish is confirmed');
});

for (const { how, frames } of [
  { how: 'a purge', frames: queuePurge(1, 'flood') },
  { how: 'the end of the queue', frames: queueDelete(1, 'flood') },
]) {
  t.test(`${how} makes room as well`, async (t) => {
    const broker = await startBroker(t);
    const publisher = await openChannel(t, broker, TELL_BLOCKED);
    await floodUntilHeld(publisher);
    const other = await openChannel(t, broker);
    const unblocked = publisher.expect(0, 10, 61);
    other.send(frames);
    await unblocked;
    t.pass('unblocked');
  });
}

t.test('a message larger than the whole limit still reaches its consumer', async (t) => {
  const broker = await startBroker(t);
  const client = await openChannel(t, broker);
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'large'));
  const publisher = await openChannel(t, broker, TELL_BLOCKED);
  const body = Buffer.alloc(2 * LIMIT_BYTES, 'large');
  const pieces: Buffer[] = [basicPublish(1, { routingKey: 'large' }), contentHeader(1, body.length)];
  for (let at = 0; at < body.length; at += 131_000) pieces.push(contentBody(1, body.subarray(at, at + 131_000)));
  publisher.send(bytes(...pieces, message(1, 'next', { routingKey: 'large' })));
  const received: Buffer[] = [];
  client.onMessage = ({ body }) => received.push(body);
  await client.call(1, 60, 21, basicConsume(1, 'large'));
  await turnsUntil(() => received.length === 2);
  t.ok(received[0].equals(body));
  t.equal(received[1].toString(), 'next');
  t.equal(broker.memoryUsedBytes, 0);
});

t.test('memoryLimitBytes 0 blocks every publisher from its first message on', async (t) => {
  const broker = await createBroker({ port: 0, memoryLimitBytes: 0, shutdownTimeoutMs: 0 });
  t.teardown(() => broker.close());
  const publisher = await openChannel(t, broker, TELL_BLOCKED);
  const blocked = publisher.expect(0, 10, 60);
  publisher.send(message(1, 'first', { routingKey: 'nowhere' }));
  t.same(await blocked, shortString('low on memory'));
});

t.test('what a transaction holds back counts as used, and is given back by its rollback', async (t) => {
  const broker = await startBroker(t);
  const publisher = await openChannel(t, broker, TELL_BLOCKED);
  await publisher.call(1, 50, 11, sharedQueueDeclare(1, 'tx'));
  await publisher.call(1, 90, 11, method(1, 90, 10));
  publisher.send(numberedMessages(1, { routingKey: 'tx' }, { count: 1_000, size: SIZE }));
  await publisher.openChannel(2);
  t.ok(broker.memoryUsedBytes >= 1_000 * SIZE, `${broker.memoryUsedBytes} bytes`);
  await publisher.call(1, 90, 31, method(1, 90, 30));
  t.equal(broker.memoryUsedBytes, 0);

  await t.test('so that it can not grow beyond the limit either', async (t) => {
    const blocked = publisher.expect(0, 10, 60);
    await floodUntilHeld(publisher, 'tx');
    await blocked;
    t.ok(broker.memoryUsedBytes < LIMIT_BYTES + MOST_OVERSHOOT_BYTES, `${broker.memoryUsedBytes} bytes`);
  });
});
