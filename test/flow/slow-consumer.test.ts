// A consumer that stops reading: its messages stay in their queue, not in the connection's output, and nobody else waits.
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import {
  ackConsume,
  EmbedClient,
  messageCountOf,
  NumberedInbox,
  numberedMessages,
  passiveDeclare,
  sharedQueueDeclare,
  turnsUntil,
} from '../helper/embed-client.ts';
import { connectObserved } from '../helper/embed-socket.ts';
import { basicAck, basicConsume, confirmSelect } from '../helper/wire-bytes.ts';

/**
 * What may wait in the broker for a client that does not read: its share of a turn and one message more, whatever the backlog.
 * The kernel holds several MB besides, which is its own affair.
 */
const MOST_WAITING_BYTES = 1024 * 1024;

async function startBroker(t: Test): Promise<Broker> {
  const broker = await createBroker({ port: 0, memoryLimitBytes: '1GiB' });
  t.teardown(() => broker.close());
  return broker;
}

/** Publishes so many numbered messages in confirm mode, and waits until the broker has taken them all. */
async function publishAll(
  publisher: EmbedClient,
  queue: string,
  { count, size }: { count: number; size: number },
  look: () => void = () => {},
): Promise<void> {
  const confirmed = allConfirmed(publisher, count, look);
  for (let first = 0; first < count; first += 500) {
    const batch = { first, count: Math.min(500, count - first), size };
    await publisher.sendPaced(numberedMessages(1, { routingKey: queue }, batch));
  }
  await confirmed;
}

/** Confirms may name several messages: waits for the one that covers the last. */
async function allConfirmed(publisher: EmbedClient, count: number, look: () => void): Promise<void> {
  for (let confirmed = 0; confirmed < count; ) {
    const args = await publisher.expect(1, 60, 80);
    look();
    confirmed = Math.max(confirmed, Number(args.readBigUInt64BE(0)));
  }
}

async function openPublisher(t: Test, broker: Broker): Promise<EmbedClient> {
  const publisher = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await publisher.call(1, 85, 11, confirmSelect(1));
  return publisher;
}

const cases = [
  { mode: 'no-ack', consume: basicConsume, count: 40_000, size: 1_000 },
  { mode: 'acknowledging', consume: ackConsume, count: 40_000, size: 1_000 },
  { mode: 'no-ack, with large messages', consume: basicConsume, count: 400, size: 100_000 },
];

for (const { mode, consume, count, size } of cases) {
  t.test(`a consumer that stops reading, ${mode}`, async (t) => {
    const broker = await startBroker(t);
    const { client: stuck, waitingBytes } = await connectObserved(t, broker.port);
    const publisher = await openPublisher(t, broker);
    const observer = await (await EmbedClient.connect(t, broker.port)).openChannel();
    await stuck.openChannel();
    await stuck.call(1, 50, 11, sharedQueueDeclare(1, 'backlog'));
    await stuck.call(1, 60, 21, consume(1, 'backlog'));
    const inbox = new NumberedInbox();
    stuck.onMessage = inbox.take;
    stuck.stream.pause();

    let mostWaiting = 0;
    await publishAll(publisher, 'backlog', { count, size }, () => {
      mostWaiting = Math.max(mostWaiting, waitingBytes());
    });

    await t.test('has its messages in the queue, and a bounded part of them on their way', async (t) => {
      const ready = messageCountOf(await observer.call(1, 50, 11, passiveDeclare(1, 'backlog')));
      t.ok(ready > count / 4, `${ready} of ${count} are in the queue`);
      t.ok(mostWaiting <= MOST_WAITING_BYTES, `${mostWaiting} bytes wait in the broker`);
      t.ok(broker.memoryUsedBytes >= ready * size, 'what is in the queue counts as used memory');
    });

    await t.test('holds up nobody else', async (t) => {
      const others = new NumberedInbox();
      const consumer = await (await EmbedClient.connect(t, broker.port)).openChannel();
      consumer.onMessage = others.take;
      await consumer.call(1, 50, 11, sharedQueueDeclare(1, 'lively'));
      await consumer.call(1, 60, 21, basicConsume(1, 'lively'));
      const lively = await openPublisher(t, broker);
      await publishAll(lively, 'lively', { count: 20_000, size: 1_000 });
      await others.count(20_000);
      t.same(others.misplaced, []);
      t.ok(waitingBytes() <= MOST_WAITING_BYTES);
      t.equal(inbox.received, 0, 'while the consumer still reads nothing');
    });

    await t.test('gets everything in order, each message once, when it reads again', async (t) => {
      stuck.stream.resume();
      await inbox.count(count);
      const ready = messageCountOf(await observer.call(1, 50, 11, passiveDeclare(1, 'backlog')));
      t.equal(ready, 0);
      t.equal(inbox.received, count);
      t.same(inbox.misplaced, []);
      if (consume === ackConsume) {
        t.ok(broker.memoryUsedBytes >= count * size, 'until it acknowledges');
        stuck.send(basicAck(1, count, true));
      }
      await stuck.openChannel(2);
      t.equal(broker.memoryUsedBytes, 0);
    });
  });
}

