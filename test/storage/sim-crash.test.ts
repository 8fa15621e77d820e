// Crashes of the simulated disk: what is synced is there after any, and of the rest anything that a real disk could leave.
import t from 'tap';
import { type SimulatedDisk, seededRandom } from '../helper/sim-disk.ts';
import { diskWithFile, diskWithFolder, FILE, FOLDER, outcomes, SEEDS, textOf, writeText } from './sim-disk-helper.ts';

t.test('what is not synced: lost, kept, or either', async (t) => {
  const [disk, file] = await diskWithFile('durable');
  await writeText(file, 'DUR', 0);
  await writeText(file, ' more', 7);
  await file.truncate(11);
  t.equal(textOf(disk.crash({ mode: 'drop' })), 'durable');
  t.equal(textOf(disk.crash({ mode: 'keep' })), 'DURable mor');
  const counts = outcomes(disk, textOf);
  for (const outcome of ['durable', 'DURable', 'durable mor', 'DURable mor', 'durable more', 'durable\0\0\0\0']) {
    t.ok(counts.has(outcome), `${JSON.stringify(outcome)} among ${JSON.stringify([...counts])}`);
  }
  for (const outcome of counts.keys()) t.match(outcome, /^[dD][uU][rR]able/, outcome);
});

t.test('what is synced is there after any crash', async (t) => {
  const [disk, file] = await diskWithFile('one');
  await writeText(file, 'TWO', 0);
  await writeText(file, ' three', 3);
  await file.dataSync();
  await writeText(file, '!', 9);
  for (const outcome of outcomes(disk, textOf).keys()) t.match(outcome, /^TWO three[!\0]?$/);
  t.equal(textOf(disk.crash({ mode: 'drop' })), 'TWO three');
});

t.test('a sync covers what was written before it was called', async (t) => {
  let missing = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const [disk, file] = await diskWithFile('', { random: seededRandom(seed) });
    await writeText(file, 'a', 0);
    await Promise.all([file.dataSync(), writeText(file, 'b', 1)]);
    const text = textOf(disk.crash({ mode: 'drop' }));
    t.match(text, /^a/);
    if (text === 'a') missing++;
  }
  t.equal(missing, SEEDS, 'and nothing else, so that nobody relies on it');
});

t.test('in a durable file a write is durable when it has ended, and nothing else is', async (t) => {
  const [disk, file] = await diskWithFile('....');
  const durable = await disk.open(FILE, 'update', true);
  await writeText(file, 'x', 0);
  await writeText(durable, 'abc', 3);
  t.notOk(disk.isLastWriteUnsynced);
  t.equal(textOf(disk.crash({ mode: 'keep' })), 'x..abc');
  t.same([...outcomes(disk, textOf).keys()].sort(), ['...abc', 'x..abc']);
});

t.test('a durable write that a crash meets may be torn', async (t) => {
  const seen = new Set<string>();
  let torn = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const [disk] = await diskWithFile('....', { random: seededRandom(seed) });
    const durable = await disk.open(FILE, 'update', true);
    let hasEnded = false;
    const written = writeText(durable, 'abc', 3).then(
      () => {
        hasEnded = true;
      },
      () => undefined,
    );
    for (let turns = seed % 8; turns > 0; turns--) await Promise.resolve();
    const after = textOf(disk.crash({ mode: 'random' })) ?? '';
    seen.add(after);
    if (hasEnded) t.equal(after, '...abc');
    if (disk.isLastWriteUnsynced) torn++;
    await written;
  }
  t.ok(
    ['....', '...abc', '...a', '....\0\0'].every((outcome) => seen.has(outcome)),
    JSON.stringify([...seen]),
  );
  t.ok(torn > 50, `${torn} torn`);
});

t.test('a durable write makes a size durable that was given before', async (t) => {
  const [disk, file] = await diskWithFile('0123456789');
  const durable = await disk.open(FILE, 'update', true);
  await file.truncate(5);
  await writeText(durable, 'x', 7);
  t.equal(textOf(disk.crash({ mode: 'drop' })), '01234\0\0x');
});

