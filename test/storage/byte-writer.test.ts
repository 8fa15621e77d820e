// The writer's buffer: it grows, is used again, and takes bytes from elsewhere. What it writes is checked with the reader.
import fc from 'fast-check';
import t from 'tap';
import { ByteWriter, copyBytes } from '../../lib/storage/byte-writer.ts';

t.test('the buffer grows and keeps what was written', async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 }), (pieces) => {
      const writer = new ByteWriter(1);
      for (const piece of pieces) writer.raw(Buffer.from(piece));
      return writer.view().equals(Buffer.concat(pieces)) && writer.length <= writer.buffer.length;
    }),
  );
});

t.test('a writer that was reset writes from the beginning, into the same buffer', async (t) => {
  const writer = new ByteWriter();
  const { buffer } = writer;
  writer.string('before');
  writer.reset();
  writer.string('now');
  t.equal(writer.view().toString(), '\x03now');
  t.equal(writer.buffer, buffer);
});

t.test('what was reserved can be written in place', async (t) => {
  const writer = new ByteWriter(1);
  writer.u8(1);
  writer.reserve(5000);
  t.ok(writer.buffer.length >= 5001);
  t.equal(writer.length, 1);
  t.equal(writer.buffer[0], 1);
});

t.test('a part of a buffer is copied, whatever its length', async (t) => {
  const source = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  for (const length of [0, 1, 40, 41, 200]) {
    const target = Buffer.alloc(300, 0xee);
    t.equal(copyBytes(target, 7, source, 11, 11 + length), 7 + length);
    t.strictSame(target.subarray(7, 7 + length), source.subarray(11, 11 + length));
    t.equal(target[6], 0xee);
    t.equal(target[7 + length], 0xee);
  }
  const writer = new ByteWriter();
  writer.bytes(source, 1, 4);
  writer.raw(source, 5, 7);
  t.strictSame([...writer.view()], [3, 1, 2, 3, 5, 6]);
});
