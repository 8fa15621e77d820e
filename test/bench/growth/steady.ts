// Whether memory stays flat under a load that does not change, and how long garbage collections stop the broker.
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerProcess } from '../broker-process.ts';
import { publishBytes } from '../client.ts';
import { connectTo, DeliveryCount, declareQueue, publishAtLeast, publishCycle } from './load.ts';
import { atMost, count, type Group, megabytes, percent, quantile, type Report } from './report.ts';

const SAMPLE_MS = 1000;
/** Of the time: until then code is compiled and the heap finds its size. */
const WARM_UP_SHARE = 0.1;
const MOST_RISE = 0.05;
const MOST_P99_MS = 10;
const TICK_MS = 2;

interface Load {
  readonly name: string;
  readonly bodyBytes: number;
  readonly persistent: boolean;
  /** Messages a second; null for as many as go. */
  readonly rate: number | null;
  readonly ackEvery: number;
  readonly prefetch: number;
}

const LOADS: readonly Load[] = [
  {
    name: '20,000 messages/s of 1 KB, persistent, each acknowledged',
    bodyBytes: 1024,
    persistent: true,
    rate: 20_000,
    ackEvery: 1,
    prefetch: 500,
  },
  {
    name: 'full speed, 12 B, transient, auto-ack',
    bodyBytes: 12,
    persistent: false,
    rate: null,
    ackEvery: 0,
    prefetch: 0,
  },
];

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Resident bytes once a second, until the returned function is called. */
function sampleRss(broker: BrokerProcess): () => number[] {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(broker.rssBytes()), SAMPLE_MS);
  return () => {
    clearInterval(timer);
    return samples;
  };
}

async function measure(report: Report, load: Load, minutes: number): Promise<void> {
  await using broker = await BrokerProcess.start({ inside: 'pauses', preferred: true });
  const publisher = await connectTo(broker);
  const consumer = await connectTo(broker);
  const deliveries = new DeliveryCount(consumer, load.ackEvery);
  await declareQueue(publisher, 'steady', true);
  await consumer.consume('steady', load.ackEvery === 0, load.prefetch);
  const publish = publishBytes('', 'steady', load.bodyBytes, load.persistent ? { deliveryMode: 2 } : {});
  const cycle = publishCycle([publish]);
  const paced = Buffer.concat(Array.from({ length: ((load.rate ?? 0) * TICK_MS) / 1000 }, () => publish));

  /** Publishes for so long; returns how many. */
  const run = async (milliseconds: number): Promise<number> => {
    const startedAt = performance.now();
    let published = 0;
    for (;;) {
      const elapsed = performance.now() - startedAt;
      if (elapsed >= milliseconds) return published;
      if (load.rate === null) {
        published += await publishAtLeast(publisher, cycle, 1);
      } else {
        // What the timer was late for is made up for.
        for (const due = (elapsed * load.rate) / 1000; published < due; ) {
          await publisher.write(paced);
          published += paced.length / publish.length;
        }
        await sleep(TICK_MS);
      }
    }
  };

  const total = minutes * 60_000;
  let published = await run(total * WARM_UP_SHARE);
  await broker.lookInside();
  const samplesUntilNow = sampleRss(broker);
  const [cpuBefore, waitedBefore] = [broker.cpuSeconds(), broker.waitedSeconds()];
  const startedAt = performance.now();
  const inTime = await run(total);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = broker.cpuSeconds() - cpuBefore;
  const waited = broker.waitedSeconds() - waitedBefore;
  const samples = samplesUntilNow();
  published += inTime;
  const { pauses } = await broker.lookInside();
  await deliveries.reached(published);

  // Collections of the whole heap are some 40 s apart, and memory rises between them: each quarter of ten minutes has several.
  const half = samples.slice(samples.length >> 1);
  const [third, fourth] = [half.slice(0, half.length >> 1), half.slice(half.length >> 1)].map(mean);
  const rise = fourth / third - 1;
  const bounds = `${megabytes(Math.min(...half))} to ${megabytes(Math.max(...half))}`;
  const speed = `${count(Math.round(inTime / seconds))} messages/s, ${((cpu / seconds) * 100).toFixed(0)} % CPU`;
  report(
    `memory, ${load.name}, ${count(minutes)} min`,
    `${megabytes(third)} in the third quarter of the time, ${megabytes(fourth)} in the fourth (${percent(rise)}), within ${bounds}; ${speed}; all delivered`,
    { text: `${percent(MOST_RISE)} at most`, met: rise <= MOST_RISE },
  );
  const times = pauses.map(([, milliseconds]) => milliseconds);
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => quantile(times, share));
  const kinds = [...new Set(pauses.map(([kind]) => kind))].map((kind) => {
    const those = pauses.filter((pause) => pause[0] === kind).map(([, milliseconds]) => milliseconds);
    return `${count(those.length)} ${kind} up to ${quantile(those, 1).toFixed(1)} ms`;
  });
  const share = ((times.reduce((sum, each) => sum + each, 0) / (seconds * 1000)) * 100).toFixed(1);
  report(
    `garbage collections, ${load.name}`,
    `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, most ${most.toFixed(2)} ms; ${share} % of the time; ${kinds.join(', ')}; the machine let the broker wait for a core ${((waited / seconds) * 100).toFixed(1)} % of the time`,
    atMost(p99, MOST_P99_MS, 'ms at p99'),
  );
}

export const steady: Group = async (report, { quick, minutes }) => {
  for (const load of LOADS) await measure(report, load, quick ? Math.min(minutes, 0.3) : minutes);
};
