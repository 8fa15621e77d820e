// Backlogs that meet on one connection: each queue, channel and consumer gets its share of what goes out.
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import {
  ackConsume,
  EmbedClient,
  numberedMessages,
  type Received,
  sharedQueueDeclare,
  turnsUntil,
} from '../helper/embed-client.ts';
import { basicAck, basicConsume, basicQos } from '../helper/wire-bytes.ts';

const COUNT = 50_000;
const SIZE = 100;

/** A broker with so many queues, `backlog-0` and so on, of COUNT numbered messages each. The number's first digit is the queue. */
async function startWithBacklogs(t: Test, queues: number): Promise<Broker> {
  const broker = await createBroker({ port: 0, memoryLimitBytes: '2GiB' });
  t.teardown(() => broker.close());
  const publisher = await (await EmbedClient.connect(t, broker.port)).openChannel();
  for (let queue = 0; queue < queues; queue++) {
    const routingKey = `backlog-${queue}`;
    await publisher.call(1, 50, 11, sharedQueueDeclare(1, routingKey));
    await publisher.sendPaced(
      numberedMessages(1, { routingKey }, { first: queue * 1_000_000, count: COUNT, size: SIZE }),
    );
  }
  await publisher.close();
  return broker;
}

/** Counts what comes from each backlog, and checks their order. */
class Shares {
  readonly received: number[];
  readonly misplaced: number[] = [];
  /** How often the next message came from another backlog than the one before. */
  switches = 0;
  /** What each had received when the first of them was complete. */
  whenFirstEnded: number[] | undefined;
  #last = -1;

  constructor(queues: number) {
    this.received = Array(queues).fill(0);
  }

  readonly take = ({ body }: Received): void => {
    const number = body.readUInt32BE(0);
    const queue = Math.floor(number / 1_000_000);
    if (number % 1_000_000 !== this.received[queue]) this.misplaced.push(number);
    if (queue !== this.#last) this.switches++;
    this.#last = queue;
    if (++this.received[queue] === COUNT) this.whenFirstEnded ??= [...this.received];
  };

  get complete(): boolean {
    return this.received.every((count) => count === COUNT);
  }

  check(t: Test): void {
    t.same(this.misplaced, [], 'each backlog in order, each message once');
    t.ok(this.switches >= 10, `they take turns: ${this.switches} times`);
    for (const count of this.whenFirstEnded ?? []) {
      t.ok(count > COUNT / 4, `none starves: ${this.whenFirstEnded} when the first was complete`);
    }
  }
}

for (const { title, channels } of [
  { title: 'two queues with a consumer each on one channel', channels: [1, 1] },
  { title: 'two queues with a consumer each on channels of their own', channels: [1, 2] },
  { title: 'five queues on three channels', channels: [1, 1, 2, 2, 3] },
]) {
  t.test(`${title} are delivered side by side`, async (t) => {
    const broker = await startWithBacklogs(t, channels.length);
    const consumer = await EmbedClient.connect(t, broker.port);
    for (const channel of new Set(channels)) await consumer.openChannel(channel);
    const shares = new Shares(channels.length);
    consumer.onMessage = shares.take;
    // All at once, as a client that starts up does.
    consumer.send(...channels.map((channel, queue) => basicConsume(channel, `backlog-${queue}`)));
    await turnsUntil(() => shares.complete);
    shares.check(t);
    t.equal(broker.memoryUsedBytes, 0);
  });
}

t.test('queues with acknowledging consumers and a prefetch limit are delivered side by side', async (t) => {
  const broker = await startWithBacklogs(t, 2);
  const consumer = await (await EmbedClient.connect(t, broker.port)).openChannel();
  const shares = new Shares(2);
  consumer.onMessage = (message) => {
    shares.take(message);
    if (message.deliveryTag % 50 === 0) consumer.send(basicAck(1, message.deliveryTag, true));
  };
  consumer.send(basicQos(1, 0, 100), ackConsume(1, 'backlog-0', 'a'), ackConsume(1, 'backlog-1', 'b'));
  await turnsUntil(() => shares.complete);
  shares.check(t);
});

t.test('a consumer with a backlog does not keep a new one on its connection waiting', async (t) => {
  const broker = await startWithBacklogs(t, 1);
  const consumer = await (await EmbedClient.connect(t, broker.port)).openChannel();
  let fromBacklog = 0;
  const probe = new Promise<number>((resolve) => {
    consumer.onMessage = ({ body }) => {
      if (body.length === SIZE) fromBacklog++;
      else resolve(fromBacklog);
    };
  });
  await consumer.openChannel(2);
  await consumer.call(2, 50, 11, sharedQueueDeclare(2, 'probe'));
  await consumer.call(2, 60, 21, basicConsume(2, 'probe'));
  consumer.send(basicConsume(1, 'backlog-0'), numberedMessages(2, { routingKey: 'probe' }, { count: 1, size: 4 }));
  const before = await probe;
  t.ok(before < COUNT / 2, `${before} of ${COUNT} messages of the backlog came first`);
});

t.test('connections with backlogs are served side by side', async (t) => {
  const broker = await startWithBacklogs(t, 2);
  const shares = new Shares(2);
  for (let queue = 0; queue < 2; queue++) {
    const consumer = await (await EmbedClient.connect(t, broker.port)).openChannel();
    consumer.onMessage = shares.take;
    consumer.send(basicConsume(1, `backlog-${queue}`));
  }
  await turnsUntil(() => shares.complete);
  shares.check(t);
});
