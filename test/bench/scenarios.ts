// What is measured: each scenario moves so many messages and returns how many a second. Every message is counted.

import { emptyFieldTable } from '../../codec/field-table.ts';
import {
  CONFIRM_SELECT,
  CONFIRM_SELECT_OK,
  EXCHANGE_DECLARE,
  EXCHANGE_DECLARE_OK,
  QUEUE_BIND,
  QUEUE_BIND_OK,
} from '../../codec/generated/methods.ts';
import { BenchClient, publishBytes } from './client.ts';

export interface Scenario {
  readonly name: string;
  readonly unit: string;
  run(url: string): Promise<number>;
}

interface Flow {
  readonly messages: number;
  readonly bodySize: number;
  /** 0: auto-ack. Otherwise an acknowledgement (multiple) after so many messages. */
  readonly ackEvery: number;
  readonly prefetch: number;
}

/** A promise that is kept after `count` calls of `hit`. */
function countdown(count: number): { hit(): number; readonly done: Promise<void> } {
  let left = count;
  let resolve = (): void => {};
  const done = new Promise<void>((keep) => {
    resolve = keep;
  });
  return {
    done,
    hit: () => {
      left--;
      if (left === 0) resolve();
      return left;
    },
  };
}

function perSecond(count: number, startedAt: number): number {
  return (count * 1000) / (performance.now() - startedAt);
}

/** Writes one publish again and again, in pieces of about 64 KiB. */
async function publishAll(client: BenchClient, publish: Buffer, count: number): Promise<void> {
  const batch = Math.max(1, Math.floor(65_536 / publish.length));
  const bytes = Buffer.concat(Array.from({ length: Math.min(batch, count) }, () => publish));
  for (let left = count; left > 0; left -= batch) {
    await client.write(left >= batch ? bytes : bytes.subarray(0, left * publish.length));
  }
}

async function startConsumer(
  url: string,
  queue: string,
  flow: Flow,
): Promise<{ client: BenchClient; done: Promise<void> }> {
  const client = await BenchClient.connect(url);
  const { hit, done } = countdown(flow.messages);
  client.onDelivery = (tag) => {
    const left = hit();
    if (flow.ackEvery > 0 && (left === 0 || left % flow.ackEvery === 0)) client.acknowledge(tag, true);
  };
  await client.consume(queue, flow.ackEvery === 0, flow.prefetch);
  return { client, done };
}

async function oneToOne(url: string, flow: Flow): Promise<number> {
  const publisher = await BenchClient.connect(url);
  const queue = await publisher.declareQueue();
  const consumer = await startConsumer(url, queue, flow);
  const startedAt = performance.now();
  await publishAll(publisher, publishBytes('', queue, flow.bodySize), flow.messages);
  await consumer.done;
  const rate = perSecond(flow.messages, startedAt);
  await Promise.all([publisher.close(), consumer.client.close()]);
  return rate;
}

async function fanout(url: string, queues: number, flow: Flow): Promise<number> {
  const publisher = await BenchClient.connect(url);
  const exchange = `bench-${process.pid}`;
  const flags = { passive: false, durable: false, autoDelete: true, internal: false, noWait: false };
  const declare = { id: EXCHANGE_DECLARE, exchange, type: 'fanout', ...flags, arguments: emptyFieldTable } as const;
  await publisher.call(declare, EXCHANGE_DECLARE_OK);
  const consumers = [];
  for (let i = 0; i < queues; i++) {
    const queue = await publisher.declareQueue();
    const bind = {
      id: QUEUE_BIND,
      queue,
      exchange,
      routingKey: '',
      noWait: false,
      arguments: emptyFieldTable,
    } as const;
    await publisher.call(bind, QUEUE_BIND_OK);
    consumers.push(await startConsumer(url, queue, flow));
  }
  const startedAt = performance.now();
  await publishAll(publisher, publishBytes(exchange, '', flow.bodySize), flow.messages);
  await Promise.all(consumers.map(({ done }) => done));
  const rate = perSecond(flow.messages * queues, startedAt);
  await Promise.all([publisher.close(), ...consumers.map(({ client }) => client.close())]);
  return rate;
}

/** Publishes with at most `window` unconfirmed messages. */
async function confirmed(url: string, window: number, flow: Flow): Promise<number> {
  const publisher = await BenchClient.connect(url);
  const queue = await publisher.declareQueue();
  const consumer = await startConsumer(url, queue, flow);
  await publisher.call({ id: CONFIRM_SELECT, noWait: false }, CONFIRM_SELECT_OK);
  const publish = publishBytes('', queue, flow.bodySize);
  const batch = Buffer.concat(Array.from({ length: window / 2 }, () => publish));
  let confirmedUpTo = 0;
  let wake = (): void => {};
  publisher.onConfirm = (tag, multiple) => {
    confirmedUpTo = multiple ? tag : Math.max(confirmedUpTo + 1, tag);
    wake();
  };
  const startedAt = performance.now();
  for (let sent = 0; sent < flow.messages; sent += window / 2) {
    while (sent + window / 2 - confirmedUpTo > window) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    await publisher.write(batch);
  }
  await consumer.done;
  const rate = perSecond(flow.messages, startedAt);
  await Promise.all([publisher.close(), consumer.client.close()]);
  return rate;
}

/** One message at a time there and back, each waiting for the one before. */
async function pingPong(url: string, roundTrips: number): Promise<number> {
  const [ping, pong] = [await BenchClient.connect(url), await BenchClient.connect(url)];
  const [there, back] = [await ping.declareQueue(), await pong.declareQueue()];
  const [outward, homeward] = [publishBytes('', there, 100), publishBytes('', back, 100)];
  const { hit, done } = countdown(roundTrips);
  pong.onDelivery = () => void pong.write(homeward);
  ping.onDelivery = () => {
    if (hit() > 0) void ping.write(outward);
  };
  await pong.consume(there, true);
  await ping.consume(back, true);
  const startedAt = performance.now();
  await ping.write(outward);
  await done;
  const rate = perSecond(roundTrips, startedAt);
  await Promise.all([ping.close(), pong.close()]);
  return rate;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: '1 publisher, 1 consumer, 12 B, auto-ack',
    unit: 'messages/s',
    run: (url) => oneToOne(url, { messages: 600_000, bodySize: 12, ackEvery: 0, prefetch: 0 }),
  },
  {
    name: '1 KB, prefetch 500, an ack every 50',
    unit: 'messages/s',
    run: (url) => oneToOne(url, { messages: 200_000, bodySize: 1000, ackEvery: 50, prefetch: 500 }),
  },
  {
    name: '100 B, prefetch 200, an ack for each',
    unit: 'messages/s',
    run: (url) => oneToOne(url, { messages: 200_000, bodySize: 100, ackEvery: 1, prefetch: 200 }),
  },
  {
    name: '100 B, fanout to 8 queues',
    unit: 'deliveries/s',
    run: (url) => fanout(url, 8, { messages: 50_000, bodySize: 100, ackEvery: 0, prefetch: 0 }),
  },
  {
    name: '1 KB, confirms, window 1000',
    unit: 'messages/s',
    run: (url) => confirmed(url, 1000, { messages: 100_000, bodySize: 1000, ackEvery: 50, prefetch: 500 }),
  },
  {
    name: '1 MB bodies, auto-ack',
    unit: 'messages/s',
    run: (url) => oneToOne(url, { messages: 500, bodySize: 1_000_000, ackEvery: 0, prefetch: 0 }),
  },
  { name: '100 B, one at a time there and back', unit: 'round trips/s', run: (url) => pingPong(url, 20_000) },
];
