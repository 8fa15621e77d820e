// Records: what a crash leaves of them, what damage does to them, and that the two are told apart.
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import {
  encodeRecordHeader,
  putRecordCrc,
  RECORD_HEADER_BYTES,
  type RecordScan,
  recordCrc,
  scanRecords,
} from '../../lib/storage/records.ts';
import { hex } from '../codec/helper.ts';
import { recordOf } from './format-helper.ts';

const payload = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));

/** Records of successive sequences, one behind the other. */
function row(firstSequence: number, payloads: readonly Buffer[]): Buffer[] {
  return payloads.map((each, i) => recordOf(firstSequence + i, each));
}

function scan(bytes: Buffer, expected?: number): RecordScan {
  return scanRecords(bytes, 0, bytes.length, expected);
}

function sequences({ records }: RecordScan): number[] {
  return records.map(({ sequence }) => sequence);
}

t.test('a record byte by byte', async (t) => {
  const bytes = hex('4c435244 03000000 2c01000000000000 eaab82a2 040506');
  t.strictSame(recordOf(300, hex('040506')), bytes);
  t.strictSame(scan(bytes), {
    records: [{ start: 20, end: 23, sequence: 300 }],
    end: 23,
    problem: null,
    laterSequence: null,
  });
});

t.test('the checksum covers a payload in pieces', async () => {
  fc.assert(
    fc.property(fc.array(payload), fc.nat({ max: 9 }), fc.maxSafeNat(), (pieces, offset, sequence) => {
      const header = Buffer.alloc(offset + RECORD_HEADER_BYTES);
      const whole = Buffer.concat(pieces);
      encodeRecordHeader(header, offset, whole.length, sequence);
      const crc = recordCrc(header, offset, pieces);
      assert.equal(crc, crc32(Buffer.concat([header.subarray(offset, offset + 16), whole])));
      putRecordCrc(header, offset, pieces);
      assert.equal(header.readUInt32LE(offset + 16), crc);
    }),
  );
});

t.test('a row of records is found, in the middle of other bytes', async () => {
  fc.assert(
    fc.property(fc.array(payload), fc.nat({ max: 2 ** 40 }), fc.boolean(), (payloads, before, isKnown) => {
      const first = before + 1;
      const bytes = Buffer.concat([Buffer.alloc(7), ...row(first, payloads), Buffer.alloc(5)]);
      const end = bytes.length - 5;
      const found = scanRecords(bytes, 7, end, isKnown ? first : undefined);
      assert.deepEqual(
        found.records.map(({ start, end, sequence }) => [sequence, bytes.toString('hex', start, end)]),
        payloads.map((each, i) => [first + i, each.toString('hex')]),
      );
      assert.equal(found.end, end);
      assert.equal(found.problem, null);
    }),
  );
});

t.test('wherever the last record is cut, it is a torn end, and those before stay', async (t) => {
  const parts = row(5, [Buffer.from('first'), Buffer.alloc(0), Buffer.from('the last one')]);
  const whole = Buffer.concat(parts);
  const lastAt = whole.length - parts[2].length;
  for (let end = lastAt + 1; end < whole.length; end++) {
    for (const zeros of [0, 1, 30, 5000]) {
      const found = scan(Buffer.concat([whole.subarray(0, end), Buffer.alloc(zeros)]), 5);
      assert.deepEqual(sequences(found), [5, 6]);
      assert.equal(found.end, lastAt);
      assert.equal(found.problem?.offset, lastAt);
      assert.equal(found.laterSequence, null);
    }
  }
  t.equal(scan(whole.subarray(0, lastAt), 5).problem, null, 'nothing of it is no problem at all');
});

t.test('any part of the last record may be there', async () => {
  const whole = Buffer.concat(row(1, [Buffer.from('first'), Buffer.alloc(200, 'x')]));
  const part = fc.tuple(fc.nat({ max: 219 }), fc.nat({ max: 220 }));
  fc.assert(
    fc.property(part, ([from, length]) => {
      const torn = Buffer.from(whole);
      const to = Math.min(whole.length, 25 + from + length);
      if (torn.subarray(25 + from, to).every((byte) => byte === 0)) return;
      torn.fill(0, 25 + from, to);
      const found = scan(torn, 1);
      assert.deepEqual(sequences(found), [1]);
      assert.equal(found.laterSequence, null);
    }),
  );
});

t.test('damage before a good record is told from a torn end, whichever byte it is', async () => {
  const parts = row(
    8,
    ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text)),
  );
  const whole = Buffer.concat(parts);
  const secondAt = parts[0].length;
  const thirdAt = secondAt + parts[1].length;
  for (let at = secondAt; at < thirdAt; at++) {
    for (const bit of [1, 0x80]) {
      const damaged = Buffer.from(whole);
      damaged[at] ^= bit;
      const found = scan(damaged, 8);
      assert.deepEqual(sequences(found), [8]);
      assert.equal(found.problem?.offset, secondAt);
      assert.equal(found.laterSequence, 10, `byte ${at - secondAt}`);
    }
  }
});

