// The simulated disk does what a real one does, fails when it is told to, and repeats itself for a seed.
import t from 'tap';
import { seededRandom } from '../helper/sim-disk.ts';
import type { DiskCall } from '../helper/sim-faults.ts';
import { diskWithFile, diskWithFolder, FILE, FOLDER, outcomes, textOf, writeText } from './sim-disk-helper.ts';

t.test('files are read, written, truncated and extended', async (t) => {
  const disk = await diskWithFolder();
  const file = await disk.open(FILE, 'create');
  await file.write([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('cd')], 2);
  await file.write([], 100);
  t.equal(textOf(disk), '\0\0abcd');
  const buffer = Buffer.alloc(6, '-');
  t.equal(await file.read(buffer, 1, 3, 2), 3);
  t.equal(String(buffer), '-abc--');
  t.equal(await file.read(buffer, 0, 6, 4), 2);
  t.equal(await file.read(buffer, 0, 6, 60), 0);
  await file.truncate(3);
  await file.truncate(5);
  t.equal(await file.size(), 5);
  t.equal(textOf(disk), '\0\0a\0\0', 'what was cut off does not come back');
  await file.close();
  const again = await disk.open(FILE, 'create');
  t.equal(await again.size(), 0);
  await again.close();
});

t.test('names', async (t) => {
  const disk = await diskWithFolder();
  await disk.makeDirectory('/data/x/y/');
  for (const name of ['b', 'a', 'x/c']) await (await disk.open(`/data/${name}`, 'create')).close();
  t.same(await disk.list(FOLDER), ['a', 'b', 'x']);
  await disk.rename('/data/x/c', '/data/b');
  await disk.remove('/data/a');
  await disk.remove('/data/a');
  t.same(await disk.list('/data/'), ['b', 'x']);
  t.same(await disk.list('/data/x'), ['y']);
  t.same(await disk.list('/nowhere'), []);
});

t.test('mistakes have the codes of a real disk', async (t) => {
  const [disk, file] = await diskWithFile('text');
  const read = await disk.open(FILE, 'read');
  await t.rejects(read.write([Buffer.from('x')], 0), { code: 'EBADF' });
  await t.rejects(read.truncate(0), { code: 'EBADF' });
  await read.close();
  for (const call of [() => read.close(), () => read.dataSync(), () => read.size().then(() => undefined)]) {
    await t.rejects(call(), { code: 'EBADF' });
  }
  await t.rejects(disk.open('/data/nothing', 'update'), { code: 'ENOENT' });
  await t.rejects(disk.open('/nowhere/file', 'create'), { code: 'ENOENT' });
  await t.rejects(disk.open('/data/file/x', 'create'), { code: 'ENOTDIR' });
  await t.rejects(disk.open(FOLDER, 'create'), { code: 'EISDIR' });
  await t.rejects(disk.rename('/data/nothing', '/data/x'), { code: 'ENOENT' });
  await t.rejects(disk.remove(FOLDER), { code: 'EISDIR' });
  await t.rejects(disk.makeDirectory(FILE), { code: 'EEXIST' });
  await t.rejects(disk.makeDirectory('/data/file/x'), { code: 'ENOTDIR' });
  await t.rejects(disk.list(FILE), { code: 'ENOTDIR' });
  await t.rejects(disk.syncDirectory('/nowhere'), { code: 'ENOENT' });
  await t.rejects(disk.freeBytes('/nowhere'), { code: 'ENOENT' });
  await t.rejects(file.write([Buffer.from('x')], -1), RangeError);
  await t.rejects(file.read(Buffer.alloc(1), 0, 2, 0), RangeError);
  t.throws(() => disk.crash({ tearLastWriteAt: 5 }), RangeError);
});

t.test('a handle goes on when its file is renamed, replaced or removed', async (t) => {
  const [disk, file] = await diskWithFile('old');
  const other = await disk.open('/data/other', 'create');
  await disk.rename(FILE, '/data/moved');
  await writeText(file, 'OLD', 0);
  t.equal(textOf(disk, '/data/moved'), 'OLD');
  await disk.rename('/data/other', '/data/moved');
  await disk.syncDirectory(FOLDER);
  await writeText(file, 'gone', 0);
  await file.dataSync();
  const buffer = Buffer.alloc(4);
  await file.read(buffer, 0, 4, 0);
  t.equal(String(buffer), 'gone');
  t.equal(textOf(disk, '/data/moved'), '');
  await disk.remove('/data/moved');
  await disk.syncDirectory(FOLDER);
  await writeText(other, 'x', 0);
  await file.close();
  await other.close();
  t.same(await disk.list(FOLDER), []);
});

t.test('calls are counted and heard of', async (t) => {
  const heard: DiskCall[] = [];
  const [disk, file] = await diskWithFile('text', { onCall: (call) => heard.push(call) });
  await file.read(Buffer.alloc(1), 0, 1, 0);
  t.equal(disk.calls, 4);
  t.equal(disk.callsOf(['read', 'write']), 2);
  t.same(
    heard.map(({ kind, path, number }) => `${kind} ${path} ${number}`),
    [
      'makeDirectory /data 0',
      'create /data/file 1',
      'write /data/file 2',
      'dataSync /data/file 3',
      'syncDirectory /data 4',
      'read /data/file 4',
    ],
  );
});

