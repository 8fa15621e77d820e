// Reading a segment whole, and what is left of one that was only begun.
import assert from 'node:assert/strict';
import t from 'tap';
import { FormatError } from '../../lib/storage/byte-reader.ts';
import { encodeFileHeader } from '../../lib/storage/file-header.ts';
import { readSegment, type Segment, UnfinishedSegmentError } from '../../lib/storage/segment-reader.ts';
import { ReadOnlyFiles, recordOf } from './format-helper.ts';

const PATH = 'log/0000000007.log';
const HEADER = encodeFileHeader('log', 7);

function records(...sequences: number[]): Buffer {
  return Buffer.concat(sequences.map((sequence) => recordOf(sequence, Buffer.from(`payload ${sequence}`))));
}

async function read(bytes: Buffer, ...rest: [into?: Buffer, expectedSequence?: number]): Promise<Segment> {
  const fs = new ReadOnlyFiles([[PATH, bytes]]);
  try {
    return await readSegment(fs, PATH, ...rest);
  } finally {
    assert.equal(fs.openFiles, 0, 'the file is closed');
  }
}

t.test('all records of a segment', async (t) => {
  const bytes = Buffer.concat([HEADER, records(41, 42)]);
  const segment = await read(bytes);
  t.match(segment, {
    number: 7,
    lazy: false,
    end: bytes.length,
    size: bytes.length,
    problem: null,
    laterSequence: null,
  });
  t.strictSame(
    segment.records.map(({ start, end, sequence }) => [sequence, segment.buffer.toString('latin1', start, end)]),
    [
      [41, 'payload 41'],
      [42, 'payload 42'],
    ],
  );
  t.match(await read(bytes, undefined, 40), { records: [], end: 32, problem: { offset: 32 }, laterSequence: 41 });
});

t.test('a segment without records', async (t) => {
  t.match(await read(encodeFileHeader('log', 8, true)), { number: 8, lazy: true, records: [], end: 32, problem: null });
});

t.test('a buffer that is large enough is used, and what stood in it before is not read', async (t) => {
  const bytes = Buffer.concat([HEADER, records(1)]);
  const large = Buffer.concat([HEADER, records(1, 2, 3)]);
  const segment = await read(bytes, large);
  t.equal(segment.buffer, large);
  t.equal(segment.records.length, 1);
  t.match(segment, { end: bytes.length, problem: null });
  const small = Buffer.alloc(10);
  t.not((await read(bytes, small)).buffer, small);
});

t.test('a torn end, and damage', async (t) => {
  const bytes = Buffer.concat([HEADER, records(1, 2, 3)]);
  const torn = await read(bytes.subarray(0, bytes.length - 3));
  t.equal(torn.records.length, 2);
  t.match(torn, { problem: { offset: torn.end, reason: /cut short/ }, laterSequence: null });
  bytes[bytes.length - 40] ^= 1;
  const damaged = await read(bytes);
  t.equal(damaged.records.length, 1);
  t.match(damaged, { problem: { offset: damaged.end, reason: /checksum of record 2/ }, laterSequence: 3 });
});

t.test('zeros behind the last record are prepared space; anything else there is not', async (t) => {
  const bytes = Buffer.concat([HEADER, records(1, 2)]);
  for (const zeros of [1, 19, 20, 21, 4096, 10_000]) {
    const prepared = Buffer.concat([bytes, Buffer.alloc(zeros)]);
    t.match(await read(prepared), { end: bytes.length, size: prepared.length, problem: null, laterSequence: null });
    prepared[prepared.length - 1] = 1;
    t.match(await read(prepared), { end: bytes.length, problem: { offset: bytes.length }, laterSequence: null });
  }
  t.match(await read(Buffer.concat([HEADER, Buffer.alloc(50)])), { records: [], end: 32, problem: null });
  const torn = Buffer.concat([bytes.subarray(0, bytes.length - 3), Buffer.alloc(100)]);
  t.match(await read(torn), {
    end: bytes.length - 29,
    problem: { reason: /checksum of record 2/ },
    laterSequence: null,
  });
  const hole = Buffer.concat([bytes, Buffer.alloc(100), records(4)]);
  t.match(await read(hole), { end: bytes.length, problem: { offset: bytes.length }, laterSequence: 4 });
  const lazy = Buffer.concat([encodeFileHeader('log', 7, true), records(1), Buffer.alloc(100)]);
  t.match(await read(lazy), { problem: { reason: /no record begins/ } }, 'there they are what a power loss has left');
});

t.test('what a crash leaves of a new segment is told from a bad header', async (t) => {
  for (const bytes of [0, 1, 8, 31]) {
    await t.rejects(read(HEADER.subarray(0, bytes)), UnfinishedSegmentError, `${bytes} bytes`);
    await t.rejects(read(Buffer.concat([HEADER.subarray(0, bytes), Buffer.alloc(32 - bytes)])), UnfinishedSegmentError);
  }
  const error = (await read(Buffer.alloc(33)).catch((reason: unknown) => reason)) as FormatError;
  t.ok(error instanceof FormatError && !(error instanceof UnfinishedSegmentError), 'something follows');
  t.match(error.reason, /does not begin with LEVERLOG/);
});

t.test('a file that is not there is the disk error that it is', async (t) => {
  await t.rejects(readSegment(new ReadOnlyFiles([]), PATH), { code: 'ENOENT' });
});
