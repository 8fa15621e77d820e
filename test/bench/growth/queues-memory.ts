// What queues and bindings cost in memory, and whether a hundred thousand queues work. Memory is what the broker's resident memory
// grew by once it no longer moves, for each; beside it, what is left of that after a full garbage collection.
import { encodeMethodFrame } from '../../../codec/frame-writer.ts';
import * as methods from '../../../codec/generated/methods.ts';
import { BrokerProcess, type InsideReport } from '../broker-process.ts';
import { type BenchClient, publishBytes } from '../client.ts';
import {
  bindFrame,
  connectTo,
  consumeFrame,
  DeliveryCount,
  declareExchange,
  declareFrame,
  declareQueue,
  messagesIn,
  numbered,
  sendAll,
} from './load.ts';
import { atMost, count, type Group, kilobytes, type Report } from './report.ts';

const WARM_UP = 2000;
const SAMPLE = 1000;
const ANSWERED = 500;
const BOUND_QUEUES = 100;

function numbers(total: number): number[] {
  return Array.from({ length: total }, (_, i) => i);
}

interface Growth {
  readonly rss: number;
  /** In words. */
  readonly collected: string;
}

/** What memory grew by since `before`, divided by `total`. */
async function growth(
  broker: BrokerProcess,
  { memory: before }: InsideReport,
  total: number,
  inUnit: (bytes: number) => string,
): Promise<Growth> {
  const rss = ((await broker.settledRss()) - before.rss) / total;
  const { memory } = await broker.lookInside();
  const left = inUnit((memory.rss - before.rss) / total);
  const heap = inUnit((memory.heapUsed - before.heapUsed) / total);
  return { rss, collected: `${inUnit(rss)} of RSS (after a collection RSS ${left}, heap ${heap})` };
}

/** Publishes to some of the queues and consumes from them; returns how many of these messages arrived. */
async function tryOut(broker: BrokerProcess, client: BenchClient, total: number): Promise<number> {
  const names = numbers(SAMPLE).map((i) => numbered('queue', Math.floor((i * total) / SAMPLE)));
  await sendAll(
    client,
    names.map((name) => publishBytes('', name, 100)),
  );
  const depths = await messagesIn(client, names[0]);
  if (depths !== 1) throw new Error(`${depths} messages in a queue that got one`);
  const consumer = await connectTo(broker);
  const deliveries = new DeliveryCount(consumer);
  const all = deliveries.reached(SAMPLE);
  await sendAll(consumer, names.map(consumeFrame));
  await all;
  await consumer.close();
  return deliveries.received;
}

async function ofQueues(report: Report, total: number, durable: boolean): Promise<void> {
  await using broker = await BrokerProcess.start({ inside: 'collect' });
  const client = await connectTo(broker);
  const warmUp = numbers(WARM_UP).map((i) => numbered('warm', i));
  await sendAll(
    client,
    warmUp.map((name) => declareFrame(name, { durable })),
  );
  const flags = { ifUnused: false, ifEmpty: false, noWait: true };
  await sendAll(
    client,
    warmUp.map((queue) => encodeMethodFrame(1, { id: methods.QUEUE_DELETE, queue, ...flags })),
  );
  await broker.settledRss();
  const before = await broker.lookInside();
  let startedAt = performance.now();
  await sendAll(
    client,
    numbers(total).map((i) => declareFrame(numbered('queue', i), { durable })),
  );
  const rate = Math.round((total * 1000) / (performance.now() - startedAt));
  const kind = durable ? 'durable' : 'transient';
  const { rss, collected } = await growth(broker, before, total, kilobytes);
  report(`memory of an idle queue, ${count(total)} ${kind} ones`, collected, atMost(rss / 1024, 3, 'KB'));
  startedAt = performance.now();
  for (let i = 0; i < ANSWERED; i++) await declareQueue(client, numbered('more', i), durable);
  const answered = Math.round((ANSWERED * 1000) / (performance.now() - startedAt));
  const arrived = await tryOut(broker, client, total);
  report(
    `${count(total)} ${kind} queues work`,
    `declared at ${count(rate)}/s (each answered before the next: ${count(answered)}/s); ${count(arrived)} of ${count(SAMPLE)} messages to ${count(SAMPLE)} of them arrived`,
    { text: 'all', met: arrived === SAMPLE },
  );
}

const KEYS: Readonly<Record<string, (i: number) => string>> = {
  direct: (i) => numbered('item', i),
  topic: (i) => `${numbered('a', i % 100)}.${numbered('b', i)}.*`,
};

async function ofBindings(report: Report, total: number, type: string, durable: boolean): Promise<void> {
  await using broker = await BrokerProcess.start({ inside: 'collect' });
  const client = await connectTo(broker);
  const names = numbers(BOUND_QUEUES).map((i) => numbered('queue', i));
  await sendAll(
    client,
    names.map((name) => declareFrame(name, { durable })),
  );
  await declareExchange(client, 'warm', type);
  await declareExchange(client, 'bound', type);
  const bind = (exchange: string, i: number): Buffer => bindFrame(names[i % BOUND_QUEUES], exchange, KEYS[type](i));
  await sendAll(
    client,
    numbers(WARM_UP).map((i) => bind('warm', i)),
  );
  const remove = { id: methods.EXCHANGE_DELETE, exchange: 'warm', ifUnused: false, noWait: true } as const;
  await sendAll(client, [encodeMethodFrame(1, remove)]);
  await broker.settledRss();
  const before = await broker.lookInside();
  const startedAt = performance.now();
  await sendAll(
    client,
    numbers(total).map((i) => bind('bound', i)),
  );
  const rate = Math.round((total * 1000) / (performance.now() - startedAt));
  const { rss, collected } = await growth(broker, before, total, (bytes) => `${bytes.toFixed(0)} B`);
  report(
    `memory of a ${type} binding, ${count(total)} of ${durable ? 'durable' : 'transient'} queues, ${KEYS[type](0).length} B keys`,
    `${collected}, bound at ${count(rate)}/s`,
    atMost(rss, 300, 'B'),
  );
}

export const queuesMemory: Group = async (report, { quick }) => {
  const total = quick ? 20_000 : 100_000;
  for (const durable of [false, true]) await ofQueues(report, total, durable);
  for (const [type, durable] of [
    ['direct', false],
    ['topic', false],
    ['direct', true],
    ['topic', true],
  ] as const) {
    await ofBindings(report, 2 * total, type, durable);
  }
};