t.test('a durable write that fails in its sync is lost, though it can be read, until it is made again', async (t) => {
  const [disk, file] = await diskWithFile('....');
  const durable = await disk.open(FILE, 'update', true);
  disk.failAt(disk.callsOf(['dataSync']) + 1, 'EIO', { kinds: ['dataSync'] });
  await t.rejects(writeText(durable, 'abc', 0), { code: 'EIO' });
  await file.dataSync();
  t.equal(textOf(disk), 'abc.');
  t.ok(disk.isLastWriteUnsynced);
  await writeText(durable, 'abc', 0);
  t.equal(textOf(disk.crash({ mode: 'drop' })), 'abc.');
});

t.test('a large write may be torn at any byte, or lack sectors in its middle', async (t) => {
  const [disk, file] = await diskWithFile('.'.repeat(100));
  await file.write([Buffer.alloc(3000, 'x')], 100);
  let [prefixes, holes, extended] = [0, 0, 0];
  for (const outcome of outcomes(disk, textOf).keys()) {
    t.match(outcome, /^\.{100}[x\0]*$/);
    const tail = outcome.slice(100);
    if (/^x+$/.test(tail)) prefixes++;
    if (/^x*\0+$/.test(tail)) extended++;
    if (!/x\0+x/.test(tail)) continue;
    holes++;
    for (const { index } of outcome.matchAll(/x(?=\0)|\0(?=x)/g)) {
      if (outcome.indexOf('x', index + 1) !== -1) t.equal((index + 1) % 512, 0, 'whole sectors');
    }
  }
  t.ok(prefixes > 20 && holes > 20 && extended > 20, JSON.stringify({ prefixes, holes, extended }));
});

t.test('a file that was emptied keeps its old content, or nothing of it', async (t) => {
  const [disk] = await diskWithFile('old content');
  const file = await disk.open(FILE, 'create');
  await writeText(file, 'new', 0);
  const counts = outcomes(disk, textOf);
  for (const outcome of ['old content', '', 'new']) t.ok(counts.has(outcome), outcome);
  for (const outcome of counts.keys()) t.match(outcome, /^(old content|n?e?w?\0*)$/);
});

t.test('names that are not synced: lost, kept, or either', async (t) => {
  const [disk] = await diskWithFile('first');
  const fresh = await disk.open('/data/fresh', 'create');
  await writeText(fresh, 'fresh', 0);
  await fresh.dataSync();
  await disk.remove(FILE);
  const namesOf = async (after: SimulatedDisk): Promise<string> => String(await after.list(FOLDER));
  t.equal(await namesOf(disk.crash({ mode: 'drop' })), 'file');
  t.equal(await namesOf(disk.crash({ mode: 'keep' })), 'fresh');
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const after = disk.crash({ mode: 'random', random: seededRandom(seed) });
    seen.add(await namesOf(after));
    for (const name of await after.list(FOLDER)) t.match(textOf(after, `/data/${name}`), /^(first|fresh)$/);
  }
  t.same([...seen].sort(), ['', 'file', 'file,fresh', 'fresh']);
});

t.test('a renaming happens as a whole', async (t) => {
  const [disk] = await diskWithFile('old');
  const temporary = await disk.open('/data/temporary', 'create');
  await writeText(temporary, 'new', 0);
  await temporary.dataSync();
  await disk.rename('/data/temporary', FILE);
  const seen = outcomes(disk, (after) => `${textOf(after)},${textOf(after, '/data/temporary') ?? ''}`);
  t.same([...seen.keys()].sort(), ['new,', 'old,', 'old,new']);
});

t.test('names are durable with the sync of their folder, and of no other', async (t) => {
  const disk = await diskWithFolder();
  await disk.makeDirectory('/data/other');
  await (await disk.open('/data/other/a', 'create')).close();
  await (await disk.open(FILE, 'create')).close();
  await disk.syncDirectory(FOLDER);
  const after = disk.crash({ mode: 'drop' });
  t.same(await after.list(FOLDER), ['file', 'other']);
  t.same(await after.list('/data/other'), []);
});

