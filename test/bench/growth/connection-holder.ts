// Forked by connections.ts with a port and a number: opens so many connections when it is told to, and does with all of them what it is
// told next. Answers each word with how many connections did it. One process alone opens them slower than the broker takes them.
import { inParallel, type LightConnection, openConnections } from './light-connection.ts';
import { numbered } from './load.ts';

export type HolderTask = 'warm up' | 'open' | 'open channels' | 'exchange';

const WARM_UP = 200;

const [port, total] = [Number(process.argv[2]), Number(process.argv[3])];
let connections: LightConnection[] = [];

async function exchange(name: string): Promise<void> {
  await inParallel(connections.length, (i) => connections[i].exchangeOne(numbered(`${name}-${process.pid}-`, i)));
}

const TASKS: Readonly<Record<HolderTask, () => Promise<void>>> = {
  // Here, too: code that runs for the first time is slow.
  'warm up': async () => {
    connections = await openConnections(port, WARM_UP, true);
    await exchange('warm');
    for (const connection of connections) connection.destroy();
  },
  open: async () => {
    connections = await openConnections(port, total, false);
  },
  'open channels': () => inParallel(total, (i) => connections[i].openChannel()),
  exchange: () => exchange('own'),
};

process.on('message', async (task: HolderTask) => {
  await TASKS[task]();
  process.send?.(connections.length);
});
process.send?.(0);