t.test('what a consumer that stopped reading had not acknowledged goes to another when it goes away', async (t) => {
  const broker = await startBroker(t);
  const { client: stuck } = await connectObserved(t, broker.port);
  await stuck.openChannel();
  await stuck.call(1, 50, 11, sharedQueueDeclare(1, 'inherited'));
  await stuck.call(1, 60, 21, ackConsume(1, 'inherited'));
  stuck.stream.pause();
  const publisher = await openPublisher(t, broker);
  await publishAll(publisher, 'inherited', { count: 10_000, size: 1_000 });

  const heir = await (await EmbedClient.connect(t, broker.port)).openChannel();
  const inbox = new NumberedInbox();
  heir.onMessage = inbox.take;
  stuck.stream.destroy();
  await stuck.closed;
  await turnsUntil(() => broker.connectionCount === 2);
  await heir.call(1, 60, 21, basicConsume(1, 'inherited'));
  await inbox.count(10_000);
  t.same(inbox.misplaced, [], 'in their original order');
  await heir.openChannel(2);
  t.equal(broker.memoryUsedBytes, 0);
});

t.test('of two consumers of a queue, the one that reads gets what the other does not take', async (t) => {
  const broker = await startBroker(t);
  const { client: stuck, waitingBytes } = await connectObserved(t, broker.port);
  const reading = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await stuck.openChannel();
  await reading.call(1, 50, 11, sharedQueueDeclare(1, 'shared'));
  let [taken, late] = [0, 0];
  const count = 40_000;
  let allTaken: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    allTaken = resolve;
  });
  const counted = (): void => {
    if (taken + late === count) allTaken();
  };
  reading.onMessage = () => {
    taken++;
    counted();
  };
  stuck.onMessage = () => {
    late++;
    counted();
  };
  await stuck.call(1, 60, 21, basicConsume(1, 'shared'));
  await reading.call(1, 60, 21, basicConsume(1, 'shared'));
  stuck.stream.pause();
  const publisher = await openPublisher(t, broker);
  await publishAll(publisher, 'shared', { count, size: 1_000 });
  // Emptied into the outputs of the two: what the reading one was given comes before the answer to its next method.
  while (messageCountOf(await publisher.call(1, 50, 11, passiveDeclare(1, 'shared'))) > 0);
  await reading.openChannel(2);
  t.ok(taken > count / 2, `${taken} of ${count} went to the one that reads`);
  t.ok(waitingBytes() <= MOST_WAITING_BYTES);
  stuck.stream.resume();
  await all;
  t.equal(taken + late, count, 'the rest is what was on its way to the other');
});
