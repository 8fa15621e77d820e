// The real disk: what is written is there, however the system takes it, and errors carry their codes.
import { constants, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { nodeFileSystem, openFile, type Writev, writeFully } from '../../lib/storage/node-file-system.ts';
import { Fault, Hold } from '../helper/durable-fault.ts';

function pathIn(t: Test, name: string): string {
  return join(t.testdir(), name);
}

t.test('what is written can be read, wherever it was written', async (t) => {
  const path = pathIn(t, 'file');
  const file = await nodeFileSystem.open(path, 'create');
  await Promise.all([
    file.write([Buffer.from('world'), Buffer.alloc(0), Buffer.from('!')], 6),
    file.write([Buffer.from('hello ')], 0),
  ]);
  await file.dataSync();
  t.equal(await file.size(), 12);
  const buffer = Buffer.alloc(10, '-');
  t.equal(await file.read(buffer, 1, 5, 6), 5);
  t.equal(String(buffer), '-world----');
  t.equal(await file.read(buffer, 0, 10, 8), 4, 'less at the end of the file');
  t.equal(await file.read(buffer, 0, 10, 100), 0);
  await file.truncate(5);
  await file.close();
  t.equal(readFileSync(path, 'utf8'), 'hello');
});

t.test('thousands of buffers at once', async (t) => {
  const path = pathIn(t, 'file');
  const file = await nodeFileSystem.open(path, 'create');
  const buffers = Array.from({ length: 5000 }, (_, i) => Buffer.from(i % 7 === 0 ? '' : `${i},`));
  await file.write(buffers, 3);
  await file.write([], 0);
  await file.write([Buffer.alloc(0)], 0);
  await file.write(Array(2000).fill(Buffer.alloc(0)), 0);
  await file.close();
  t.ok(readFileSync(path).equals(Buffer.concat([Buffer.alloc(3), ...buffers])));
});

t.test('modes', async (t) => {
  const path = pathIn(t, 'file');
  await t.rejects(nodeFileSystem.open(path, 'update'), { code: 'ENOENT' });
  await t.rejects(nodeFileSystem.open(path, 'read'), { code: 'ENOENT' });
  writeFileSync(path, 'content');
  const updated = await nodeFileSystem.open(path, 'update');
  await updated.write([Buffer.from('C')], 0);
  const read = await nodeFileSystem.open(path, 'read');
  t.equal(await read.size(), 7);
  await t.rejects(read.write([Buffer.from('x')], 0), { code: 'EBADF' });
  const created = await nodeFileSystem.open(path, 'create');
  t.equal(await read.size(), 0);
  for (const file of [updated, read, created]) await file.close();
});

/** Takes at most so many buffers and bytes at once, then what `results` say. */
function reluctant(taken: Buffer, maxBytes: number, results: (Error | number)[] = []): Writev {
  return (_fd, buffers, position, done) => {
    const result = results.shift();
    if (buffers.length > 1024) throw new Error('EINVAL');
    const bytes = Buffer.concat(buffers).subarray(0, typeof result === 'number' ? result : maxBytes);
    if (!(result instanceof Error)) bytes.copy(taken, position);
    setImmediate(() => (result instanceof Error ? done(result, 0) : done(null, bytes.length)));
  };
}

function write(buffers: readonly Buffer[], position: number, writev: Writev): Promise<void> {
  return new Promise((resolve, reject) => {
    writeFully(0, buffers, position, (error) => (error === null ? resolve() : reject(error)), writev);
  });
}

t.test('a system that writes less than it was given is asked again', async (t) => {
  for (const [count, maxBytes] of [
    [1, 1],
    [3, 4],
    [7, 1000],
    [1024, 999],
    [1025, 100_000],
    [2500, 1],
    [2500, 5],
    [2500, 100_000],
  ]) {
    const buffers = Array.from({ length: count }, (_, i) => Buffer.from('abcdefg'.slice(0, i % 4)));
    const expected = Buffer.concat([Buffer.alloc(10), ...buffers]);
    const taken = Buffer.alloc(expected.length);
    await write(buffers, 10, reluctant(taken, maxBytes));
    t.ok(taken.equals(expected), `${count} buffers, ${maxBytes} bytes at once`);
  }
});

t.test('a write that stops halfway fails', async (t) => {
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  const taken = Buffer.alloc(100);
  const buffers = [Buffer.from('abc'), Buffer.from('def')];
  await t.rejects(write(buffers, 0, reluctant(taken, 9, [full])), { code: 'ENOSPC' });
  await t.rejects(write(buffers, 0, reluctant(taken, 9, [4, full])), { code: 'ENOSPC' });
  t.equal(String(taken.subarray(0, 6)), 'abcd\0\0');
  await t.rejects(write(buffers, 0, reluctant(taken, 9, [0])), { code: 'EIO' });
  await t.rejects(write(buffers, 0, reluctant(taken, 9, [4, 0])), { code: 'EIO' });
});

t.test('a full disk', { skip: process.platform !== 'linux' && 'only Linux has /dev/full' }, async (t) => {
  const file = await nodeFileSystem.open('/dev/full', 'update');
  await t.rejects(file.write([Buffer.from('x')], 0), { code: 'ENOSPC' });
  await file.close();
});

t.test('a durable file', async (t) => {
  for (const flag of [constants.O_DSYNC ?? 0, 0]) {
    const path = pathIn(t, `file ${flag}`);
    const created = await openFile(path, 'create', true, flag);
    await created.write([Buffer.from('hello '), Buffer.from('world')], 0);
    await created.close();
    const events: string[] = [];
    const hold = new Hold('fdatasync');
    void hold.called.then(() => events.push('synced'));
    const updated = await openFile(path, 'update', true, flag);
    const written = updated.write([Buffer.from('HELLO')], 0).then(() => events.push('written'));
    await (flag === 0 ? hold.called : written);
    hold.end();
    await written;
    t.same(events, flag === 0 ? ['synced', 'written'] : ['written'], 'the system does it, or it is asked to');
    await updated.close();
    t.equal(readFileSync(path, 'utf8'), 'HELLO world');
  }
});

t.test('a sync that fails behind a durable write', async (t) => {
  const fault = new Fault('fdatasync', 'EIO');
  const file = await openFile(pathIn(t, 'file'), 'create', true, 0);
  fault.isOn = true;
  await t.rejects(file.write([Buffer.from('x')], 0), { code: 'EIO' });
  fault.end();
  await file.close();
});

const isLinux = process.platform === 'linux';
t.test('Linux is asked for durable writes', { skip: !isLinux && 'no other system is' }, async (t) => {
  const path = pathIn(t, 'file');
  for (const durable of [false, true]) {
    const file = await nodeFileSystem.open(path, 'create', durable);
    const fd = readdirSync('/proc/self/fd').find((each) => linkTo(`/proc/self/fd/${each}`) === path);
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
    t.equal((Number.parseInt(flags, 8) & constants.O_DSYNC) !== 0, durable);
    await file.close();
  }
});

/** Where a symbolic link leads; null when it is gone. */
function linkTo(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

t.test('close waits for what is under way, and nothing goes to the file afterwards', async (t) => {
  const path = pathIn(t, 'file');
  const file = await nodeFileSystem.open(path, 'create');
  const ended: string[] = [];
  const data = Buffer.alloc(1 << 20, 'x');
  const calls = [
    file.write([data], 0).then(() => ended.push('write')),
    file.dataSync().then(() => ended.push('sync')),
    file.size().then(() => ended.push('size')),
    file.read(Buffer.alloc(10), 0, 10, 0).then(() => ended.push('read')),
  ];
  await file.close();
  ended.push('close');
  await Promise.all(calls);
  t.equal(ended.at(-1), 'close');
  t.equal(readFileSync(path).length, data.length);
  const late: (() => Promise<unknown>)[] = [
    () => file.write([data], 0),
    () => file.read(data, 0, 1, 0),
    () => file.dataSync(),
    () => file.size(),
    () => file.truncate(0),
    () => file.close(),
  ];
  for (const call of late)
    await t.rejects(
      call().then(() => undefined),
      { code: 'EBADF' },
    );
});

t.test('wrong arguments reject, and the file can be closed', async (t) => {
  const file = await nodeFileSystem.open(pathIn(t, 'file'), 'create');
  await t.rejects(file.read(Buffer.alloc(1), 0, 2, 0), { code: 'ERR_OUT_OF_RANGE' });
  await t.rejects(file.write(['text' as unknown as Buffer], 0), { code: 'ERR_INVALID_ARG_TYPE' });
  await file.close();
});

t.test('names', async (t) => {
  const folder = t.testdir();
  const at = (name: string): string => join(folder, name);
  for (const name of ['b', 'a', 'c']) writeFileSync(at(name), name);
  await nodeFileSystem.rename(at('c'), at('b'));
  t.same(await nodeFileSystem.list(folder), ['a', 'b']);
  t.equal(readFileSync(at('b'), 'utf8'), 'c');
  await nodeFileSystem.remove(at('a'));
  await nodeFileSystem.remove(at('a'));
  await nodeFileSystem.makeDirectory(at('x/y/z'));
  await nodeFileSystem.makeDirectory(at('x/y/z'));
  await nodeFileSystem.makeDirectory(at('x/y/w/'));
  await nodeFileSystem.syncDirectory(at('x'));
  t.same(await nodeFileSystem.list(folder), ['b', 'x']);
  t.same(await nodeFileSystem.list(at('x/y')), ['w', 'z']);
  t.same(await nodeFileSystem.list(at('nowhere')), []);
});

t.test('errors of names carry their codes', async (t) => {
  const folder = t.testdir({ file: '', folder: {} });
  const at = (name: string): string => join(folder, name);
  await t.rejects(nodeFileSystem.rename(at('nothing'), at('b')), { code: 'ENOENT' });
  await t.rejects(nodeFileSystem.remove(at('folder')), { code: /EISDIR|EPERM/ });
  await t.rejects(nodeFileSystem.list(at('file')), { code: 'ENOTDIR' });
  await t.rejects(nodeFileSystem.makeDirectory(at('file')), { code: 'EEXIST' });
  await t.rejects(nodeFileSystem.makeDirectory(at('file/below')), { code: 'ENOTDIR' });
  await t.rejects(nodeFileSystem.syncDirectory(at('nothing')), { code: 'ENOENT' });
  await t.rejects(nodeFileSystem.freeBytes(at('nothing')), { code: 'ENOENT' });
  await t.rejects(nodeFileSystem.open(at('nothing/file'), 'create'), { code: 'ENOENT' });
});

t.test('room on the disk', async (t) => {
  const free = await nodeFileSystem.freeBytes(t.testdir());
  t.ok(Number.isSafeInteger(free) && free > 0, String(free));
});
