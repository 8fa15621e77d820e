// `npm run bench:growth [-- [--quick] [--minutes N] [group ...]]`: how Leveret behaves when there is much of something. Each figure is
// measured on the built command, in a process of its own with a data folder, and printed as a row of one Markdown table.
import { cpus } from 'node:os';
import { backlog } from './backlog.ts';
import { connections } from './connections.ts';
import { fairness } from './fairness.ts';
import { idle } from './idle.ts';
import { bindings, idleConnections, queues, virtualHosts } from './publish-cost.ts';
import { queuesMemory } from './queues-memory.ts';
import { type Group, printHead, printRow } from './report.ts';
import { steady } from './steady.ts';

const GROUPS: Readonly<Record<string, Group>> = {
  backlog,
  queues,
  bindings,
  'idle-connections': idleConnections,
  vhosts: virtualHosts,
  connections,
  'queues-memory': queuesMemory,
  steady,
  fairness,
  idle,
};

const names: string[] = [];
let quick = false;
let minutes = 1;
const args = process.argv.slice(2);
while (args.length > 0) {
  const arg = String(args.shift());
  if (arg === '--quick') quick = true;
  else if (arg === '--minutes') minutes = Number(args.shift());
  else if (arg in GROUPS) names.push(arg);
  else throw new Error(`no group '${arg}'; there are ${Object.keys(GROUPS).join(', ')}`);
}
if (!(minutes > 0)) throw new Error('--minutes takes a number');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

console.log(`Node.js ${process.version}, ${cpus().length} cores${quick ? ', quick: counts are small' : ''}\n`);
printHead();
for (const name of names.length > 0 ? names : Object.keys(GROUPS)) {
  await GROUPS[name]((figure, measured, goal) => printRow(`${name}: ${figure}`, measured, goal), { quick, minutes });
}
process.exit(0);
