// The long form of the crash tests: npx tsx test/crash/long.ts --kills 200 [--seed n] [--minutes m] [--folder path] [--tolerate kind]... [-- arguments of the command]
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Experiment } from './experiment.ts';
import { FINDING_KINDS } from './findings.ts';

const { values, positionals } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string' },
    folder: { type: 'string' },
    tolerate: { type: 'string', multiple: true, default: [] },
  },
  allowPositionals: true,
});
const seed = Number(values.seed);
const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'leveret-crash-'));
const print = (line: string): void => void process.stdout.write(`${line}\n`);

print(`seed ${seed}, data folder ${folder}`);
const startedAt = performance.now();
const experiment = new Experiment({
  seed,
  kills: Number(values.kills),
  deadlineMs: values.minutes === undefined ? undefined : Number(values.minutes) * 60_000,
  folder,
  brokerArgs: positionals,
  tolerated: FINDING_KINDS.filter((kind) => values.tolerate.includes(kind)),
  print,
});
await experiment.run();

const { recoveryMs, ...figures } = experiment.model.figures;
const sorted = recoveryMs.toSorted((a, b) => a - b);
const share = (part: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
for (const [name, value] of Object.entries(figures)) print(`${name}: ${value}`);
print(`recovery: median ${share(0.5)} ms, 90% ${share(0.9)} ms, longest ${share(1)} ms`);
print(`took ${Math.round((performance.now() - startedAt) / 1000)} s`);
for (const [kind, count] of experiment.model.findings.tolerated) print(`tolerated: ${count} of ${kind}`);
if (experiment.model.findings.total === 0) {
  print('nothing lost, nothing back, nothing corrupt');
  experiment.clean();
} else {
  print(`FAILED: ${experiment.failure()}`);
  process.exitCode = 1;
}
