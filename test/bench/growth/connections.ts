// What connections cost: memory of an idle one, with and without a channel, how fast they are accepted, and that all of them work.
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { BrokerProcess } from '../broker-process.ts';
import type { HolderTask } from './connection-holder.ts';
import { forkScript } from './fork-script.ts';
import { possibleConnections } from './light-connection.ts';
import { atLeast, atMost, count, type Group, kilobytes } from './report.ts';

/** Processes that hold connections; the returned function gives all a task and says how many connections did it. */
async function startHolders(
  port: number,
  total: number,
): Promise<{ tell(task: HolderTask): Promise<number>; end(): void }> {
  const processes = Math.min(4, Math.max(2, availableParallelism()));
  const shares = Array.from({ length: processes }, (_, i) => Math.floor((total + i) / processes));
  const children = shares.map((share) => forkScript('./connection-holder.ts', `${port}`, `${share}`));
  const answers = (): Promise<unknown[]> =>
    Promise.all(children.map(async (child) => (await once(child, 'message'))[0]));
  await answers();
  return {
    tell: async (task) => {
      const all = answers();
      for (const child of children) child.send(task);
      return (await all).reduce<number>((sum, each) => sum + Number(each), 0);
    },
    end: () => {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

export const connections: Group = async (report, { quick }) => {
  const total = possibleConnections(quick ? 2000 : 10_000);
  await using broker = await BrokerProcess.start({ inside: 'collect' });
  const holders = await startHolders(broker.port, total);
  await holders.tell('warm up');
  await broker.settledRss();
  const { memory: empty } = await broker.lookInside();

  const cpuBefore = broker.cpuSeconds();
  let startedAt = performance.now();
  const opened = await holders.tell('open');
  let seconds = (performance.now() - startedAt) / 1000;
  const cpu = broker.cpuSeconds() - cpuBefore;
  const rate = Math.round(opened / seconds);
  const busy = `broker's CPU ${((cpu * 1e6) / opened).toFixed(0)} µs each, ${((cpu / seconds) * 100).toFixed(0)} % busy`;
  report(
    `${count(opened)} connections opened, full handshake`,
    `${count(rate)}/s (${busy})`,
    atLeast(rate, 3000, '/s'),
  );

  const perConnection = async (figure: string, limitKb: number): Promise<void> => {
    const rss = ((await broker.settledRss()) - empty.rss) / total;
    const { memory } = await broker.lookInside();
    const collected = `after a collection RSS ${kilobytes((memory.rss - empty.rss) / total)}`;
    const heap = `heap ${kilobytes((memory.heapUsed - empty.heapUsed) / total)}`;
    report(figure, `${kilobytes(rss)} of RSS (${collected}, ${heap})`, atMost(rss / 1024, limitKb, 'KB'));
  };
  await perConnection('memory of an idle connection', 12);
  await holders.tell('open channels');
  await perConnection('memory of an idle connection with a channel', 14);

  startedAt = performance.now();
  const worked = await holders.tell('exchange');
  seconds = (performance.now() - startedAt) / 1000;
  report(
    'each declares a queue, consumes, publishes and gets a message',
    `${count(worked)} of ${count(total)} did, in ${seconds.toFixed(1)} s`,
    { text: 'all', met: worked === total },
  );
  holders.end();
};
