// The command as an operator meets it: start-up line, signals, exit codes, errors on one line.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect } from 'amqplib';
import t, { type Test } from 'tap';
import { LEVERET_VERSION } from '../../lib/config-options.ts';
import { WireClient } from '../helper/wire-client.ts';
import { type LogLine, runCommand, startCommand } from './command.ts';

const READY = / ready on /;

t.test('--version prints the version and --help every flag', async (t) => {
  const [version, help] = await Promise.all([runCommand(t, ['--version']), runCommand(t, ['--help'])]);
  t.strictSame(version, { exitCode: 0, stdout: `${LEVERET_VERSION}\n`, stderr: '' });
  t.equal(help.exitCode, 0);
  t.match(help.stdout, /--port VALUE \(LEVERET_PORT, RABBITMQ_NODE_PORT\)/);
  t.match(help.stdout, /leveret log verify FOLDER/);
});

t.test('the start-up line tells where it listens, without a password', async (t) => {
  const command = startCommand(t, ['--port', '0', '--user', 'ann:hidden1:administrator']);
  const ready = await command.logged(READY);
  t.match(ready, { level: 'info', host: '127.0.0.1', port: Number, pid: command.process.pid });
  t.equal(ready.url, `amqp://127.0.0.1:${ready.port}`);
  t.match(ready.msg, /^leveret \d+\.\d+\.\d+ ready on amqp:\/\/127\.0\.0\.1:\d+, memory only \(\d+ ms\)$/);
  command.process.kill('SIGTERM');
  const { exitCode, stdout, stderr } = await command.ended;
  t.equal(exitCode, 0);
  t.notMatch(stdout + stderr, /hidden1/);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} closes clients with 320 and ends with code 0`, async (t) => {
    const command = startCommand(t, ['--port', '0']);
    const { port } = await command.logged(READY);
    const connection = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
    const closed = once(connection, 'close');
    connection.on('error', () => {});
    command.process.kill(signal);
    const [reason] = await closed;
    t.match(reason?.message, /320 \(CONNECTION-FORCED\)/);
    t.match(await command.logged(/leveret stopped/), { level: 'info' });
    t.match(await command.ended, { exitCode: 0, stderr: '' });
  });
}

t.test('a client that does not answer delays the end no longer than the shutdown timeout', async (t) => {
  const command = startCommand(t, ['--port', '0', '--shutdown-timeout-ms', '100']);
  await openSilentClient(t, await command.logged(READY));
  command.process.kill('SIGTERM');
  t.match(await command.ended, { exitCode: 0 });
});

t.test('environment, configuration file and flags reach the broker', async (t) => {
  const config = join(t.testdir({}), 'leveret.json');
  writeFileSync(config, JSON.stringify({ host: '127.0.0.2', port: 1, vhosts: ['/', 'file'] }));
  const command = startCommand(t, ['--port', '0'], {
    LEVERET_CONFIG: config,
    LEVERET_HOST: '127.0.0.1',
    RABBITMQ_DEFAULT_USER: 'ann',
    RABBITMQ_DEFAULT_PASS: 'secret',
  });
  const { host, port } = await command.logged(READY);
  t.equal(host, '127.0.0.1');
  const connection = await connect(`amqp://ann:secret@127.0.0.1:${port}/file`);
  await connection.close();
  await t.rejects(connect(`amqp://guest:guest@127.0.0.1:${port}`), /ACCESS_REFUSED|403/);
});

t.test('what the caller can mend is one line on standard error and exit code 1', async (t) => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const badFile = join(t.testdir({ 'bad.json': '{\n  "port": 1,\n}' }), 'bad.json');
  const cases: [string, string[], RegExp][] = [
    ['a port in use', ['--port', String(port)], new RegExp(`^leveret: port ${port} on 127\\.0\\.0\\.1 is in use`)],
    ['a wrong value', ['--port', '70000'], /^leveret: --port: 70000 is not an integer from 0 to 65535$/],
    ['an unknown flag', ['--prot', '1'], /^leveret: unknown flag --prot \(did you mean '--port'\?\)/],
    ['a broken file', ['--config', badFile], /^leveret: .*bad\.json:3:1: not JSON: a name in double quotes expected$/],
    [
      'no file',
      ['--config', '/nowhere/leveret.json'],
      /^leveret: configuration file \/nowhere\/leveret\.json: there is no/,
    ],
    ['a foreign address', ['--host', '192.0.2.1'], /^leveret: 192\.0\.2\.1 is no address of this machine/],
  ];
  for (const [title, args, message] of cases) {
    const { exitCode, stdout, stderr } = await runCommand(t, args);
    t.equal(exitCode, 1, `${title}: exit code`);
    t.equal(stdout, '', `${title}: nothing on standard output`);
    t.match(stderr, /^[^\n]+\n$/, `${title}: one line`);
    t.match(stderr.trimEnd(), message, `${title}: message`);
  }
});

t.test('a second signal ends a close that takes long', async (t) => {
  const command = startCommand(t, ['--port', '0', '--shutdown-timeout-ms', '600000']);
  await openSilentClient(t, await command.logged(READY));
  command.process.kill('SIGTERM');
  await command.logged(/closing connections/);
  // Signals in quick succession count as one, so it takes more than one more.
  const again = setInterval(() => command.process.kill('SIGTERM'), 50);
  t.teardown(() => clearInterval(again));
  t.match(await command.ended, { exitCode: 128 + 15 });
});

t.test('a fault of ours is a fatal line in the log and exit code 70', async (t) => {
  const fault = "process.on('SIGUSR2', () => { throw new Error('a bug'); });";
  const command = startCommand(t, ['--port', '0'], {}, [
    '--import',
    `data:text/javascript,${encodeURIComponent(fault)}`,
  ]);
  await command.logged(READY);
  command.process.kill('SIGUSR2');
  t.match(await command.logged(/leveret stops/), {
    level: 'fatal',
    err: { message: 'a bug', stack: /Error: a bug\n/ },
  });
  t.match(await command.ended, { exitCode: 70, stderr: '' });
});

/** Opens a connection that will not answer connection.close. */
async function openSilentClient(t: Test, { port }: LogLine): Promise<void> {
  const client = new WireClient(t, { url: '', host: '127.0.0.1', port: Number(port), broker: undefined });
  await client.open();
}
