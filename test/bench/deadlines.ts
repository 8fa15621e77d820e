// `npx tsx test/bench/deadlines.ts [messages] [url]`: how late messages leave that expire, and messages that were delayed, when
// there are many of them with random times between 1 and 60 seconds. Starts the built command with a data folder unless it is given a
// broker. Prints, for each of the two, how late they came (p50, p99, most) of all and of those that were due when all were published,
// the memory of the broker and its CPU seconds.
import { emptyFieldTable, type FieldTable, type FieldValue } from '../../codec/field-table.ts';
import { encodeContentFrames, encodeMethodFrame } from '../../codec/frame-writer.ts';
import * as methods from '../../codec/generated/methods.ts';
import { encodeProperties } from '../../codec/properties.ts';
import { BrokerProcess } from './broker-process.ts';
import { BenchClient } from './client.ts';

const BODY_BYTES = 100;
const BATCH = 500;
const WINDOW = 1000;
const LEAST_MS = 1000;
const MOST_MS = 60_000;
/** Behind the last publish, until the broker has read it all. */
const SETTLE_MS = 2000;
const FLAGS = { passive: false, durable: true, exclusive: false, autoDelete: false, noWait: false };

/**
 * Turns confirms on. The function that it returns waits until all but `WINDOW` of so many messages are confirmed: the broker counts from when it has a
 * message, so they must not wait for long on their way.
 */
async function openWindow(publisher: BenchClient): Promise<(sent: number) => Promise<void>> {
  let confirmed = 0;
  let wake = (): void => {};
  publisher.onConfirm = (tag) => {
    confirmed = Math.max(confirmed, tag);
    wake();
  };
  await publisher.call({ id: methods.CONFIRM_SELECT, noWait: false }, methods.CONFIRM_SELECT_OK);
  return async (sent) => {
    while (sent - confirmed > WINDOW) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

function percentiles(lateness: Float64Array): string {
  lateness.sort();
  const at = (share: number): string =>
    lateness[Math.min(lateness.length - 1, Math.floor(lateness.length * share))].toFixed(0);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`;
}

function table(fields: Record<string, FieldValue>): FieldTable {
  return new Map(Object.entries(fields));
}

/** One publish, with the time at which it is due in its body. */
function publish(exchange: string, routingKey: string, waitMs: number, delayed: boolean): Buffer {
  const method = { id: methods.BASIC_PUBLISH, exchange, routingKey, mandatory: false, immediate: false } as const;
  const body = Buffer.alloc(BODY_BYTES, 'x');
  body.writeDoubleBE(Date.now() + waitMs, 0);
  const wait = delayed ? { headers: table({ 'x-delay': { type: 'I', value: waitMs } }) } : { expiration: `${waitMs}` };
  const properties = encodeProperties({ deliveryMode: 2, ...wait });
  return Buffer.concat([encodeMethodFrame(1, method), encodeContentFrames(1, properties, body, 131_072)]);
}

/** @param server the broker's process, where it is ours */
async function run(name: string, delayed: boolean, count: number, url: string, server?: BrokerProcess): Promise<void> {
  const suffix = `${name}-${process.pid}`;
  const consumer = await BenchClient.connect(url);
  const publisher = await BenchClient.connect(url);
  const target = `target-${suffix}`;
  const declared = methods.QUEUE_DECLARE_OK;
  await consumer.call({ id: methods.QUEUE_DECLARE, queue: target, ...FLAGS, arguments: emptyFieldTable }, declared);
  const exchange = delayed ? `delayed-${suffix}` : '';
  const key = delayed ? target : `held-${suffix}`;
  if (delayed) {
    const args = table({ 'x-delayed-type': { type: 'S', value: 'direct' } });
    const exchangeFlags = { ...FLAGS, internal: false, type: 'x-delayed-message', arguments: args };
    await publisher.call({ id: methods.EXCHANGE_DECLARE, exchange, ...exchangeFlags }, methods.EXCHANGE_DECLARE_OK);
    const bind = { queue: target, exchange, routingKey: target, noWait: false, arguments: emptyFieldTable };
    await publisher.call({ id: methods.QUEUE_BIND, ...bind }, methods.QUEUE_BIND_OK);
  } else {
    const args = table({
      'x-dead-letter-exchange': { type: 'S', value: '' },
      'x-dead-letter-routing-key': { type: 'S', value: target },
    });
    await publisher.call({ id: methods.QUEUE_DECLARE, queue: key, ...FLAGS, arguments: args }, declared);
  }
  const lateness = new Float64Array(count);
  const held: number[] = [];
  let publishedAt = Number.POSITIVE_INFINITY;
  let arrived = 0;
  let early = 0;
  let resolve = (): void => {};
  const all = new Promise<void>((keep) => {
    resolve = keep;
  });
  consumer.onBodyPart = (buffer, start) => {
    const due = buffer.readDoubleBE(start);
    const late = Date.now() - due;
    if (due > publishedAt) held.push(late);
    // The broker counts from when it got the message, which is a little later than our clock said.
    if (late < 0) early++;
    lateness[arrived++] = late;
    if (arrived === count) resolve();
  };
  await consumer.consume(target, true);
  const cpuBefore = server?.cpuSeconds() ?? Number.NaN;
  const startedAt = performance.now();
  const mostRss = server?.watchRss();
  const window = await openWindow(publisher);
  for (let sent = 0; sent < count; ) {
    await window(sent);
    const batch: Buffer[] = [];
    for (let i = 0; i < BATCH && sent < count; i++, sent++) {
      batch.push(publish(exchange, key, Math.round(LEAST_MS + Math.random() * (MOST_MS - LEAST_MS)), delayed));
    }
    await publisher.write(Buffer.concat(batch));
  }
  const publishedS = (performance.now() - startedAt) / 1000;
  publishedAt = Date.now() + SETTLE_MS;
  const arrivedMeanwhile = arrived;
  await all;
  const rssMb = (mostRss?.() ?? Number.NaN) / 1024 / 1024;
  const cpuS = (server?.cpuSeconds() ?? Number.NaN) - cpuBefore;
  console.log(
    `${name}: ${count} messages, published in ${publishedS.toFixed(1)} s (${arrivedMeanwhile} came meanwhile); ` +
      `late: all ${percentiles(lateness)}; ${held.length} that were due later ${percentiles(Float64Array.from(held))}; ` +
      `${early} early; RSS at most ${rssMb.toFixed(0)} MB, CPU ${cpuS.toFixed(1)} s`,
  );
  await Promise.all([publisher.close(), consumer.close()]);
}

const count = Number(process.argv[2] ?? 1_000_000);
const given = process.argv[3];
const leveret = given === undefined ? await BrokerProcess.start() : undefined;
const url = leveret?.url ?? given;
await run('expire', false, count, url, leveret);
await run('delay', true, count, url, leveret);
await leveret?.stop();
