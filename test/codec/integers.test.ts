import t from 'tap';
import * as integers from '../../codec/integers.ts';
import { codecError, hex } from './helper.ts';

type Write = (value: number, buffer: Buffer, at: number) => number;

const ranges: readonly [write: Write, bytes: number, min: number, max: number][] = [
  [integers.writeUInt8, 1, 0, 0xff],
  [integers.writeUInt16, 2, 0, 0xffff],
  [integers.writeUInt32, 4, 0, 0xffff_ffff],
  [integers.writeUInt64, 8, 0, Number.MAX_SAFE_INTEGER],
  [integers.writeInt8, 1, -0x80, 0x7f],
  [integers.writeInt16, 2, -0x8000, 0x7fff],
  [integers.writeInt32, 4, -0x8000_0000, 0x7fff_ffff],
  [integers.writeInt64, 8, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
];

for (const [write, bytes, min, max] of ranges) {
  t.test(`${write.name} writes its whole range and refuses what is not in it`, (t) => {
    for (const value of [min, max, 0, 1, 0x7f]) {
      const buffer = Buffer.alloc(10, 0xaa);
      t.equal(write(value, buffer, 1), bytes + 1);
      t.equal(buffer[0], 0xaa);
      t.equal(buffer[bytes + 1], 0xaa);
      const big = BigInt(`0x${buffer.toString('hex', 1, bytes + 1)}`);
      t.equal(min < 0 ? BigInt.asIntN(bytes * 8, big) : big, BigInt(value));
    }
    for (const value of [min - 1, max + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const buffer = Buffer.alloc(8, 0xaa);
      const error = codecError(() => write(value, buffer, 0));
      t.equal(error.replyCode, 541);
      t.match(error.message, `${value} is not `);
      t.same(buffer, Buffer.alloc(8, 0xaa), 'nothing is written');
    }
    t.end();
  });
}

t.test('64-bit integers beyond the safe ones are bigints', (t) => {
  const buffer = Buffer.alloc(8);
  for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    integers.writeUInt64(value, buffer, 0);
    t.equal(integers.readUInt64(buffer, 0), value);
    t.equal(integers.readSafeUInt64(buffer, 0), -1);
  }
  for (const value of [2n ** 53n, 2n ** 63n - 1n, -(2n ** 53n), -(2n ** 63n)]) {
    integers.writeInt64(value, buffer, 0);
    t.equal(integers.readInt64(buffer, 0), value);
  }
  for (const value of [-1n, 2n ** 64n])
    t.match(codecError(() => integers.writeUInt64(value, buffer, 0)).message, /64-bit/);
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) {
    t.match(codecError(() => integers.writeInt64(value, buffer, 0)).message, /64-bit/);
  }
  t.end();
});

t.test('safe 64-bit integers are numbers', (t) => {
  t.equal(integers.readUInt64(hex('001fffffffffffff'), 0), Number.MAX_SAFE_INTEGER);
  t.equal(integers.readUInt64(hex('0020000000000000'), 0), 2n ** 53n);
  t.equal(integers.readInt64(hex('001fffffffffffff'), 0), Number.MAX_SAFE_INTEGER);
  t.equal(integers.readInt64(hex('ffe0000000000001'), 0), Number.MIN_SAFE_INTEGER);
  t.equal(integers.readInt64(hex('ffffffffffffffff'), 0), -1);
  const buffer = Buffer.alloc(8);
  integers.writeUInt64(7n, buffer, 0);
  t.equal(integers.readUInt64(buffer, 0), 7);
  t.end();
});

t.test('unsigned reads stay unsigned', (t) => {
  t.equal(integers.readUInt16(hex('ffff'), 0), 0xffff);
  t.equal(integers.readUInt32(hex('ffffffff'), 0), 0xffffffff);
  t.end();
});
