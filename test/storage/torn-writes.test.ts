// Tears each write of a store at every byte. What is left has to be what was promised.
//
// A failure names what repeats it; test/helper/store-long.ts goes on for as long as one likes.
import t from 'tap';
import { tearEverywhere } from '../helper/store-points.ts';
import { tinyMessages } from '../helper/store-workload.ts';

/** More of them with an environment variable: this many times as many seeds. */
const SCALE = Number(process.env.STORE_SCALE ?? 1);

t.setTimeout(SCALE * 110_000);

t.test('a write that ends at any byte harms nothing that was there before', async (t) => {
  const kinds = new Map<string, number>();
  for (let seed = 1; seed <= 3 * SCALE; seed++) {
    for (const [kind, offsets] of await tearEverywhere(seed, 40, tinyMessages(seed))) {
      kinds.set(kind, (kinds.get(kind) ?? 0) + offsets);
    }
  }
  t.comment(kinds);
  for (const kind of ['log', 'checkpoint', 'page']) t.ok((kinds.get(kind) ?? 0) > 200, `${kind} torn at many bytes`);
});
