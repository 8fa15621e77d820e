// The checkpoint: byte by byte, back into what it was written from, and what is said of one that is damaged.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { emptyFieldTable } from '../../codec/field-table.ts';
import { LEVEL_SPAN } from '../../lib/core/positions.ts';
import {
  type CheckpointPage,
  type CheckpointQueue,
  type CheckpointRange,
  type CheckpointState,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../lib/storage/checkpoint-format.ts';
import { encodeFileHeader } from '../../lib/storage/file-header.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { RECORD_HEADER_BYTES, scanRecords } from '../../lib/storage/records.ts';
import { anyString, fieldTable } from '../codec/arbitraries.ts';
import { hex } from '../codec/helper.ts';
import { formatError, intervalsOf, positionSet, recordOf, safeInteger } from './format-helper.ts';

const PAYLOAD = hex(`
  20 03 e807 06 0a
  10 01 2f
  12 05 6775657374 02 7b7d
  1a 01 2f 06 706f6c696379 01 70 02 7b7d
  14 01 2f 04 6c6f6773 05 746f706963 03 08 00000004 01 61 74 01
  16 05 01 2f 04 6a6f6273 01 04 00000000
  21 05 c801 10 01 0c 02
  21 05 82808080808004 81808080808004 00
  18 01 2f 04 6c6f6773 01 03 616c6c 03 612e23 04 00000000
  22 09 8020 01 05 00 0a 0f 06 80a0f1c2b134 20 52 01 0b 03
  3f 0a
`);
const HEADER = hex('4c45564552 43484b 0100 0000 00000000 0000000000000000 00000000 adc690b0');
const RECORD_HEADER = hex('4c435244 8f000000 0100000000000000 da349557');
const FILE = Buffer.concat([HEADER, RECORD_HEADER, PAYLOAD]);

const STATE: CheckpointState = {
  firstSegment: 3,
  isClean: false,
  sequence: 1000,
  nextQueueId: 6,
  nextPage: 10,
  vhosts: ['/'],
  users: [{ name: 'guest', json: Buffer.from('{}') }],
  parameters: [{ virtualHost: '/', component: 'policy', name: 'p', json: Buffer.from('{}') }],
  exchanges: [
    {
      vhost: '/',
      name: 'logs',
      type: 'topic',
      autoDelete: true,
      internal: true,
      arguments: new Map([['a', { type: 't', value: true }]]),
    },
  ],
  queues: [
    {
      queueId: 5,
      vhost: '/',
      name: 'jobs',
      autoDelete: true,
      arguments: emptyFieldTable,
      levels: [
        { nextPosition: 200, deliveredTo: 16 },
        { nextPosition: LEVEL_SPAN + 2, deliveredTo: LEVEL_SPAN + 1 },
      ],
      deliveryCounts: [[12, 2]],
    },
  ],
  bindings: [
    {
      vhost: '/',
      source: 'logs',
      destinationKind: 'exchange',
      destination: 'all',
      bindingKey: 'a.#',
      arguments: emptyFieldTable,
    },
  ],
  pages: [
    {
      number: 9,
      bytes: 4096,
      ranges: [
        {
          queueId: 5,
          level: 0,
          first: 10,
          last: 15,
          count: 6,
          firstDeadlineMs: 1_800_000_000_000,
          offset: 32,
          bytes: 82,
          dead: PositionSet.of([[11, 14]]),
        },
      ],
    },
  ],
};

const EMPTY: CheckpointState = {
  firstSegment: 1,
  isClean: false,
  sequence: 0,
  nextQueueId: 1,
  nextPage: 1,
  vhosts: [],
  users: [],
  parameters: [],
  exchanges: [],
  queues: [],
  bindings: [],
  pages: [],
};

/** With the sets as lists, which compare. */
function plain(state: CheckpointState): unknown {
  const pages = state.pages.map((page) => ({
    ...page,
    ranges: page.ranges.map((range) => ({ ...range, dead: intervalsOf(range.dead) })),
  }));
  return { ...state, pages };
}

t.test('a checkpoint byte by byte', async (t) => {
  t.strictSame(Buffer.concat(encodeCheckpoint(STATE)), FILE);
  t.strictSame(plain(decodeCheckpoint(FILE)), plain(STATE));
  t.strictSame(decodeCheckpoint(Buffer.concat(encodeCheckpoint(EMPTY))), EMPTY);
});

const plainRecord = { noNullPrototype: true } as const;
const queue: fc.Arbitrary<CheckpointQueue> = fc.record(
  {
    queueId: safeInteger,
    vhost: anyString,
    name: anyString,
    autoDelete: fc.boolean(),
    arguments: fieldTable,
    levels: fc.array(fc.record({ nextPosition: safeInteger, deliveredTo: safeInteger }, plainRecord), {
      minLength: 1,
      maxLength: 3,
    }),
    deliveryCounts: fc.array(fc.tuple(safeInteger, safeInteger), { maxLength: 3 }),
  },
  plainRecord,
);
const range: fc.Arbitrary<CheckpointRange> = fc.record(
  {
    queueId: safeInteger,
    level: fc.nat({ max: 511 }),
    first: safeInteger,
    last: safeInteger,
    count: safeInteger,
    firstDeadlineMs: safeInteger,
    offset: safeInteger,
    bytes: safeInteger,
    dead: positionSet,
  },
  plainRecord,
);
const page: fc.Arbitrary<CheckpointPage> = fc.record(
  { number: safeInteger, bytes: safeInteger, ranges: fc.array(range, { maxLength: 4 }) },
  plainRecord,
);
const state: fc.Arbitrary<CheckpointState> = fc.record(
  {
    firstSegment: safeInteger,
    isClean: fc.boolean(),
    sequence: safeInteger,
    nextQueueId: safeInteger,
    nextPage: safeInteger,
    vhosts: fc.array(anyString, { maxLength: 3 }),
    users: fc.array(fc.record({ name: anyString, json: fc.json().map((json) => Buffer.from(json)) }, plainRecord), {
      maxLength: 3,
    }),
    parameters: fc.array(
      fc.record(
        {
          virtualHost: anyString,
          component: anyString,
          name: anyString,
          json: fc.json().map((json) => Buffer.from(json)),
        },
        plainRecord,
      ),
      { maxLength: 3 },
    ),
    exchanges: fc.array(
      fc.record(
        {
          vhost: anyString,
          name: anyString,
          type: anyString,
          autoDelete: fc.boolean(),
          internal: fc.boolean(),
          arguments: fieldTable,
        },
        plainRecord,
      ),
      { maxLength: 3 },
    ),
    queues: fc.array(queue, { maxLength: 4 }),
    bindings: fc.array(
      fc.record(
        {
          vhost: anyString,
          source: anyString,
          destinationKind: fc.constantFrom('queue' as const, 'exchange' as const),
          destination: anyString,
          bindingKey: anyString,
          arguments: fieldTable,
        },
        plainRecord,
      ),
      { maxLength: 3 },
    ),
    pages: fc.array(page, { maxLength: 4 }),
  },
  plainRecord,
);

t.test('what was written is read again', async () => {
  fc.assert(
    fc.property(state, (each) => {
      assert.deepStrictEqual(plain(decodeCheckpoint(Buffer.concat(encodeCheckpoint(each)))), plain(each));
    }),
    { numRuns: 300 },
  );
});

/** Queues with a range each, as generators. */
function many(count: number): Parameters<typeof encodeCheckpoint>[0] {
  function* queues(): Generator<CheckpointQueue> {
    for (let i = 0; i < count; i++) yield { ...STATE.queues[0], queueId: i, name: `queue ${i}` };
  }
  function* pages(): Generator<CheckpointPage> {
    for (let i = 0; i < count; i += 1000) {
      const ranges = Array.from({ length: 1000 }, (_, j) => ({ ...STATE.pages[0].ranges[0], queueId: i + j }));
      yield { number: i, bytes: 1_000_000, ranges };
    }
  }
  return { ...STATE, queues: queues(), pages: pages() };
}

t.test('100,000 queues with a range each: records of a mebibyte', async (t) => {
  const pieces = encodeCheckpoint(many(100_000));
  const [, ...records] = pieces;
  t.ok(records.length > 3);
  for (const record of records.slice(0, -1)) t.ok(record.length >= 1024 * 1024 && record.length < 1.2 * 1024 * 1024);
  const read = decodeCheckpoint(Buffer.concat(pieces));
  t.equal(read.queues.length, 100_000);
  t.equal(read.queues[99_999].name, 'queue 99999');
  t.equal(read.pages.length, 100);
  t.equal(read.pages[99].ranges[999].queueId, 99_999);
});

t.test('a checkpoint that is cut or changed anywhere is a FormatError', async (t) => {
  for (let end = 0; end < FILE.length; end++) formatError(() => decodeCheckpoint(FILE.subarray(0, end)));
  for (let bit = 0; bit < FILE.length * 8; bit++) {
    const changed = Buffer.from(FILE);
    changed[bit >> 3] ^= 1 << (bit & 7);
    formatError(() => decodeCheckpoint(changed));
  }
  const problemOf = (bytes: Buffer) => formatError(() => decodeCheckpoint(bytes));
  t.match(problemOf(Buffer.alloc(0)).reason, /not a checkpoint: 0 bytes/);
  t.match(problemOf(encodeFileHeader('log', 1)).reason, /a log segment, not a checkpoint/);
  t.match(problemOf(HEADER), { reason: 'the checkpoint is cut short', offset: 32 });
  const torn = FILE.subarray(0, FILE.length - 1);
  t.match(problemOf(torn), { reason: 'record 1 is cut short: 142 of its 143 bytes are there', offset: 32 });
  t.match(problemOf(Buffer.concat([FILE, Buffer.alloc(30)])), { reason: 'no record begins here', offset: FILE.length });
});

/** A checkpoint with these entries in one record, whose checksum is good. */
function fileOf(...payloads: string[]): Buffer {
  return Buffer.concat([HEADER, ...payloads.map((payload, i) => recordOf(i + 1, hex(payload)))]);
}

t.test('entries that make no checkpoint are refused', async (t) => {
  const head = '20 01 00 01 01';
  const queueEntry = '16 05 00 00 00 04 00000000';
  const cases: [payloads: string[], problem: RegExp][] = [
    [[], /cut short/],
    [[head], /cut short/],
    [['10 00'], /entry 32 has to be the first/],
    [[`${head} ${head}`], /entry 32 has to be the first, and the only one/],
    [[`${head} 3f 02`], /has 1 entries, and should have 2/],
    [[`${head} 3f 01 10 00`], /behind the end/],
    [[`${head} 3f 01`, '10 00'], /behind the end/],
    [[`${head} ${queueEntry} 3f 02`], /side by side/],
    [[`${head} 21 05 00 00 00`], /side by side/],
    [[`${head} ${queueEntry} 21 05 00 00 00 10 00 21 05 01 00 00`], /side by side/],
    [[`${head} ${queueEntry} 21 05 00 00 00 21 06 01 00 00`], /the state of queue 6 follows queue 5/],
    [[`${head} ${queueEntry} 21 05 00 00 00 21 05 01 00 01 00 01`], /delivery counts stand with the first/],
    [[`${head} ${queueEntry} 21 06 00 00 00`], /the state of queue 6 follows queue 5/],
    [[`${head} 04 01 01`], /entry 4 is none of a checkpoint's/],
    [[`${head} 63`], /entry 99 is none of a checkpoint's/],
    [[`${head} 22 01`], /cut short/],
  ];
  for (const [payloads, problem] of cases) {
    const error = formatError(() => decodeCheckpoint(fileOf(...payloads)));
    t.match(error.message, problem);
    t.ok(error.offset >= 32);
  }
  t.strictSame(decodeCheckpoint(fileOf(head, '3f 01')), EMPTY, 'entries may stand in several records');
});

t.test('an entry that is larger than a record is not split', async (t) => {
  const ranges = Array.from({ length: 200_000 }, (_, i) => ({ ...STATE.pages[0].ranges[0], queueId: i }));
  const file = Buffer.concat(encodeCheckpoint({ ...STATE, pages: [{ number: 1, bytes: 5, ranges }] }));
  const { records } = scanRecords(file, 32, file.length, 1);
  t.equal(records.length, 2);
  t.ok(records[0].end - records[0].start > 2 * 1024 * 1024);
  t.equal(records[1].end - records[1].start, 2);
  t.equal(records[1].start - records[0].end, RECORD_HEADER_BYTES);
  t.equal(decodeCheckpoint(file).pages[0].ranges.length, 200_000);
});
