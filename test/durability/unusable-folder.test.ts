// A data folder that a broker can not use: what an embedding program is told, and that the folder is left as it was.
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fanoutExchange } from '../../exchanges/fanout.ts';
import { type BrokerOptions, createBroker } from '../../lib/index.ts';
import { startCommand } from '../bin/command.ts';
import { againstPeer } from '../helper/broker.ts';
import { connectTo, temporaryFolder } from '../helper/durable-broker.ts';
import { Fault } from '../helper/durable-fault.ts';
import { drain } from '../helper/messages.ts';

const options = { skip: againstPeer && "a peer's files are its own matter" };

function open(dataDir: string, others: BrokerOptions = {}) {
  return createBroker({ port: 0, dataDir, ...others });
}

/** Makes a folder with a durable exchange that leads to a queue with one message. */
async function makeFolder(t: Test, others: BrokerOptions = {}, type = 'fanout'): Promise<string> {
  const dataDir = temporaryFolder(t);
  const broker = await open(dataDir, others);
  const { publisher } = await connectTo(t, broker.url);
  await publisher.assertExchange('e', type);
  await publisher.assertQueue('q');
  await publisher.bindQueue('q', 'e', '');
  publisher.publish('e', '', Buffer.from('1'), { persistent: true });
  await publisher.waitForConfirms();
  await broker.close();
  return dataDir;
}

/** Every file of a folder with what is in it. */
function contentsOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'hex')]));
}

async function isUsable(t: Test, dataDir: string, others: BrokerOptions = {}): Promise<void> {
  const broker = await open(dataDir, others);
  const { channel, publisher } = await connectTo(t, broker.url);
  t.same(await drain(channel, 'q'), ['1']);
  publisher.publish('e', '', Buffer.from('2'), { persistent: true });
  await publisher.waitForConfirms();
  t.same(await drain(channel, 'q'), ['2'], 'exchange and binding are there');
  await broker.close();
}

t.test('a folder that a broker of the same process uses', options, async (t) => {
  const dataDir = await makeFolder(t);
  const first = await open(dataDir);
  const expected = { code: 'ELOCKED', message: `the data folder '${dataDir}' is in use by another broker` };
  await t.rejects(open(dataDir), expected);
  await t.rejects(open(join(dataDir, '..', dataDir.split('/').at(-1) ?? '')), expected, 'by whatever name');
  await first.close();
  await isUsable(t, dataDir);
});

t.test('a folder that another process uses', options, async (t) => {
  const dataDir = await makeFolder(t);
  const command = startCommand(t, ['--port', '0', '--data-dir', dataDir]);
  await command.logged(/ ready on /);
  const message = `in use by another broker (process ${command.process.pid})`;
  await t.rejects(open(dataDir), { code: 'ELOCKED', message });
  command.process.kill('SIGTERM');
  await command.ended;
  await isUsable(t, dataDir);
});

t.test('a port in use leaves the folder to others', options, async (t) => {
  const dataDir = await makeFolder(t);
  const other = await createBroker({ port: 0 });
  t.teardown(() => other.close());
  await t.rejects(open(dataDir, { port: other.port }), { code: 'EADDRINUSE' });
  await isUsable(t, dataDir);
});

t.test('a file in its place, or above it', options, async (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, 'text');
  await t.rejects(open(file), { code: 'EEXIST', message: `the data folder '${file}' can not be used: EEXIST` });
  await t.rejects(open(join(file, 'below')), { code: 'ENOTDIR', message: /can not be used: ENOTDIR/ });
  t.equal(readFileSync(file, 'utf8'), 'text');
});

for (const [code, advice] of [
  ['EACCES', /the right to read and write/],
  ['ENOSPC', /make room/],
  ['EROFS', /can be written to/],
] as const) {
  // biome-ignore format: a table
  t.test(`${code} when it is made`, options, async (t) => {
    const dataDir = join(temporaryFolder(t), 'data');
    const fault = new Fault('mkdir', code);
    t.teardown(() => fault.end());
    fault.isOn = true;
    const expected = { code, message: new RegExp(`^the data folder '${dataDir}' can not be used: ${code}.*${advice.source}`) };
    await t.rejects(open(dataDir), expected);
  });
}

t.test('a damaged folder', options, async (t) => {
  const dataDir = await makeFolder(t);
  const path = join(dataDir, 'checkpoint');
  const bytes = readFileSync(path);
  bytes[bytes.length - 5] ^= 1;
  writeFileSync(path, bytes);
  const before = contentsOf(dataDir);
  await t.rejects(open(dataDir), {
    name: 'StorageError',
    message: new RegExp(`^${path}: .*leveret log verify ${dataDir}`),
  });
  t.same(contentsOf(dataDir), before);
  bytes[bytes.length - 5] ^= 1;
  writeFileSync(path, bytes);
  await isUsable(t, dataDir);
});

t.test('an exchange of a type that is not there any more', options, async (t) => {
  const exchangeTypes = [{ ...fanoutExchange, name: 'x-own' }];
  const dataDir = await makeFolder(t, { exchangeTypes }, 'x-own');
  const message = `the data folder holds exchange 'e' in vhost '/', which this broker can not have: unknown exchange type 'x-own'`;
  for (const _ of [1, 2]) await t.rejects(open(dataDir), { name: 'StorageError', message });
  await isUsable(t, dataDir, { exchangeTypes });
});

t.test('a folder with something else in it is used all the same', options, async (t) => {
  const dataDir = await makeFolder(t);
  mkdirSync(join(dataDir, 'lost+found'));
  writeFileSync(join(dataDir, 'notes.txt'), 'mine');
  writeFileSync(join(dataDir, 'log', 'notes.txt'), 'mine');
  await isUsable(t, dataDir);
  t.equal(readFileSync(join(dataDir, 'log', 'notes.txt'), 'utf8'), 'mine');
});

t.test('a copy of a folder is one of its own', options, async (t) => {
  const dataDir = await makeFolder(t);
  const copy = join(temporaryFolder(t), 'copy');
  const broker = await open(dataDir);
  cpSync(dataDir, copy, { recursive: true, filter: (path) => !path.endsWith('lock') });
  await isUsable(t, copy);
  await broker.close();
  await isUsable(t, dataDir);
});
