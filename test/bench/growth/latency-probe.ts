// Forked by fairness.ts with a URL, messages a second and seconds: exchanges small messages with itself at that rate and tells
// its parent how long each was on its way. A process of its own, so that no load delays its clock.

import { prefer } from '../broker-process.ts';
import { BenchClient, publishBytes } from '../client.ts';
import { quantile } from './report.ts';

const BODY_BYTES = 100;
const TICK_MS = 1;
const PATIENCE_MS = 20_000;

export interface Latency {
  readonly messages: number;
  readonly lost: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
  /** How late its own timer was, beyond the tick: what the machine itself adds. */
  readonly ownP99: number;
}

const [url, rate, seconds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
prefer();
const publisher = await BenchClient.connect(url);
const consumer = await BenchClient.connect(url);
const queue = await consumer.declareQueue();
const publish = publishBytes('', queue, BODY_BYTES);
const bodyAt = publish.length - 1 - BODY_BYTES;
const latencies: number[] = [];
consumer.onBodyPart = (buffer, start) => {
  latencies.push(performance.now() - buffer.readDoubleBE(start));
};
await consumer.consume(queue, true);

const late: number[] = [];
const startedAt = performance.now();
let sent = 0;
let lastTick = startedAt;
const sentAll = new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    const now = performance.now();
    late.push(now - lastTick - TICK_MS);
    lastTick = now;
    for (const due = Math.min((now - startedAt) / 1000, seconds) * rate; sent < due; sent++) {
      const bytes = Buffer.from(publish);
      bytes.writeDoubleBE(performance.now(), bodyAt);
      publisher.writeNow(bytes);
    }
    if (now - startedAt < seconds * 1000) return;
    clearInterval(timer);
    resolve();
  }, TICK_MS);
});
await sentAll;
for (const giveUpAt = performance.now() + PATIENCE_MS; latencies.length < sent && performance.now() < giveUpAt; ) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const latency: Latency = {
  messages: sent,
  lost: sent - latencies.length,
  p50: quantile(latencies, 0.5),
  p99: quantile(latencies, 0.99),
  most: quantile(latencies, 1),
  ownP99: quantile(late, 0.99),
};
process.send?.(latency, () => process.exit(0));
