// What `npm pack` packs works where it is installed: the import, its types, and the command.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { LEVERET_VERSION } from '../lib/config-options.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

// npm and tsc on a busy machine, and the network when the cache has not what the package needs.
t.setTimeout(300_000);

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without the variables that npm and tap set for the test itself. Its failure shows what it printed. */
function run(cwd: string, program: string, args: readonly string[]): Promise<Output> {
  const env = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|LEVERET_|RABBITMQ_|NODE_OPTIONS|_?TAP)/i.test(name),
  );
  // tap puts its own hooks into NODE_OPTIONS of every child, and tsc fails with them.
  const options = { cwd, env: Object.fromEntries(env), timeout: 240_000 };
  return promisify(execFile)('env', ['-u', 'NODE_OPTIONS', program, ...args], options).catch(
    (error: Error & Output) => {
      throw new Error(`${error.message}\n${error.stdout}${error.stderr}`);
    },
  );
}

/** A copy of what is packed, so that the build leaves the checkout and its dist alone. */
function copySources(to: string): void {
  for (const name of ['codec', 'exchanges', 'lib', 'bin'])
    cpSync(join(ROOT, name), join(to, name), { recursive: true });
  for (const name of [
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'README.md',
    'CHANGELOG.md',
    'ARCHITECTURE.md',
    'LICENSE',
  ]) {
    if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(to, name));
  }
}

const USE = `
import { createBroker } from 'leveret';
const broker = await createBroker({ port: 0 });
console.log(new URL(broker.url).protocol, broker.port > 0);
await broker.close();
`;

const TYPED_USE = `
import { type Broker, type BrokerOptions, createBroker } from 'leveret';
const options: BrokerOptions = { port: 0, users: [{ name: 'ann', password: 'secret' }], memoryLimitBytes: '40%' };
const broker: Broker = await createBroker(options);
const url: string = broker.url;
// @ts-expect-error: the types are real ones, so a port is no text
await createBroker({ port: '5672' });
await broker.close();
export { url };
`;

t.test('the packed package works elsewhere', { skip: process.platform === 'win32' && 'needs env' }, async (t) => {
  const source = t.testdir({});
  copySources(source);
  // Beyond the project's own node_modules, so that nothing is found that the package doesn't bring along.
  const consumer = mkdtempSync(join(tmpdir(), 'leveret-package-'));
  t.teardown(() => rmSync(consumer, { recursive: true, force: true }));
  const packed = await run(source, 'npm', ['pack', '--json', '--pack-destination', consumer]);
  // What the build prints comes first.
  const [{ filename, files }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('[')));

  const paths: string[] = files.map((file: { path: string }) => file.path);
  for (const path of [
    'dist/lib/index.js',
    'dist/lib/index.d.ts',
    'dist/bin/leveret.js',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ]) {
    t.ok(paths.includes(path), `packs ${path}`);
  }
  t.notOk(
    paths.some((path) => /^(test|spec|lib|codec)\//.test(path)),
    'packs no sources and no tests',
  );

  writeFileSync(join(consumer, 'package.json'), '{ "type": "module", "private": true }');
  writeFileSync(join(consumer, 'use.js'), USE);
  writeFileSync(join(consumer, 'use.ts'), TYPED_USE);
  await run(consumer, 'npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(consumer, filename)]);

  const used = await run(consumer, process.execPath, ['use.js']);
  t.equal(used.stdout, 'amqp: true\n', 'a program imports it, starts a broker, closes it, and ends');
  t.equal(used.stderr, '');

  const version = await run(consumer, 'npx', ['--no-install', 'leveret', '--version']);
  t.equal(version.stdout, `${LEVERET_VERSION}\n`, 'the command is there');

  const nodeModules = join(ROOT, 'node_modules');
  for (const name of ['@types/node', 'undici-types']) {
    cpSync(join(nodeModules, name), join(consumer, 'node_modules', name), { recursive: true });
  }
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  const tsc = join(nodeModules, '.bin', 'tsc');
  await t.resolves(
    run(consumer, tsc, [...options, 'use.ts']),
    "a program's types check, those of the package included",
  );
});
