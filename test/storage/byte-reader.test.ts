// What is written is read again; what is not what the format says is a FormatError.
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { ByteReader, Cursor, crcOfRange, readU32, readU64, readVarint } from '../../lib/storage/byte-reader.ts';
import { ByteWriter, putU32, putU64, putVarint, varintSize } from '../../lib/storage/byte-writer.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { anyString, fieldTable } from '../codec/arbitraries.ts';
import { hex } from '../codec/helper.ts';
import { formatError, intervalsOf, positionSet, safeInteger } from './format-helper.ts';

const u32 = fc.nat({ max: 0xffff_ffff });

/** A value with how it is written and read. */
type Field = readonly [write: (writer: ByteWriter) => void, read: (reader: ByteReader) => unknown, value: unknown];

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.nat({ max: 255 }).map((value): Field => [(writer) => writer.u8(value), (reader) => reader.u8(), value]),
  fc.nat({ max: 65535 }).map((value): Field => [(writer) => writer.u16(value), (reader) => reader.u16(), value]),
  u32.map((value): Field => [(writer) => writer.u32(value), (reader) => reader.u32(), value]),
  safeInteger.map((value): Field => [(writer) => writer.u64(value), (reader) => reader.u64(), value]),
  safeInteger.map((value): Field => [(writer) => writer.varint(value), (reader) => reader.varint(), value]),
  anyString.map((value): Field => [(writer) => writer.string(value), (reader) => reader.string(), value]),
  fieldTable.map((value): Field => [(writer) => writer.table(value), (reader) => reader.table(), value]),
  fc
    .uint8Array({ maxLength: 300 })
    .map((array) => Buffer.from(array))
    .map((value): Field => [(writer) => writer.bytes(value), (reader) => reader.bytes(), value]),
  positionSet.map(
    (value): Field => [
      (writer) => writer.positions(value),
      (reader) => intervalsOf(reader.positions()),
      intervalsOf(value),
    ],
  ),
);

t.test('everything that is written is read again, and not past its end', async () => {
  fc.assert(
    fc.property(fc.array(field, { minLength: 1, maxLength: 10 }), (fields) => {
      const writer = new ByteWriter(1);
      for (const [write] of fields) write(writer);
      const bytes = Buffer.concat([writer.view(), Buffer.alloc(20, 0xff)]);
      const reader = new ByteReader(bytes, 0, writer.length);
      for (const [, read, value] of fields) assert.deepStrictEqual(read(reader), value);
      assert.equal(reader.offset, writer.length);
    }),
    { numRuns: 1000 },
  );
});

t.test('a value that is cut anywhere is a FormatError', async () => {
  fc.assert(
    fc.property(field, ([write, read]) => {
      const writer = new ByteWriter();
      write(writer);
      for (let end = 0; end < writer.length; end++) {
        const reader = new ByteReader(writer.buffer, 0, end);
        assert.ok(formatError(() => read(reader)).offset >= 0);
      }
    }),
  );
});

t.test('a varint reads alike whoever reads it', async () => {
  fc.assert(
    fc.property(safeInteger, fc.nat({ max: 5 }), (value, offset) => {
      const buffer = Buffer.alloc(20, 0xff);
      const end = putVarint(buffer, offset, value);
      assert.equal(end - offset, varintSize(value));
      const cursor = new Cursor();
      assert.equal(readVarint(buffer, offset, cursor), value);
      assert.equal(cursor.offset, end);
      assert.equal(new ByteReader(buffer, offset).varint(), value);
    }),
    { numRuns: 2000 },
  );
});

t.test('varints byte by byte', async (t) => {
  const cases: [value: number, bytes: string][] = [
    [0, '00'],
    [127, '7f'],
    [128, '80 01'],
    [300, 'ac 02'],
    [16383, 'ff 7f'],
    [16384, '80 80 01'],
    [2 ** 28 - 1, 'ff ff ff 7f'],
    [2 ** 28, '80 80 80 80 01'],
    [2 ** 31, '80 80 80 80 08'],
    [2 ** 32, '80 80 80 80 10'],
    [Number.MAX_SAFE_INTEGER, 'ff ff ff ff ff ff ff 0f'],
  ];
  for (const [value, bytes] of cases) {
    const writer = new ByteWriter();
    writer.varint(value);
    t.strictSame(writer.view(), hex(bytes), `${value}`);
  }
});