t.test('a renaming between folders is durable with either, and with what led to it', async (t) => {
  const disk = await diskWithFolder();
  await disk.makeDirectory('/data/other');
  await (await disk.open(FILE, 'create')).close();
  await disk.rename(FILE, '/data/other/file');
  await disk.syncDirectory('/data/other');
  const after = disk.crash({ mode: 'drop' });
  t.same(await after.list(FOLDER), ['other']);
  t.same(await after.list('/data/other'), ['file']);
});

t.test('the last write can be torn at every byte', async (t) => {
  const [disk, file] = await diskWithFile('0123');
  await writeText(file, 'abcd', 2);
  t.equal(disk.lastWriteLength, 4);
  const torn = Array.from({ length: 5 }, (_, n) => textOf(disk.crash({ tearLastWriteAt: n })));
  t.same(torn, ['0123', '01a3', '01ab', '01abc', '01abcd']);

  const [beyond, hole] = await diskWithFile('0');
  await writeText(hole, 'ab', 3);
  await hole.dataSync();
  const tornBeyond = [0, 1, 2].map((n) => textOf(beyond.crash({ tearLastWriteAt: n })));
  t.same(tornBeyond, ['0', '0\0\0a', '0\0\0ab'], 'synced or not');
});

t.test('a crash leaves the old disk dead and the new one alone', async (t) => {
  const [disk, file] = await diskWithFile('text');
  const late = t.rejects(writeText(file, 'TEXT', 0), { code: 'ECRASHED' });
  const after = disk.crash({ mode: 'keep' });
  await late;
  const crashed = { code: 'ECRASHED', message: /crashed/ };
  const dead: (() => Promise<unknown>)[] = [
    () => file.write([Buffer.from('x')], 0),
    () => file.write([], 0),
    () => file.read(Buffer.alloc(1), 0, 1, 0),
    () => file.dataSync(),
    () => file.size(),
    () => file.truncate(0),
    () => file.close(),
    () => disk.open(FILE, 'read'),
    () => disk.open(FILE, 'create'),
    () => disk.rename(FILE, '/data/x'),
    () => disk.remove(FILE),
    () => disk.list(FOLDER),
    () => disk.makeDirectory('/data/x'),
    () => disk.syncDirectory(FOLDER),
    () => disk.freeBytes(FOLDER),
    () => disk.lock('/data/lock'),
  ];
  for (const call of dead)
    await t.rejects(
      call().then(() => undefined),
      crashed,
    );
  t.equal(textOf(after), 'text');
  t.equal(textOf(disk.crash({ mode: 'keep' })), 'text', 'and can be asked again');
});

t.test('a crash of a crash: what survived is durable', async (t) => {
  const [disk, file] = await diskWithFile('text');
  await writeText(file, 'TEXT', 0);
  const kept = disk.crash({ mode: 'keep' });
  const again = await kept.open(FILE, 'update');
  await writeText(again, '!', 4);
  t.equal(textOf(kept.crash({ mode: 'drop' })), 'TEXT');
});

t.test('what was under way in a crash is done or not', async (t) => {
  const [disk, file] = await diskWithFile('text');
  const rejected = [
    t.rejects(writeText(file, 'T', 0), { code: 'ECRASHED' }),
    t.rejects(disk.open('/data/fresh', 'create'), { code: 'ECRASHED' }),
  ];
  await Promise.resolve();
  const counts = outcomes(disk, (after) => `${textOf(after)},${textOf(after, '/data/fresh') ?? 'missing'}`);
  t.same([...counts.keys()].sort(), ['Text,', 'Text,missing', 'text,', 'text,missing']);
  t.equal(textOf(disk.crash({ mode: 'keep' })), 'text');
  await Promise.all(rejected);
});
