// The command itself: its usage, its output, its memory, and a broker that works in the folder meanwhile.
import { PassThrough, Writable } from 'node:stream';
import t from 'tap';
import { LOG_USAGE, runLogCommand } from '../../lib/storage/inspect-command.ts';
import { ReadOnlyFiles } from './format-helper.ts';
import { checkpoint, type Files, FOLDER, folder, message, messages, pageOf, run, segment } from './inspect-helper.ts';

t.test('bad usage', async (t) => {
  const fs = new ReadOnlyFiles([]);
  const cases: [argv: string[], error: RegExp][] = [
    [[], /verify or dump\?/],
    [['repair', FOLDER], /no such command: repair/],
    [['verify'], /verify which folder\?/],
    [['dump', FOLDER, 'another'], /one folder, not 2/],
    [['verify', '--full', FOLDER], /are for dump/],
    [['dump', '--everything', FOLDER], /Unknown option '--everything'/],
  ];
  for (const [argv, error] of cases) {
    const { code, out, errors } = await run(argv, fs);
    t.equal(code, 2);
    t.strictSame(out, []);
    t.match(errors[0], error);
    t.match(errors.join('\n'), /Usage: leveret log verify/);
  }
  t.match(await run(['verify', FOLDER], fs), { code: 2, errors: [/\/data is no data folder of Leveret/] });
  t.match(await run(['--help'], fs), { code: 0, out: LOG_USAGE.trimEnd().split('\n'), errors: [] });
});

t.test('on the disk itself', async (t) => {
  const tree: Record<string, Buffer | Record<string, Buffer>> = { log: {}, pages: {} };
  for (const [path, bytes] of folder()) {
    const [first, second] = path.slice(FOLDER.length + 1).split('/');
    if (second === undefined) tree[first] = bytes;
    else Object.assign(tree[first], { [second]: bytes });
  }
  const directory = t.testdir(tree);
  const outcome = async (...argv: string[]) => {
    const [out, errors] = [new PassThrough(), new PassThrough()];
    const code = await runLogCommand(argv, out.resume(), errors);
    return { code, errors: `${errors.read() ?? ''}` };
  };
  t.match(await outcome('verify', directory), { code: 0, errors: '' });
  t.match(await outcome('dump', '--pages', directory), { code: 0, errors: '' });
  t.match(await outcome('verify', `${directory}/nowhere`), { code: 2, errors: /is no data folder/ });
  t.match(await outcome('verify', `${directory}/checkpoint`), { code: 2, errors: /ENOTDIR/ });
});

t.test('nobody reads the output any more', async (t) => {
  const closing = () =>
    new Writable({
      highWaterMark: 10,
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    });
  const fs = new ReadOnlyFiles(folder());
  t.equal(await runLogCommand(['dump', FOLDER], closing(), new PassThrough(), fs), 0);
  t.equal(await runLogCommand(['verify', FOLDER], closing(), new PassThrough(), fs), 0);
  t.equal(await runLogCommand(['--help'], closing(), new PassThrough(), fs), 0, 'with its only line');
  const destroyed = new PassThrough();
  destroyed.destroy();
  t.equal(await runLogCommand(['dump', FOLDER], destroyed, new PassThrough(), fs), 0);
  t.equal(fs.openFiles, 0);
  const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('ENOSPC')) });
  await t.rejects(runLogCommand(['dump', FOLDER], full, new PassThrough(), fs), /ENOSPC/);
});

t.test('a slow reader of the output is waited for', async (t) => {
  const bodies = Array.from({ length: 2000 }, (_, i) => `body ${i}`);
  const files = folder({ 'log/0000000002.log': segment(2, 10, [messages(1, 8, bodies), messages(1, 3000, bodies)]) });
  files.delete(`${FOLDER}/log/0000000003.log`);
  let lines = 0;
  let most = 0;
  const slow: Writable = new Writable({
    highWaterMark: 1000,
    write: (chunk, _encoding, done) => {
      lines += `${chunk}`.split('\n').length - 1;
      most = Math.max(most, slow.writableLength);
      setImmediate(done);
    },
  });
  t.equal(await runLogCommand(['dump', FOLDER], slow, new PassThrough(), new ReadOnlyFiles(files)), 0);
  t.ok(lines > 4000);
  t.ok(most < 5000, `${most} bytes waited at most`);
});
t.test('a page is not read into memory as a whole', async (t) => {
  const body = Buffer.alloc(200_000, 'x');
  const blocks = Array.from({ length: 100 }, (_, i) => [[i, message(body)]] as const);
  const large = message(Buffer.alloc(9_000_000));
  const { bytes } = pageOf(5, [{ queueId: 1, blocks: [...blocks, [[100, large]]] }]);
  const pages = [{ number: 5, bytes: bytes.length, ranges: [] }];
  const fs = new ReadOnlyFiles(folder({ 'pages/0000000005.page': bytes, checkpoint: checkpoint({ pages }) }));
  const { code, out } = await run(['verify', FOLDER], fs);
  t.equal(code, 0, out.join('\n'));
  t.match(out.join('\n'), /101 messages of 1 queues/);
  t.ok(fs.largestRead < 10_000_000, 'no more than the largest message');
  t.match((await run(['dump', '--pages', FOLDER], fs)).out.at(-1), /"position":100/);
});

/** A folder in which a broker replaces files between two looks of ours. */
class BusyFiles extends ReadOnlyFiles {
  readonly #after: Files;
  readonly #trigger: RegExp;

  constructor(before: Files, after: Files, trigger: RegExp) {
    super(before);
    this.#after = after;
    this.#trigger = trigger;
  }

  override async open(path: string, mode: 'create' | 'update' | 'read') {
    const file = await super.open(path, mode);
    if (this.#trigger.test(path)) {
      this.files.clear();
      for (const [name, bytes] of this.#after) this.files.set(name, bytes);
    }
    return file;
  }
}

t.test('what a running broker removes meanwhile is not missed', async (t) => {
  const after = folder({
    checkpoint: checkpoint({ firstSegment: 3, sequence: 13, pages: [] }),
    'log/0000000002.log': null,
    'pages/0000000005.page': null,
  });
  for (const trigger of [/checkpoint$/, /2\.log$/, /3\.log$/]) {
    const { code, out } = await run(['verify', FOLDER], new BusyFiles(folder(), after, trigger));
    t.equal(code, 0, `${trigger}: ${out.join('\n')}`);
    const dumped = await run(['dump', '--pages', FOLDER], new BusyFiles(folder(), after, trigger));
    t.equal(dumped.code, 0);
    t.strictSame(dumped.errors, []);
  }
});
