// The command and its data folder as an operator meets them: where it is, what is wrong with it, and a look into it.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import t, { type Test } from 'tap';
import { temporaryFolder } from '../helper/durable-broker.ts';
import { type Ending, runCommand, startCommand } from './command.ts';

const READY = / ready on /;
const FAULTS = ['--import', './test/helper/durable-fault.ts'];

/** A folder that a broker has used, with a message in queue `q`. */
async function usedFolder(t: Test): Promise<string> {
  const dataDir = join(temporaryFolder(t), 'data');
  const command = startCommand(t, ['--port', '0', '--data-dir', dataDir]);
  const { port } = await command.logged(READY);
  const connection = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('q');
  channel.sendToQueue('q', Buffer.from('a hare'), { persistent: true });
  await channel.waitForConfirms();
  await connection.close();
  command.process.kill('SIGTERM');
  t.match(await command.ended, { exitCode: 0, stderr: '' });
  return dataDir;
}

/** What can be mended is one line, and exit code 1. */
function refused(t: Test, { exitCode, stdout, stderr }: Ending, message: RegExp): void {
  t.equal(exitCode, 1);
  t.equal(stdout, '', 'nothing on standard output');
  t.match(stderr, /^leveret: [^\n]+\n$/, 'one line');
  t.match(stderr, message);
}

t.test('the start-up line names the folder, which is made', async (t) => {
  const dataDir = join(temporaryFolder(t), 'not', 'there', 'yet');
  const command = startCommand(t, ['--port', '0'], { LEVERET_DATA_DIR: dataDir });
  const ready = await command.logged(READY);
  t.equal(ready.dataDir, dataDir);
  t.match(ready.msg, `, data in ${dataDir} (`);
  t.same(readdirSync(dataDir).sort(), ['lock', 'log', 'pages']);
  command.process.kill('SIGTERM');
  t.match(await command.ended, { exitCode: 0, stderr: '' });
  t.same(readdirSync(dataDir).sort(), ['checkpoint', 'log', 'pages']);
});

t.test('a folder that another leveret uses', async (t) => {
  const dataDir = temporaryFolder(t);
  const first = startCommand(t, ['--port', '0', '--data-dir', dataDir]);
  await first.logged(READY);
  const pid = first.process.pid;
  const text = `the data folder '${dataDir}' is in use by another broker \\(process ${pid}\\)`;
  refused(t, await runCommand(t, ['--port', '0', '--data-dir', dataDir]), new RegExp(text));
  first.process.kill('SIGTERM');
  t.match(await first.ended, { exitCode: 0 });
});

t.test('a file in its place', async (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  const ending = await runCommand(t, ['--port', '0', '--data-dir', file]);
  refused(t, ending, /the data folder '.*file' can not be used: EEXIST: .*; it is no folder/);
});

for (const [code, advice] of [
  ['EACCES', 'give this user the right'],
  ['ENOSPC', 'make room'],
] as const) {
  // biome-ignore format: a table
  t.test(`a folder that can not be made: ${code}`, async (t) => {
    const dataDir = join(temporaryFolder(t), 'data');
    const env = { DURABLE_FAULT: `mkdir:${code}:on` };
    const command = startCommand(t, ['--port', '0', '--data-dir', dataDir], env, FAULTS);
    refused(t, await command.ended, new RegExp(`can not be used: ${code}: .*; ${advice}`));
  });
}

t.test('a damaged folder, and what leveret log says of it', async (t) => {
  const dataDir = await usedFolder(t);
  const path = join(dataDir, 'checkpoint');
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(path, bytes);
  refused(
    t,
    await runCommand(t, ['--port', '0', '--data-dir', dataDir]),
    /checkpoint: at byte \d+: .*leveret log verify/,
  );
  const verify = await runCommand(t, ['log', 'verify', dataDir]);
  t.equal(verify.exitCode, 1);
  t.match(verify.stdout + verify.stderr, /problem: .*checkpoint/);
});

t.test('leveret log verify and dump read a folder, be it in use or not', async (t) => {
  const dataDir = await usedFolder(t);
  const check = async (): Promise<void> => {
    t.match(await runCommand(t, ['log', 'verify', dataDir]), { exitCode: 0, stdout: /nothing is wrong/, stderr: '' });
    const { exitCode, stdout } = await runCommand(t, ['log', 'dump', dataDir]);
    t.equal(exitCode, 0);
    t.match(stdout, `"body":"${Buffer.from('a hare').toString('base64')}"`);
  };
  await check();
  const command = startCommand(t, ['--port', '0', '--data-dir', dataDir]);
  await command.logged(READY);
  await check();
});

t.test('leveret log tells how it is used', async (t) => {
  t.match(await runCommand(t, ['log', '--help']), { exitCode: 0, stdout: /^Usage: leveret log verify/, stderr: '' });
  t.match(await runCommand(t, ['log']), { exitCode: 2, stdout: '', stderr: /^leveret log: / });
  const nothing = join(temporaryFolder(t), 'empty');
  mkdirSync(nothing);
  t.match(await runCommand(t, ['log', 'verify', nothing]), { exitCode: 2, stderr: /is no data folder/ });
  t.same(readdirSync(nothing), [], 'it changes nothing');
});

t.test('a disk that is full from the start to the end', async (t) => {
  const dataDir = temporaryFolder(t);
  const command = startCommand(
    t,
    ['--port', '0', '--data-dir', dataDir],
    { DURABLE_FAULT: 'writev:ENOSPC:on' },
    FAULTS,
  );
  // There may be room soon, so that is no reason not to start.
  await command.logged(READY);
  command.process.kill('SIGTERM');
  t.match(await command.logged(/leveret stops/), { level: 'fatal', err: { code: 'ENOSPC' } });
  t.match(await command.ended, { exitCode: 70, stderr: '' });
});
