// What a start finds: after a stop in good order, after crash upon crash, after a kill -9 that a power loss follows, with another
// sync mode than before, and in a folder that is damaged.
import t from 'tap';
import type { SimulatedDisk } from '../helper/sim-disk.ts';
import { filesOf, fullFolder, verdictOn } from '../helper/store-damage.ts';
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

t.test('a byte that changed is noticed: named with its file and what to do, or cut off with a warning', async (t) => {
  const verdicts = new Map<string, number>();
  for (const first of [1, 100, 200, 300].slice(0, SCALE)) {
    const folder = await fullFolder(first);
    for (const [path, bytes] of await filesOf(folder.disk.crash({ mode: 'keep' }))) {
      for (let at = 0; at < bytes.length; at += at < 40 ? 1 : 131) {
        const flipped = Buffer.of(bytes[at] ^ (1 << (at % 8)));
        const verdict = await verdictOn(folder, path, (copy) => copy.poke(path, at, flipped));
        const kind = `${path.replace(/^.*\d+\./, '')} ${verdict}`;
        verdicts.set(kind, (verdicts.get(kind) ?? 0) + 1);
      }
    }
  }
  t.comment(verdicts);
  for (const kind of ['/data/checkpoint refused', 'log refused', 'log cut', 'page noticed']) {
    t.ok((verdicts.get(kind) ?? 0) > 0, kind);
  }
});

t.test('zeros behind the records of a segment are no damage', async (t) => {
  const folder = await fullFolder(1);
  const files = await filesOf(folder.disk.crash({ mode: 'keep' }));
  const segments = [...files.keys()].filter((path) => path.endsWith('.log'));
  for (const path of segments) {
    const extend = (end: string) => async (copy: SimulatedDisk) => {
      const file = await copy.open(path, 'update');
      await file.write([Buffer.alloc(700), Buffer.from(end)], files.get(path)?.length ?? 0);
      await file.close();
    };
    t.equal(await verdictOn(folder, path, extend('')), 'unharmed', path);
    t.equal(await verdictOn(folder, path, extend('x')), path === segments.at(-1) ? 'cut' : 'refused', path);
  }
});

t.test('files that are cut short, empty or gone are noticed', async (t) => {
  const folder = await fullFolder(1);
  const files = await filesOf(folder.disk.crash({ mode: 'keep' }));
  const segments = [...files.keys()].filter((path) => path.endsWith('.log'));
  const newest = segments.at(-1);
  for (const [path, { length }] of files) {
    for (const size of [0, 1, 31, 32, length >> 1, length - 1]) {
      const cut = async (copy: SimulatedDisk): Promise<void> => {
        const file = await copy.open(path, 'update');
        await file.truncate(Math.min(size, length));
        await file.close();
      };
      // What is behind the last record of the newest segment was never written, as far as anybody can tell.
      const verdict = await verdictOn(folder, path, cut, path === newest);
      if (path === newest) t.match(verdict, /refused|cut|unharmed/);
      // Pages that no checkpoint names are removed unread.
      else if (!/page|transient|new$/.test(path)) t.equal(verdict, 'refused', `${path} with ${size} bytes`);
    }
  }
  t.equal(await verdictOn(folder, segments[0], (copy) => copy.remove(segments[0])), 'refused');
  t.equal(await verdictOn(folder, '/data/log/', (copy) => copy.remove('/data/checkpoint')), 'refused');
});
