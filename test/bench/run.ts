// `npm run bench`: measures the built command, and the broker of AMQP_URL beside it, in turn, and prints a Markdown table of
// medians. Rates differ from machine to machine and from hour to hour: compare within one table only.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const ROUNDS = 3;

interface Target {
  readonly name: string;
  readonly url: string;
}

/** Starts the built command on a free port and reads the port off its start-up line. */
async function startLeveret(): Promise<{ target: Target; process: ChildProcess }> {
  const flags = ['--port', '0', '--data-dir', 'none', '--log-format', 'json', '--log-level', 'info'];
  const child = spawn(process.execPath, ['dist/bin/leveret.js', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface(child.stdout)) {
    const { port } = JSON.parse(line) as { port?: number };
    if (port === undefined) continue;
    child.stdout.resume();
    return { target: { name: 'Leveret', url: `amqp://guest:guest@127.0.0.1:${port}/` }, process: child };
  }
  throw new Error('leveret ended before it listened');
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

async function measure(scenario: Scenario, targets: readonly Target[]): Promise<string> {
  const rates = targets.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { url }] of targets.entries()) rates[i].push(await scenario.run(url));
  }
  const medians = rates.map(median);
  const cells = medians.map((rate) => Math.round(rate).toLocaleString('en'));
  if (medians.length > 1) cells.push((medians[0] / medians[1]).toFixed(1));
  return `| ${scenario.name} | ${scenario.unit} | ${cells.join(' | ')} |`;
}

const { target, process: leveret } = await startLeveret();
const other = process.env.AMQP_URL;
const targets = other === undefined ? [target] : [target, { name: 'AMQP_URL', url: other }];
const headings = [...targets.map(({ name }) => name), ...(other === undefined ? [] : ['ratio'])];
console.log(`Node.js ${process.version}, ${cpus().length} cores, medians of ${ROUNDS} rounds\n`);
console.log(`| scenario | unit | ${headings.join(' | ')} |`);
console.log(`|---|---|${headings.map(() => '---:|').join('')}`);
for (const scenario of SCENARIOS) console.log(await measure(scenario, targets));
leveret.kill('SIGTERM');
await once(leveret, 'exit');
