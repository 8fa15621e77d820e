// Disks that run full and disks that fail, at every call of a store: the one it outlasts, at the other it stops for good; what it
// promised it keeps either way.
import t from 'tap';
import { faults, mustFail, mustSurvive, runFaulty, runOutOfRoom } from '../helper/store-faults.ts';
import { manyMessages, profileOf } from '../helper/store-workload.ts';

const SCALE = Number(process.env.STORE_SCALE ?? 1);
t.setTimeout(SCALE * 110_000);

t.test('no room, or an error, at any call', async (t) => {
  let runs = 0;
  for (let seed = 1; seed <= 3 * SCALE; seed++) runs += await faults(seed, 50, 40);
  t.comment(`${runs} runs`);
  t.ok(runs > 400);
});

t.test('a disk that runs full again and again, and gets room later', async (t) => {
  let waits = 0;
  for (let seed = 1; seed <= 40 * SCALE; seed++) waits += (await runOutOfRoom(seed, profileOf(seed), 60)).waits;
  t.comment(`${waits} writes found no room`);
  t.ok(waits > 100);
});

t.test('a page that can not be read is the end', async (t) => {
  let failures = 0;
  for (let seed = 1; seed <= 10 * SCALE; seed++) {
    for (let call = 1; call < 60; call += 2) {
      const plan = { seed, profile: profileOf(seed), steps: 60, call, code: 'EIO', kinds: ['read'] } as const;
      const run = await runFaulty(plan);
      if (run.failed.length === 0) break;
      // Nobody misses what was not wanted any more when it could not be read.
      if (run.world?.life.hasFailed === true) await mustFail(run);
      else await mustSurvive({ ...run, failed: [] });
      failures++;
    }
  }
  t.comment(`${failures} reads failed`);
  t.ok(failures > 20);
});

t.test('too many open files pass', async (t) => {
  for (let seed = 1; seed <= 4 * SCALE; seed++) {
    const plan = {
      seed,
      profile: { ...manyMessages(seed), steps: 30 },
      steps: 30,
      call: Infinity,
      code: 'EIO',
    } as const;
    await mustSurvive(await runFaulty({ ...plan, openFault: { code: 'EMFILE', count: 3 } }));
  }
  t.pass();
});
