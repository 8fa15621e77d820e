// What a start finds: after a stop in good order, after crash upon crash, after a kill -9 that a power loss follows, with another
// sync mode than before, and in a folder that is damaged.
import t from 'tap';
import { filesOf, folderToDamage, type Verdict, verdictOn } from '../helper/store-damage.ts';
import { lives } from '../helper/store-points.ts';
import { lazySync, profileOf } from '../helper/store-workload.ts';

const SCALE = Number(process.env.STORE_SCALE ?? 1);
t.setTimeout(SCALE * 110_000);

t.test('crashes, kills and stops in a row lose nothing that was promised', async (t) => {
  for (let seed = 1; seed <= 20 * SCALE; seed++) await lives(seed, 8, profileOf(seed));
  t.pass();
});

t.test('so it is when syncs come late, but for what a power loss takes from the end', async (t) => {
  for (let seed = 1; seed <= 15 * SCALE; seed++) await lives(seed, 8, lazySync(seed));
  t.pass();
});

/** Damages a folder at many places, and counts what became of it by kind of file. */
async function damageOf(seed: number, step: number): Promise<Map<string, number>> {
  const folder = await folderToDamage(seed, profileOf(seed), 50);
  const verdicts = new Map<string, number>();
  const count = (path: string, verdict: Verdict): void => {
    const kind = `${path.replace(/^.*\d+\./, '')} ${verdict}`;
    verdicts.set(kind, (verdicts.get(kind) ?? 0) + 1);
  };
  for (const [path, bytes] of await filesOf(folder.disk.crash({ mode: 'keep' }))) {
    for (let at = seed % step; at < bytes.length; at += at < 40 ? 1 : step) {
      const flipped = Buffer.of(bytes[at] ^ (1 << (at % 8)));
      count(path, await verdictOn(folder, path, (copy) => copy.poke(path, at, flipped)));
    }
  }
  return verdicts;
}

t.test('a byte that changed is noticed: named with its file and what to do, or cut off with a warning', async (t) => {
  const all = new Map<string, number>();
  for (const seed of [2, 30, 31, 34]) {
    for (const [kind, count] of await damageOf(seed, 61)) all.set(kind, (all.get(kind) ?? 0) + count);
  }
  t.comment(all);
  for (const kind of ['log refused', 'log cut', 'page noticed']) t.ok((all.get(kind) ?? 0) > 0, kind);
});

t.test('files that are cut short, empty or gone are noticed', async (t) => {
  const seed = 30;
  const folder = await folderToDamage(seed, profileOf(seed), 50);
  const files = await filesOf(folder.disk.crash({ mode: 'keep' }));
  const segments = [...files.keys()].filter((path) => path.endsWith('.log'));
  t.ok(segments.length > 1 && files.has('/data/checkpoint'));
  for (const [path, { length }] of files) {
    for (const size of [0, 1, 31, 32, length >> 1, length - 1]) {
      // A newest segment without records is one that was just begun: nothing tells that there was more.
      if (path === segments.at(-1) && size === 32) continue;
      const verdict = await verdictOn(folder, path, async (copy) => {
        const file = await copy.open(path, 'update');
        await file.truncate(Math.min(size, length));
        await file.close();
      });
      // The newest segment is what a crash cuts short.
      if (path === segments.at(-1)) t.match(verdict, /refused|cut|unharmed/);
      // Pages that no checkpoint names are removed unread.
      else if (!/page|transient|new$/.test(path)) t.equal(verdict, 'refused', `${path} with ${size} bytes`);
    }
  }
  t.equal(await verdictOn(folder, segments[0], (copy) => copy.remove(segments[0])), 'refused');
  t.equal(await verdictOn(folder, '/data/log/', (copy) => copy.remove('/data/checkpoint')), 'refused');
});