t.test('the nth call fails, of all kinds or of some', async (t) => {
  const [disk, file] = await diskWithFile('text');
  t.equal(disk.calls, 4);
  disk.failAt(6, 'EIO', { count: 2 });
  await writeText(file, 'a', 0);
  await t.rejects(writeText(file, 'b', 0), { code: 'EIO' });
  await file.read(Buffer.alloc(1), 0, 1, 0); // does not count
  await t.rejects(disk.rename(FILE, '/data/x'), { code: 'EIO' });
  await disk.rename(FILE, '/data/x');
  t.equal(textOf(disk, '/data/x'), 'aext');
  disk.failAt(2, 'EIO', { kinds: ['read'] });
  await t.rejects(file.read(Buffer.alloc(1), 0, 1, 0), { code: 'EIO' });
  disk.failAt(1, 'ENOSPC', { count: Number.POSITIVE_INFINITY });
  await t.rejects(disk.open('/data/y', 'create'), { code: 'ENOSPC' });
  await t.rejects(file.truncate(0), { code: 'ENOSPC' });
  await t.rejects(disk.remove('/data/x'), { code: 'ENOSPC' });
  await t.rejects(disk.syncDirectory(FOLDER), { code: 'ENOSPC' });
  disk.clearFaults();
  await disk.remove('/data/x');
  t.same(await disk.list(FOLDER), []);
});

t.test('a write that fails may leave a part', async (t) => {
  const left = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const [disk, file] = await diskWithFile('....', { random: seededRandom(seed) });
    disk.failAt(disk.calls + 1, 'EIO', { partial: true });
    await t.rejects(writeText(file, 'abc', 0), { code: 'EIO' });
    left.add(String(textOf(disk)));
  }
  t.same([...left].sort(), ['....', 'a...', 'ab..']);
});

t.test('what a failed sync should have made durable, no later one does', async (t) => {
  const [disk, file] = await diskWithFile('....');
  await writeText(file, 'a', 0);
  disk.failAt(disk.calls + 1, 'EIO');
  await t.rejects(file.dataSync(), { code: 'EIO' });
  await writeText(file, 'b', 1);
  await file.dataSync();
  t.equal(textOf(disk), 'ab..');
  t.equal(textOf(disk.crash({ mode: 'drop' })), '.b..');
  t.equal(textOf(disk.crash({ mode: 'keep' })), 'ab..');
  t.same([...outcomes(disk, textOf).keys()].sort(), ['.b..', 'ab..']);
});

t.test('a full disk takes what fits, and goes on when there is room', async (t) => {
  const [disk, file] = await diskWithFile('12345678', { capacityBytes: 10 });
  t.equal(await disk.freeBytes(FOLDER), 2);
  await t.rejects(writeText(file, 'abcd', 8), { code: 'ENOSPC' });
  t.equal(textOf(disk), '12345678ab');
  t.equal(await disk.freeBytes(FOLDER), 0);
  await writeText(file, 'over', 0);
  await t.rejects(file.truncate(11), { code: 'ENOSPC' });
  await t.rejects(writeText(file, 'far', 20), { code: 'ENOSPC' });
  t.equal(textOf(disk), 'over5678ab');
  await disk.remove(FILE);
  t.equal(await disk.freeBytes(FOLDER), 0, 'an open file takes room');
  await file.close();
  t.equal(await disk.freeBytes(FOLDER), 10);
  disk.capacityBytes = 20;
  const other = await disk.open('/data/other', 'create');
  await writeText(other, 'x'.repeat(20), 0);
  t.equal(disk.crash({ mode: 'keep' }).capacityBytes, 20);
});

t.test('locks exclude each other, and end with a crash', async (t) => {
  const disk = await diskWithFolder();
  const release = await disk.lock('/data/lock');
  await t.rejects(disk.lock('/data/lock'), { code: 'ELOCKED' });
  t.same(await disk.list(FOLDER), ['lock']);
  await t.rejects(disk.remove('/data/lock'), { code: 'EISDIR' });
  await release();
  await release();
  t.same(await disk.list(FOLDER), []);
  await disk.lock('/data/lock');
  const after = disk.crash({ mode: 'drop' });
  t.same(await after.list(FOLDER), ['lock'], 'the name stays');
  await (await after.lock('/data/lock'))();
  t.same(await after.list(FOLDER), []);
  await t.rejects(after.lock('/nowhere/lock'), { code: 'ENOENT' });
});

t.test('operations that overlap end in any order, and a seed repeats it', async (t) => {
  const run = async (seed: number): Promise<string> => {
    const [, file] = await diskWithFile('', { random: seededRandom(seed) });
    const order: number[] = [];
    await Promise.all([0, 1, 2].map((i) => writeText(file, String(i), 0).then(() => order.push(i))));
    return order.join('');
  };
  const orders = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const order = await run(seed);
    t.equal(await run(seed), order);
    orders.add(order);
  }
  t.equal(orders.size, 6);
});

t.test('buffers are read when the write is done', async (t) => {
  const [disk, file] = await diskWithFile('');
  const buffer = Buffer.from('good');
  const written = file.write([buffer], 0);
  buffer.write('evil');
  await written;
  t.equal(textOf(disk), 'evil', 'a mistake that a real disk makes visible sometimes');
});

t.test('bits can rot', async (t) => {
  const [disk] = await diskWithFile('text');
  disk.poke(FILE, 1, Buffer.from('E'));
  t.equal(textOf(disk), 'tExt');
  t.equal(textOf(disk.crash({ mode: 'drop' })), 'tExt');
  t.equal(textOf(disk, '/data/nothing'), undefined);
});
