// The short form of the crash tests: a few deaths of the command by SIGKILL, and what is there afterwards. The long form is
// long.ts. CRASH_SEED repeats a run's choices.
import { mkdtempSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { newestSegment } from '../helper/segment-files.ts';
import { Experiment, type ExperimentOptions } from './experiment.ts';
import type { Figures, FindingKind } from './findings.ts';
import type { KillPlan } from './kill-plan.ts';

// A machine that is busy with other tests takes its time to start brokers.
t.setTimeout(240_000);

const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const KILLS = 6;

const AT_REST: KillPlan = { moment: 'started', nth: 1, delayMs: 500, how: 'rest', stopMs: 0, latestMs: 10_000 };
const IN_FLIGHT: KillPlan = { ...AT_REST, how: 'kill' };

/** What one more short life brings where a slow disk or the dice brought too little. */
function hasHappened({ acknowledged, commits, deadLetters, pagedExpiring, pagedDelayed }: Figures): boolean {
  return Math.min(acknowledged, commits, deadLetters, pagedExpiring, pagedDelayed) > 0;
}

t.test(`what was confirmed survives ${KILLS} kills or more, CRASH_SEED=${seed}`, async (t) => {
  // Not in a folder of tap's, which goes with the test: after a failure the data must stay.
  const folder = mkdtempSync(join(tmpdir(), 'leveret-crash-'));
  const experiment = new Experiment({
    seed,
    kills: KILLS,
    isEnough: hasHappened,
    deadlineMs: 90_000,
    folder,
    brief: true,
  });
  await experiment.run();
  const { findings, figures } = experiment.model;
  if (findings.total > 0) t.fail(experiment.failure());
  else experiment.clean();
  t.ok(figures.kills >= KILLS);
  t.ok(figures.confirmed > 0 && figures.acknowledged > 0 && figures.commits > 0, 'and clients came to something');
  t.ok(figures.deadLetters > 0 && figures.delayed > 0 && figures.expired > 0, 'and so did time');
  t.ok(figures.pagedExpiring > 0 && figures.pagedDelayed > 0, 'which messages spent on disk');
});

t.test(`a dead letter whose message was confirmed is there, CRASH_SEED=${seed}`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'leveret-crash-'));
  // What goes on at once is confirmed when its dead letter is safe: the moment after such a confirm is the worst.
  const plan: KillPlan = { ...IN_FLIGHT, moment: 'letter confirmed', nth: 1 + (seed % 70), delayMs: 0, latestMs: 2000 };
  const experiment = new Experiment({ seed, kills: 2, folder, brief: true, plan });
  await experiment.run();
  if (experiment.model.findings.total > 0) t.fail(experiment.failure());
  else experiment.clean();
  t.equal(experiment.model.figures.kills, 2);
});

/** Runs an experiment that must fail, until it does, and gives what it found. */
async function findingsOf(options: Omit<ExperimentOptions, 'seed' | 'kills'>): Promise<ReadonlySet<FindingKind>> {
  // Not each death costs something: where the newest segment was just begun, say, little is cut off.
  const experiment = new Experiment({ ...options, seed, kills: 15, deadlineMs: 60_000, brief: true });
  await experiment.run();
  return new Set(experiment.model.findings.list.map(({ kind }) => kind));
}

t.test('a broker that forgets is found out', async (t) => {
  let lives = 0;
  const kinds = await findingsOf({ folder: 'none', plan: AT_REST, afterDeath: () => lives++ });
  t.same([...kinds], ['topology'], 'by its queues, which are gone');
  t.equal(lives, 2, 'and not before it forgot');
});

t.test('a log that lost its end is found out', async (t) => {
  const folder = join(t.testdir({ data: {} }), 'data');
  // A broker takes what is cut off the newest segment for a record that a crash cut short, and starts without a word.
  const cut = (): void => {
    const newest = newestSegment(folder);
    if (newest !== undefined) truncateSync(newest.path, Math.floor(newest.writtenBytes / 2));
  };
  // However slow the machine is: by then much was confirmed.
  const plan: KillPlan = { ...IN_FLIGHT, moment: 'confirm', nth: 500, delayMs: 0 };
  const kinds = await findingsOf({ folder, plan, afterDeath: cut, tolerated: ['unmarked'] });
  // By what is missing or there again, or, where the checkpoint is ahead of the log by then, since the broker refuses to start.
  t.ok(kinds.size > 0, [...kinds].join());
});

t.test('a broker that ends by itself is found out', async (t) => {
  const ends = 'setTimeout(() => process.exit(0), 1500)';
  const kinds = await findingsOf({
    folder: 'none',
    plan: { ...IN_FLIGHT, delayMs: 60_000, latestMs: 60_000 },
    nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(ends)}`],
  });
  t.ok(kinds.has('broker'));
});
