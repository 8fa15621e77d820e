// Whether clients that exchange a few messages notice those that don't read, or that publish as fast as they can.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerProcess } from '../broker-process.ts';
import { DISTURBANCES } from './disturbances.ts';
import { forkScript } from './fork-script.ts';
import type { Latency } from './latency-probe.ts';
import { count, type Group, megabytes, type Report } from './report.ts';

const RATE = 5000;
const BUSY_MS = 1000;
const MOST_P99_MS = 3;

async function measure(report: Report, disturbance: keyof typeof DISTURBANCES | null, seconds: number): Promise<void> {
  await using broker = await BrokerProcess.start({ preferred: true });
  const probe = async (forSeconds: number): Promise<Latency> => {
    const child = forkScript('./latency-probe.ts', broker.url, `${RATE}`, `${forSeconds}`);
    const [latency] = await once(child, 'message');
    return latency as Latency;
  };
  await probe(1);
  const mostRss = broker.watchRss();
  let disturber: ChildProcess | undefined;
  const published = async (): Promise<number> => {
    if (disturber === undefined) return 0;
    disturber.send('how many');
    const [messages] = await once(disturber, 'message');
    return Number(messages);
  };
  if (disturbance !== null) {
    disturber = forkScript('./disturber.ts', broker.url, disturbance);
    await once(disturber, 'message');
    await sleep(BUSY_MS);
  }
  const publishedBefore = await published();
  const waitedBefore = broker.waitedSeconds();
  const startedAt = performance.now();
  const { messages, lost, p50, p99, most, ownP99 } = await probe(seconds);
  const took = (performance.now() - startedAt) / 1000;
  const rate = ((await published()) - publishedBefore) / took;
  const waited = (((broker.waitedSeconds() - waitedBefore) / took) * 100).toFixed(1);
  disturber?.kill('SIGKILL');
  const what = disturbance === null ? 'nothing else' : DISTURBANCES[disturbance];
  const meanwhile = disturbance === null ? '' : `; meanwhile ${count(Math.round(rate))} others/s`;
  const times = `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, most ${most.toFixed(1)} ms`;
  const machine = `the probe's own timer late by ${Math.max(0, ownP99).toFixed(1)} ms at p99, broker waited for a core ${waited} % of the time`;
  const rest = `${machine}; RSS at most ${megabytes(mostRss())}`;
  const arrived = lost === 0 ? `all ${count(messages)} arrived` : `${count(lost)} of ${count(messages)} did not arrive`;
  report(`latency at ${count(RATE)} messages/s, ${what}`, `${times}; ${arrived}${meanwhile}; ${rest}`, {
    text: `p99 < ${MOST_P99_MS} ms`,
    met: p99 < MOST_P99_MS && lost === 0,
  });
}

export const fairness: Group = async (report, { quick }) => {
  for (const disturbance of [null, 'unread', 'unconsumed', 'consumed'] as const) {
    await measure(report, disturbance, quick ? 3 : 10);
  }
};
