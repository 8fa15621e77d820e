// The lock of a data folder: one holder at any time, and none once its process is gone, however it went.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { nodeFileSystem } from '../../lib/storage/node-file-system.ts';
import { LockProcess } from '../helper/lock-process.ts';

const CONTENDERS = 8;
const { lock } = nodeFileSystem;

/** A folder with a short path, and the path of its lock. */
function folderOf(t: Test): { folder: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return { folder, path: join(folder, 'lock') };
}

/** Leaves a lock behind whose holder was killed. */
async function leaveStale(t: Test, path: string): Promise<void> {
  const holder = await LockProcess.start(t);
  t.equal(await holder.lock(path), 'done');
  await holder.kill();
}

t.test('two brokers in one process exclude each other', async (t) => {
  const { folder, path } = folderOf(t);
  const release = await lock(path);
  await t.rejects(lock(path), {
    code: 'ELOCKED',
    message: `the data folder '${folder}' is in use by another broker (process ${process.pid}). Stop that one, or give this one a data folder of its own.`,
  });
  t.same(readdirSync(folder), ['lock']);
  await Promise.all([release(), release()]);
  await release();
  t.same(readdirSync(folder), []);
  await (await lock(path))();
});

t.test('of several in one process that start at once, one wins', async (t) => {
  const { folder, path } = folderOf(t);
  for (let round = 0; round < 20; round++) {
    const results = await Promise.allSettled(Array.from({ length: CONTENDERS }, () => lock(path)));
    const winners = results.filter((result) => result.status === 'fulfilled');
    t.equal(winners.length, 1);
    t.same(readdirSync(folder), ['lock']);
    for (const { value } of winners) await value();
  }
});

t.test('a release leaves alone what another has taken since', async (t) => {
  const { folder, path } = folderOf(t);
  const release = await lock(path);
  renameSync(path, join(folder, 'moved')); // somebody moves it by hand
  const releaseOther = await lock(path);
  await release();
  t.equal(readdirSync(path).length, 1);
  await t.rejects(lock(path), { code: 'ELOCKED' });
  await releaseOther();
});

t.test('another process holds it, is killed, and the next takes over', async (t) => {
  const { folder, path } = folderOf(t);
  const holder = await LockProcess.start(t);
  t.equal(await holder.lock(path), 'done');
  await t.rejects(lock(path), { code: 'ELOCKED', message: new RegExp(`\\(process ${holder.pid}\\)`) });
  await holder.kill();
  t.equal(readdirSync(path).length, 1, 'the dead socket is there');
  const release = await lock(path);
  t.equal(readdirSync(path).length, 1, 'only the new one is there');
  await release();
  t.same(readdirSync(folder), []);
});

t.test('a lock keeps no process alive, and ends with it', async (t) => {
  const { path } = folderOf(t);
  const holder = await LockProcess.start(t);
  t.equal(await holder.lock(path), 'done');
  await holder.end();
  await (await lock(path))();
});

t.test('a holder that is busy or stopped still holds it', async (t) => {
  const { path } = folderOf(t);
  const holder = await LockProcess.start(t);
  t.equal(await holder.lock(path), 'done');
  holder.signal('SIGSTOP');
  await t.rejects(lock(path), { code: 'ELOCKED', message: /is in use by another broker\. Stop/ });
});

t.test('paths longer than a socket may have', async (t) => {
  const folder = join(folderOf(t).folder, 'long'.repeat(30), 'ünïcode'.repeat(10));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'lock');
  await leaveStale(t, path);
  const release = await lock(path);
  const other = await LockProcess.start(t);
  t.match(await other.lock(path), new RegExp(`^ELOCKED .*\\(process ${process.pid}\\)`));
  await release();
  t.same(readdirSync(folder), []);
  t.equal(await other.lock(path), 'done');
  await t.rejects(lock(path), { code: 'ELOCKED', message: new RegExp(`\\(process ${other.pid}\\)`) });
  t.equal(await other.release(), 'done');
  t.same(readdirSync(folder), []);
});

t.test('processes that start at once: one wins, also over a stale lock', async (t) => {
  const { folder, path } = folderOf(t);
  let processes = await Promise.all(Array.from({ length: CONTENDERS }, () => LockProcess.start(t)));
  for (let round = 0; processes.length > 1; round++) {
    const answers = await Promise.all(processes.map((process) => process.lock(path)));
    const winners = processes.filter((_, i) => answers[i] === 'done');
    t.equal(winners.length, 1, `round ${round}: ${answers.join('; ')}`);
    t.equal(answers.filter((answer) => answer.startsWith('ELOCKED')).length, processes.length - 1);
    t.same(readdirSync(folder), ['lock']);
    const [winner] = winners;
    if (round % 4 !== 3) {
      t.equal(await winner.release(), 'done');
      continue;
    }
    await winner.kill();
    processes = processes.filter((process) => process !== winner);
  }
});

t.test('what a killed start left behind is removed, once it is old', async (t) => {
  const { folder, path } = folderOf(t);
  await leaveStale(t, path);
  const [old, recent, empty] = ['lock.0123456789ab', 'lock.cdef01234567', 'lock.000000000000'].map((n) =>
    join(folder, n),
  );
  renameSync(path, old);
  await leaveStale(t, path);
  renameSync(path, recent);
  mkdirSync(empty);
  mkdirSync(join(folder, 'lock.else'));
  for (const leftover of [old, empty]) utimesSync(leftover, 0, 0);
  await (await lock(path))();
  t.same(readdirSync(folder), ['lock.cdef01234567', 'lock.else']);
});

t.test('a leftover that lives is left alone', async (t) => {
  const { folder, path } = folderOf(t);
  const living = join(folder, 'lock.0123456789ab');
  mkdirSync(living);
  const server = createServer((socket) => socket.end()).listen(join(living, '0123456789ab'));
  t.teardown(() => server.close());
  utimesSync(living, 0, 0);
  await (await lock(path))();
  t.same(readdirSync(living), ['0123456789ab']);
});

t.test('somebody who asks and stays does not keep the lock from being released', async (t) => {
  const { path } = folderOf(t);
  const release = await lock(path);
  const socket = connect(join(path, readdirSync(path)[0])).on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  await release();
  t.notOk(existsSync(path));
});

t.test('what stands in the way is named', async (t) => {
  const { folder, path } = folderOf(t);
  await t.rejects(lock(join(folder, 'nowhere', 'lock')), {
    code: 'ENOENT',
    message: new RegExp(`^cannot lock the data folder '${join(folder, 'nowhere')}'`),
  });
  writeFileSync(path, 'what an other program left');
  await t.rejects(lock(path), { code: 'ENOTDIR', message: /^cannot lock the data folder/ });
  t.ok(statSync(path).isFile());
  const other = join(folder, 'other');
  mkdirSync(join(other, 'something'), { recursive: true });
  await t.rejects(lock(other), { message: /other\/something' does not belong there, and must be moved away/ });
});
