// `npm run bench`: measures the built command, and the broker of AMQP_URL beside it, in turn, and prints a Markdown table of
// medians. Rates differ from machine to machine and from hour to hour: compare within one table only.
import { cpus } from 'node:os';
import { type BenchArguments, parseArguments, USAGE, UsageError } from './arguments.ts';
import { BrokerProcess } from './broker-process.ts';
import type { Figure, Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { Session, type Target } from './session.ts';

const WARM_UP_SCALE = 0.05;

/** The broker of AMQP_URL; AMQP_PID is its process, if it is on this machine. @throws {UsageError} */
function otherTarget(): Target | undefined {
  const { AMQP_URL: url, AMQP_PID: pid } = process.env;
  if (pid !== undefined && !/^[1-9]\d*$/.test(pid)) throw new UsageError(`AMQP_PID=${pid}: not a process id`);
  if (url === undefined || url === '') return undefined;
  if (!URL.canParse(url) || new URL(url).protocol !== 'amqp:') {
    throw new UsageError(`AMQP_URL=${url}: not like amqp://guest:guest@127.0.0.1:5672`);
  }
  return { name: 'AMQP_URL', url, pid: pid === undefined ? null : Number(pid) };
}

/** @throws {UsageError} when there are none */
function scenariosOf({ patterns }: BenchArguments): readonly Scenario[] {
  const chosen = SCENARIOS.filter(
    ({ name }) => patterns.length === 0 || patterns.some((pattern) => pattern.test(name)),
  );
  if (chosen.length > 0) return chosen;
  const names = SCENARIOS.map(({ name }) => name).join(', ');
  throw new UsageError(`no scenario matches; there are ${names}`);
}

async function runOnce(scenario: Scenario, target: Target, scale: number): Promise<readonly Figure[]> {
  const session = new Session(target);
  let figures: readonly Figure[];
  try {
    figures = await scenario.run(session, scale);
  } catch (error) {
    // What went wrong first is what matters.
    session.abandon();
    await session.close().catch(() => {});
    const { message, code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new Error(`${scenario.name}, ${target.name}: ${message || code}`, { cause: error });
  }
  await session.close();
  return figures;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function cell(value: number): string {
  if (!Number.isFinite(value)) return '';
  return value.toLocaleString('en', value < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });
}

/** Runs a scenario in all rounds, after a short one for each broker that warms it up, and prints its lines. */
async function measure(
  scenario: Scenario,
  targets: readonly Target[],
  { rounds, scale }: BenchArguments,
): Promise<void> {
  const runs = targets.map((): (readonly Figure[])[] => []);
  for (const target of targets) await runOnce(scenario, target, scale * WARM_UP_SCALE);
  for (let round = 0; round < rounds; round++) {
    for (const [i, target] of targets.entries()) runs[i].push(await runOnce(scenario, target, scale));
  }
  for (const [row, { name, unit }] of scenario.rows.entries()) {
    const values = runs.map((figures) => median(figures.map((figure) => figure[row].value)));
    const ratio = values.length > 1 ? [(values[0] / values[1]).toFixed(2)] : [];
    const cpu = runs.map((figures) => median(figures.map((figure) => figure[row].cpuPerMillion)));
    console.log(`| ${[name, unit, ...values.map(cell), ...ratio, ...cpu.map(cell)].join(' | ')} |`);
  }
}

async function main(): Promise<void> {
  const args = parseArguments(process.argv.slice(2));
  const scenarios = scenariosOf(args);
  const other = otherTarget();
  const leveret = await BrokerProcess.start();
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    await leveret.stop();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const ours: Target = { name: 'Leveret', url: leveret.url, pid: leveret.pid };
    const targets = other === undefined ? [ours] : [ours, other];
    const names = targets.map(({ name }) => name);
    const headings = [...names, ...(other === undefined ? [] : ['ratio']), ...names.map((name) => `${name}: CPU s`)];
    console.log(`Node.js ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()}).`);
    console.log(`Medians; rounds: ${args.rounds}, scale: ${args.scale}. CPU s: seconds of the broker for a million.\n`);
    console.log(`| scenario | unit | ${headings.join(' | ')} |`);
    console.log(`|---|---|${headings.map(() => '---:|').join('')}`);
    for (const scenario of scenarios) await measure(scenario, targets, args);
  } finally {
    await leveret.stop();
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n${USAGE}` : `bench: ${(error as Error).message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
