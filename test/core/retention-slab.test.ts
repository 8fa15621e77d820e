// Room for bytes that are copied out of received chunks.
import fc from 'fast-check';
import t from 'tap';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';

interface Place {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly fill: number;
}

t.test('reserved places never overlap, and each lies within its buffer', async () => {
  const size = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 4095, 4096, 4097, 16_384, 100_000));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 80, size: 'max' }), (sizes) => {
      const slab = new RetentionSlab();
      const places = sizes.map((each, i): Place => {
        const start = slab.reserve(each);
        slab.buffer.fill(i, start, start + each);
        return { buffer: slab.buffer, start, end: start + each, fill: i };
      });
      return places.every(
        ({ buffer, start, end, fill }) =>
          end <= buffer.length && buffer.subarray(start, end).every((byte) => byte === fill),
      );
    }),
  );
});

t.test('small pieces share slabs of 16 KiB, larger ones have a buffer of their size', async (t) => {
  const slab = new RetentionSlab();
  slab.reserve(100);
  const shared = slab.buffer;
  t.equal(shared.buffer.byteLength, 16 * 1024);
  t.equal(slab.reserve(5000), 0);
  t.equal(slab.buffer.buffer.byteLength, 5000);
  t.equal(slab.reserve(4096), 100, 'the slab goes on behind');
  t.equal(slab.buffer, shared);
});