t.test('integers of fixed width are little-endian', async (t) => {
  const writer = new ByteWriter();
  writer.u16(0x1234);
  writer.u32(0xfedcba98);
  writer.u64(0x1f_2233_4455_6677);
  t.strictSame(writer.view(), hex('3412 98badcfe 7766554433221f00'));
  t.equal(readU32(writer.buffer, 2), 0xfedcba98);
  t.equal(readU64(writer.buffer, 6), 0x1f_2233_4455_6677);
  const plain = Buffer.alloc(12);
  t.equal(putU64(plain, putU32(plain, 0, 0xfedcba98), 0x1f_2233_4455_6677), 12);
  t.strictSame(plain, writer.buffer.subarray(2, 14));
});

t.test('positions byte by byte', async (t) => {
  const writer = new ByteWriter();
  writer.positions(
    PositionSet.of([
      [0, 0],
      [3, 9],
      [1000, 1000],
    ]),
  );
  t.strictSame(writer.view(), hex('03 00 00 02 06 de07 00'));
  writer.reset();
  writer.positions(new PositionSet());
  t.strictSame(writer.view(), hex('00'));
});

t.test('integers that are too large are refused', async (t) => {
  const tooLong = hex('80 80 80 80 80 80 80 80 01');
  const tooLarge = hex('80 80 80 80 80 80 80 10');
  const cut = hex('80 80 80 80 80');
  for (const [bytes, reason] of [
    [tooLong, /more than 8 bytes/],
    [tooLarge, /above 2\^53 - 1/],
    [cut, /cut short/],
    [hex('ff'), /cut short/],
  ] as const) {
    t.match(formatError(() => new ByteReader(bytes).varint()).message, reason);
    t.match(formatError(() => readVarint(bytes, 0, new Cursor())).message, reason);
  }
  t.match(formatError(() => readU64(hex('000000000000 2000'), 0)).message, /above 2\^53 - 1/);
  t.match(
    formatError(() => new ByteReader(hex('01 80 80 80 80 80 80 80 0f 81 80 80 80 80 80 80 0f')).positions()).message,
    /position/,
  );
});

t.test('an error tells what was wrong and where', async (t) => {
  const error = formatError(() => new ByteReader(hex('00 00 05 61 62'), 2).string());
  t.match(error, { name: 'FormatError', reason: '5 bytes are needed where 2 are left', offset: 3 });
  t.match(error.message, /\(offset 3\)$/);
});

t.test('a table that is none is a FormatError, too', async (t) => {
  const bytes = hex('06 00000002 0161');
  t.match(formatError(() => new ByteReader(bytes).table()).message, /malformed field table/);
});

t.test('bytes can be passed over without a copy', async (t) => {
  const reader = new ByteReader(hex('03 616263 05'));
  t.equal(reader.skipBytes(), 3);
  t.equal(reader.start, 1);
  t.equal(reader.offset, 4);
  t.equal(reader.u8(), 5);
});

t.test('a route has to be two short strings', async (t) => {
  const reader = new ByteReader(hex('06 0178 03 6b6579 05'));
  reader.skipRoute();
  t.equal(reader.start, 1);
  t.equal(reader.offset, 7);
  for (const bytes of ['00', '01 00', '02 0161', '03 000161 62', '03 010061', '04 0361 6263', '03 000000']) {
    const padded = Buffer.concat([hex(bytes), Buffer.alloc(300)]);
    if (bytes === '03 000161 62') new ByteReader(padded).skipRoute();
    else t.match(formatError(() => new ByteReader(padded).skipRoute()).message, /two short strings/, bytes);
  }
});

t.test('the checksum is that of zlib, however long the bytes are', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat({ max: 5 }), u32, (array, start, seed) => {
      const bytes = Buffer.concat([Buffer.alloc(start, 7), array]);
      const expected = crc32(Buffer.from(array), seed);
      assert.equal(crcOfRange(bytes, start, bytes.length, seed), expected);
    }),
    { numRuns: 500 },
  );
});