t.test('damage of any length is found, at the start of a segment and when the sequence is not known', async () => {
  const parts = row(
    3,
    Array.from({ length: 6 }, (_, i) => Buffer.alloc(30 + i, 'abcdef'[i])),
  );
  const whole = Buffer.concat(parts);
  const lastAt = whole.length - parts[5].length;
  fc.assert(
    fc.property(
      fc.nat({ max: lastAt - 1 }),
      fc.integer({ min: 1, max: 100 }),
      fc.constantFrom(0, 0xff, 0x4c),
      fc.boolean(),
      (from, length, fill, isKnown) => {
        const to = Math.min(lastAt, from + length);
        if (whole.subarray(from, to).every((byte) => byte === fill)) return;
        const damaged = Buffer.from(whole);
        damaged.fill(fill, from, to);
        const found = scan(damaged, isKnown ? 3 : undefined);
        assert.ok(found.problem !== null && found.problem.offset <= from);
        assert.ok(found.laterSequence !== null && found.laterSequence > 3 + found.records.length);
      },
    ),
    { numRuns: 2000 },
  );
});

t.test('a record that is missing, or comes again, is a problem', async (t) => {
  const [one, two, three] = row(1, [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')]);
  t.match(scan(Buffer.concat([one, three]), 1), {
    problem: { offset: 23, reason: 'record 3 stands where 2 should' },
    laterSequence: 3,
  });
  t.match(scan(Buffer.concat([one, two, two]), 1), {
    problem: { offset: 46, reason: 'record 2 stands where 3 should' },
    laterSequence: null,
  });
  t.match(scan(two, 1).problem, { offset: 0, reason: 'record 2 stands where 1 should' });
  t.strictSame(sequences(scan(two)), [2]);
});

t.test('the reason says what is wrong', async (t) => {
  const record = recordOf(4, Buffer.from('payload'));
  const reasonOf = (bytes: Buffer) => scan(bytes, 4).problem?.reason;
  t.equal(reasonOf(record.subarray(0, 11)), "11 bytes, fewer than a record's header has");
  t.equal(reasonOf(record.subarray(0, 23)), 'record 4 is cut short: 3 of its 7 bytes are there');
  t.equal(reasonOf(Buffer.alloc(100)), 'no record begins here');
  const changed = Buffer.from(record);
  changed[25] ^= 1;
  t.equal(reasonOf(changed), 'the checksum of record 4 is wrong');
  t.equal(scan(recordOf(0, Buffer.from('x'))).problem?.reason, 'a record has no sequence');
  const beyond = Buffer.from(record);
  beyond.fill(0xff, 8, 16);
  t.equal(scan(beyond).problem?.reason, 'a record has no sequence');
});

t.test('records within the body of a torn record are no sign of damage', async (t) => {
  // Somebody publishes their copy of a segment, and the broker crashes while it is written.
  const copy = Buffer.concat(row(11, [Buffer.from('later'), Buffer.from('and later')]));
  const record = recordOf(10, Buffer.concat([Buffer.from('head'), copy, Buffer.alloc(500, 'tail')]));
  const before = recordOf(9, Buffer.from('before'));
  const torn = Buffer.concat([before, record]);
  for (const end of [torn.length - 1, torn.length - 400]) {
    t.equal(scan(torn.subarray(0, end), 9).laterSequence, null, 'cut');
    const zeros = Buffer.concat([torn.subarray(0, end), Buffer.alloc(torn.length - end)]);
    t.equal(scan(zeros, 9).laterSequence, null, 'zeros where the rest should be');
  }
  // The same damaged: another record follows.
  const damaged = Buffer.concat([before, record, recordOf(11, Buffer.from('good'))]);
  damaged[before.length + RECORD_HEADER_BYTES] ^= 1;
  t.equal(scan(damaged, 9).laterSequence, 11);
});

t.test('a sequence that so few bytes could not lead to is none that was written there', async (t) => {
  const torn = Buffer.concat([Buffer.alloc(50, 1), recordOf(5000, Buffer.from('from elsewhere'))]);
  t.equal(scan(torn, 7).laterSequence, null);
  t.equal(scan(torn, 5000).laterSequence, null, 'nor is one that should have been there');
  t.equal(scan(torn, 4999).laterSequence, 5000);
  t.equal(scan(torn.subarray(50), 7).laterSequence, 5000, 'but it is, where nothing stands in between');
});

t.test('a damaged length is found, wherever it points to', async (t) => {
  const parts = row(1, [Buffer.from('first'), Buffer.from('second'), Buffer.from('third'), Buffer.from('fourth')]);
  for (const length of [0, 1, 5, 7, 30, 45, 1000, 0xffff_ffff]) {
    const damaged = Buffer.concat(parts);
    damaged.writeUInt32LE(length, parts[0].length + 4);
    t.ok(Number(scan(damaged, 1).laterSequence) >= 3, `${length}`);
  }
});

t.test('what looks like many long records takes no hours', async (t) => {
  // Headers of records that reach to the end, all of them later ones, none of them good.
  const count = 100_000;
  const bytes = Buffer.alloc(count * RECORD_HEADER_BYTES);
  for (let i = 1; i < count; i++) {
    encodeRecordHeader(bytes, i * 20, (count - i - 1) * 20, i + 1);
  }
  t.not(scan(bytes, 1).laterSequence, null, 'it is taken for damage rather than looked into any further');
});

t.test('64 MiB of zeros, and 100,000 records, are scanned', async (t) => {
  const zeros = Buffer.alloc(64 * 1024 * 1024);
  const first = recordOf(1, Buffer.from('x'));
  first.copy(zeros);
  t.equal(scan(zeros, 1).laterSequence, null);
  const records = Buffer.concat(
    row(
      1,
      Array.from({ length: 100_000 }, () => Buffer.alloc(100, 'x')),
    ),
  );
  const found = scan(records, 1);
  t.equal(found.problem, null);
  t.equal(found.records.length, 100_000);
});
