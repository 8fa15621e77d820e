// Verify: of a sound folder, of one after a crash, and of every kind of damage.
import t from 'tap';
import { encodeFileHeader } from '../../lib/storage/file-header.ts';
import type { PageRun } from '../../lib/storage/page-index.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import {
  CHECKPOINT,
  checkpoint,
  FOLDER,
  flipped,
  folder,
  messages,
  PAGE,
  PAGE_RUNS,
  pageOf,
  segment,
  verify,
} from './inspect-helper.ts';

t.test('a sound folder', async (t) => {
  const { code, out } = await verify(folder());
  t.equal(code, 0);
  t.strictSame(out, [
    `checkpoint: ${checkpoint().length} bytes, behind record 11, log from segment 2, 1 virtual hosts, 1 users, 1 parameters, 1 exchanges, 2 queues, 1 bindings, 1 pages`,
    'log/0000000002.log: 118 bytes, records 10 to 11, 3 messages, 0 acknowledged, 0 changes of the topology',
    'log/0000000003.log: 102 bytes, records 12 to 13, 1 messages, 2 acknowledged, 1 changes of the topology',
    `pages/0000000005.page: ${PAGE.bytes.length} bytes, 4 messages of 2 queues, 3 of them alive`,
    'nothing is wrong',
  ]);
});

t.test('a folder that was just made', async (t) => {
  const fresh = new Map([[`${FOLDER}/log/0000000001.log`, encodeFileHeader('log', 1)]]);
  t.match(await verify(fresh), { code: 0, out: ['checkpoint: none yet', /no records/, 'nothing is wrong'] });
  t.match(await verify(new Map([[`${FOLDER}/log/x`, Buffer.alloc(0)]])), { code: 0 });
});

t.test('what a crash leaves is no problem', async (t) => {
  const [, newest] = [...folder()].filter(([name]) => name.endsWith('3.log'))[0];
  const cases: [changes: Record<string, Buffer>, line: RegExp][] = [
    [
      { 'log/0000000003.log': newest.subarray(0, newest.length - 1) },
      /^warning: log.*: at byte 57: record 13 is cut short.*the next start/,
    ],
    [
      { 'log/0000000003.log': Buffer.concat([newest.subarray(0, newest.length - 1), Buffer.alloc(5000)]) },
      /^warning: log.*: at byte 57: the checksum of record 13 is wrong.*5044 bytes/,
    ],
    [
      { 'log/0000000003.log': Buffer.concat([newest, Buffer.alloc(5000), Buffer.of(1)]) },
      /^warning: .*at byte 102: no record begins.*5001 bytes/,
    ],
    [
      { 'log/0000000004.log': Buffer.alloc(0) },
      /^warning: log\/0000000004.log: at byte 0: a segment that was only begun/,
    ],
    [{ 'log/0000000004.log': Buffer.alloc(32) }, /^warning: log\/0000000004.log: .*only begun/],
  ];
  for (const [changes, line] of cases) {
    const { code, out } = await verify(folder(changes));
    t.equal(code, 0);
    t.ok(
      out.some((each) => line.test(each)),
      `${line}`,
    );
    t.equal(out.at(-1), 'nothing is wrong, 1 warnings');
  }
  const leftovers = {
    'checkpoint.new': Buffer.from('half'),
    'log/0000000001.log': Buffer.from('old'),
    'pages/0000000006.page': Buffer.from('half'),
    'pages/0000000007.transient': Buffer.from('half'),
  };
  const { code, out } = await verify(folder(leftovers));
  t.equal(code, 0);
  for (const name of Object.keys(leftovers)) {
    t.ok(
      out.some((line) => line.startsWith(`${name}: `) && /next start removes it/.test(line)),
      name,
    );
  }
  t.equal(out.at(-1), 'nothing is wrong');
});

t.test('prepared space is no problem, at the end of any segment', async (t) => {
  const changes: Record<string, Buffer> = {};
  for (const [name, bytes] of folder()) {
    if (name.endsWith('.log')) changes[name.slice(FOLDER.length + 1)] = Buffer.concat([bytes, Buffer.alloc(5000)]);
  }
  const { code, out } = await verify(folder(changes));
  t.equal(code, 0);
  t.match(out[1], /^log\/0000000002.log: 118 bytes and 5000 of prepared space, records 10 to 11, 3 messages/);
  t.match(out[2], /^log\/0000000003.log: 102 bytes and 5000 of prepared space, records 12 to 13/);
  t.equal(out.at(-1), 'nothing is wrong');
});

