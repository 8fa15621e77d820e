// Room for bytes that are copied out of received chunks.
import fc from 'fast-check';
import t from 'tap';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { sequenceOf } from './helper.ts';

interface Place {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly fill: number;
}

t.test('reserved places never overlap, and each lies within its buffer', async () => {
  const size = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 4095, 4096, 4097, 16_384, 100_000));
  fc.assert(
    fc.property(sequenceOf(size, 80), fc.nat({ max: 50_000 }), (sizes, expected) => {
      const slab = new RetentionSlab();
      slab.begin(expected);
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

t.test('messages that are kept together share slabs of 16 KiB, or of what they need', async (t) => {
  const slab = new RetentionSlab();
  slab.begin(300);
  t.equal(slab.reserve(100), 0);
  const shared = slab.buffer;
  t.equal(slab.reserve(200), 100);
  t.equal(slab.buffer, shared);
  t.equal(shared.buffer.byteLength, 300);
  slab.begin(100_000);
  t.equal(slab.reserve(4096), 0);
  t.equal(slab.buffer.buffer.byteLength, 16 * 1024);
});

t.test('a larger piece has a buffer of its own', async (t) => {
  const slab = new RetentionSlab();
  slab.begin(5200);
  slab.reserve(100);
  const shared = slab.buffer;
  t.equal(slab.reserve(5000), 0);
  t.equal(slab.buffer.buffer.byteLength, 5000);
  t.equal(slab.reserve(100), 100, 'the slab goes on behind');
  t.equal(slab.buffer, shared);
});

t.test('what is kept at another time shares nothing', async (t) => {
  const slab = new RetentionSlab();
  const buffers = [0, 1].map(() => {
    slab.begin(100);
    slab.reserve(50);
    return slab.buffer;
  });
  t.not(buffers[0], buffers[1]);
});
