// Crashes at the calls that a store makes to its disk, one after the other, in every way that a disk can end up, within the recovery,
// too. What is left has to be what was promised. See torn-writes.test.ts for writes of which a part arrived.
//
// A failure names what repeats it; test/helper/store-long.ts goes on for as long as one likes.
import t from 'tap';
import { crashPoints } from '../helper/store-points.ts';
import { profileOf } from '../helper/store-workload.ts';

/** More of them with an environment variable: this many times as many seeds. */
const SCALE = Number(process.env.STORE_SCALE ?? 1);

t.setTimeout(SCALE * 110_000);

/** A seed's run makes 40 to 130 calls; about so many of them are crashed at. */
const POINTS = 40;

t.test('a crash at any call loses nothing that was promised', async (t) => {
  const counts = { calls: 0, points: 0, outcomes: 0, recoveryCrashes: 0 };
  for (let seed = 1; seed <= 4 * SCALE; seed++) {
    await crashPoints({ seed, steps: 50, points: POINTS, profile: profileOf(seed) }, counts);
  }
  t.comment(counts);
  t.ok(counts.points > 100 && counts.outcomes > 4 * counts.points && counts.recoveryCrashes > 100);
});