t.test('a lazy segment may end in any damage', async (t) => {
  const bytes = segment(3, 12, [messages(1, 11, ['d']), messages(1, 12, ['e'])], true);
  bytes[60] ^= 1;
  t.match(await verify(folder({ 'log/0000000003.log': bytes })), { code: 0, out: { 4: /^warning|^pages/ } });
});

t.test('every kind of damage is told, and where it is', async (t) => {
  const sound = new Map([...folder()].map(([name, bytes]) => [name.slice(FOLDER.length + 1), bytes]));
  const two = sound.get('log/0000000002.log');
  const [pageSpec] = CHECKPOINT.pages;
  const [range] = pageSpec.ranges;
  const withRange = (change: object) =>
    checkpoint({ pages: [{ ...pageSpec, ranges: [{ ...range, ...change }, pageSpec.ranges[1]] }] });
  const cases: [name: string, changes: Record<string, Buffer | null>, problems: RegExp[]][] = [
    [
      'bit in the checkpoint',
      { checkpoint: flipped(sound.get('checkpoint'), 60) },
      [/checkpoint: at byte 32: the checksum/],
    ],
    [
      'half a checkpoint',
      { checkpoint: checkpoint().subarray(0, 90) },
      [/checkpoint: at byte 32: record 1 is cut short/],
    ],
    ['another file as checkpoint', { checkpoint: Buffer.from('hello') }, [/not a checkpoint/]],
    [
      'bit in the log',
      { 'log/0000000002.log': flipped(two, 60) },
      [/2.log: at byte 32: the checksum of record 10 is wrong, but record 11/],
    ],
    [
      'cut in the middle of the log',
      { 'log/0000000002.log': two?.subarray(0, -1) ?? null },
      [/2.log: at byte \d+: record 11 is cut short.*other segments follow/],
    ],
    ['no header', { 'log/0000000002.log': Buffer.alloc(0) }, [/2.log: at byte 0: not a log segment/]],
    [
      'another segment',
      { 'log/0000000003.log': two ?? null },
      [/3.log: at byte 16: the header is that of segment 2/, /3.log: it begins with record 10, not 12/],
    ],
    ['no segment', { 'log/0000000002.log': null }, [/log\/0000000002.log: the file is missing/]],
    [
      'no log',
      { 'log/0000000002.log': null, 'log/0000000003.log': null },
      [/log\/0000000002.log: the file is missing/],
    ],
    ['a gap', { 'log/0000000007.log': segment(7, 14, []) }, [/4.log: the files up to log\/0000000006.log are missing/]],
    [
      'missing records',
      { 'log/0000000003.log': segment(3, 14, [messages(1, 11, ['d'])]) },
      [/3.log: records 12 to 13 are missing/],
    ],
    ['missing beginning', { checkpoint: checkpoint({ sequence: 5 }) }, [/2.log: records 6 to 9 are missing/]],
    [
      'missing end',
      { checkpoint: checkpoint({ sequence: 20 }) },
      [/3.log: the log ends with record 13, but the checkpoint stands behind record 20/],
    ],
    ['no checkpoint', { checkpoint: null }, [/log\/0000000001.log: the file is missing/]],
    [
      'a strange entry',
      { 'log/0000000003.log': segment(3, 12, [Buffer.from([99])]) },
      [/3.log: at byte 52: entry 99 is none of the log's/],
    ],
    ['no page', { 'pages/0000000005.page': null }, [/5.page: the file is missing/]],
    ['half a page', { 'pages/0000000005.page': PAGE.bytes.subarray(0, -10) }, [/5.page: .*checksum of the footer/]],
    ['an empty page', { 'pages/0000000005.page': Buffer.alloc(0) }, [/5.page: .*not a page/]],
    ['a page of a header', { 'pages/0000000005.page': PAGE.bytes.subarray(0, 40) }, [/5.page: .*too short/]],
    [
      'another page',
      { 'pages/0000000005.page': pageOf(6, PAGE_RUNS).bytes },
      [/5.page: at byte 16: the header is that of page 6/],
    ],
    [
      'bit in a block',
      { 'pages/0000000005.page': flipped(PAGE.bytes, 90) },
      [/5.page: at byte 32: queue 1, positions 0 to 4: the checksum of a block/],
    ],
    [
      'bit in a block header',
      { 'pages/0000000005.page': flipped(PAGE.bytes, 32) },
      [/5.page: at byte 32: queue 1.*no block begins/],
    ],
    [
      'bit in a block length',
      { 'pages/0000000005.page': flipped(PAGE.bytes, 38) },
      [/5.page: at byte 32: queue 1.*beyond its run/],
    ],
    ['bit in the index', { 'pages/0000000005.page': flipped(PAGE.bytes, -40) }, [/5.page: .*checksum of the index/]],
    ['bit in the footer', { 'pages/0000000005.page': flipped(PAGE.bytes, -20) }, [/5.page: .*checksum of the footer/]],
    [
      'bytes',
      { checkpoint: checkpoint({ pages: [{ ...pageSpec, bytes: 9 }] }) },
      [/5.page: \d+ bytes, but the checkpoint tells of 9/],
    ],
    [
      'a range that is not there',
      { checkpoint: withRange({ last: 5 }) },
      [/queue 1, positions 0 to 5: .*the index does not/],
    ],
    [
      'a gap that is alive',
      { checkpoint: withRange({ dead: PositionSet.of([[1, 2]]) }) },
      [/position 3 is alive in the checkpoint/],
    ],
    ['another level', { checkpoint: withRange({ level: 1 }) }, [/not all positions are of level 1/]],
    ['more messages', { checkpoint: withRange({ count: 4 }) }, [/3 messages in the page, not 4/]],
    ['fewer messages', { checkpoint: withRange({ count: 1 }) }, [/more than 1 messages are alive in the checkpoint/]],
    ['a deadline', { checkpoint: withRange({ firstDeadlineMs: 7 }) }, [/the index has 0 as the earliest deadline/]],
    [
      'a transient message that is alive',
      { checkpoint: withRange({ dead: PositionSet.of([[2, 3]]) }) },
      [/position 1 is alive in the checkpoint/],
    ],
  ];
  for (const [name, changes, problems] of cases) {
    const { code, out } = await verify(folder(changes));
    t.equal(code, 1, name);
    const told = out.filter((line) => line.startsWith('problem: '));
    t.equal(told.length, problems.length, `${name}: ${told.join('\n')}`);
    for (const [i, problem] of problems.entries()) t.match(told[i], problem, name);
    for (const line of told) t.match(line, /; restore the data folder from a copy/, 'it says what to do');
    t.match(out.at(-1), new RegExp(`^${problems.length} problems`));
  }
});

t.test('blocks that are not what the index says', async (t) => {
  const cases: [change: Partial<PageRun>, problem: RegExp][] = [
    [{ count: 4 }, /3 messages, but the index tells of 4/],
    [{ firstDeadlineMs: 5 }, /the earliest deadline is 0, but the index tells of 5/],
    [{ last: 5 }, /3 messages, but the index tells of 3|index/],
    [{ last: 3 }, /positions 4 to 4|a block has positions/],
    [{ queueId: 9 }, /a block of queue 1/],
    [{ gaps: null }, /but the index tells of/],
    [{ gaps: PositionSet.of([[1, 1]]) }, /position 1 is in the page, but the index says it is not/],
    [{ transient: null }, /disagree on whether position 1 is transient/],
    [{ transient: PositionSet.of([[0, 1]]) }, /disagree on whether position 0 is transient/],
  ];
  for (const [change, problem] of cases) {
    const bytes = pageOf(5, PAGE_RUNS, (run) => (run.queueId === 1 ? { ...run, ...change } : run)).bytes;
    const pages = [{ number: 5, bytes: bytes.length, ranges: [] }];
    const { code, out } = await verify(folder({ 'pages/0000000005.page': bytes, checkpoint: checkpoint({ pages }) }));
    t.equal(code, 1);
    t.match(out.filter((line) => line.startsWith('problem: ')).join('\n'), problem);
  }
  for (const change of [{ offset: 33 }, { bytes: 10 }]) {
    const bytes = pageOf(5, PAGE_RUNS, (run) => ({ ...run, ...change })).bytes;
    const pages = [{ number: 5, bytes: bytes.length, ranges: [] }];
    const { out } = await verify(folder({ 'pages/0000000005.page': bytes, checkpoint: checkpoint({ pages }) }));
    t.match(out.join('\n'), /the runs do not stand side by side/);
  }
});
