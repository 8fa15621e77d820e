// What a broker costs that nobody uses, and how long it takes to start.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BrokerProcess, COMMAND } from '../broker-process.ts';
import { openConnections } from './light-connection.ts';
import { atMost, type Group, median, megabytes, quantile, type Report } from './report.ts';

/** V8 tidies up about ten seconds behind the last work. */
const SETTLE_MS = 15_000;
const CONNECTIONS = 100;
const RUNS = 10;

async function watchIdle(report: Report, broker: BrokerProcess, who: string, seconds: number): Promise<void> {
  await sleep(SETTLE_MS);
  const [cpu, sleeps] = [broker.cpuSeconds(), broker.sleeps()];
  await sleep(seconds * 1000);
  const share = ((broker.cpuSeconds() - cpu) / seconds) * 100;
  const after = broker.sleeps();
  const perSecond = (after.main - sleeps.main) / seconds;
  const all = (after.all - sleeps.all) / seconds;
  report(`CPU of an idle broker, ${who}`, `${share.toFixed(2)} % over ${seconds} s`, atMost(share, 0.2, '%'));
  report(
    `wake-ups of an idle broker, ${who}`,
    `${perSecond.toFixed(2)}/s of its main thread, ${all.toFixed(2)}/s of all threads`,
    atMost(perSecond, 2, '/s'),
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Resolves to true once something accepts a connection to the port, to false when nothing does. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/** Milliseconds from the spawn until a connection is accepted. */
async function startUp(): Promise<number> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'leveret-start-'));
  const flags = ['--port', `${port}`, '--data-dir', join(folder, 'data'), '--log-format', 'json'];
  const startedAt = performance.now();
  const child = spawn(process.execPath, [COMMAND, ...flags], { stdio: 'ignore' });
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error('leveret did not start');
    await sleep(1);
  }
  const milliseconds = performance.now() - startedAt;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
  rmSync(folder, { recursive: true, force: true });
  return milliseconds;
}

async function bareNode(): Promise<number> {
  const startedAt = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - startedAt;
}

export const idle: Group = async (report, { quick }) => {
  const starts: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    starts.push(await startUp());
    bare.push(await bareNode());
  }
  const [start, node] = [median(starts), median(bare)];
  const bounds = `${Math.min(...starts).toFixed(0)} to ${Math.max(...starts).toFixed(0)} ms`;
  report(
    `from spawn to the first connection, median of ${RUNS}`,
    `${start.toFixed(0)} ms (${bounds}); \`node -e 0\` from spawn to exit takes ${node.toFixed(0)} ms`,
    atMost(start, 250, 'ms'),
  );

  const script = fileURLToPath(new URL('./embedded.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const { memory, disk } = JSON.parse(stdout) as { memory: number[]; disk: number[] };
  for (const [what, times] of [
    ['in memory', memory],
    ['with a data folder', disk],
  ] as const) {
    const middle = median(times);
    const most = quantile(times, 1);
    const text = `median ${middle.toFixed(1)} ms, most ${most.toFixed(1)} ms of ${times.length}`;
    report(`createBroker() and close(), warm, ${what}`, text, atMost(middle, 15, 'ms'));
  }

  const seconds = quick ? 5 : 20;
  await using broker = await BrokerProcess.start();
  await watchIdle(report, broker, 'no connections', seconds);
  const rss = broker.rssBytes();
  report('RSS of an idle broker', megabytes(rss), atMost(Math.round(rss / 1e6), 60, 'MB'));
  const connections = await openConnections(broker.port, CONNECTIONS, true);
  await watchIdle(report, broker, `${CONNECTIONS} connections without heartbeats`, seconds);
  for (const connection of connections) connection.destroy();
};
