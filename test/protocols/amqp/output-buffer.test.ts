// What a connection writes: all bytes in order, whatever the stream does with the buffers, and when it is congested.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { OutputBuffer, OutputPool } from '../../../lib/protocols/amqp/output-buffer.ts';
import { type Step, sequenceOf, stepsOf } from '../../core/helper.ts';
import { TestStream } from './helper.ts';

const KIB = 1024;

/** An output beside a plain list of what went into it. */
class Checked {
  readonly stream = new TestStream();
  readonly output: OutputBuffer;
  readonly #expected: Buffer[] = [];
  #fill = 0;

  constructor(reusable: boolean, pool = new OutputPool()) {
    this.output = new OutputBuffer(this.stream, pool, reusable);
  }

  write(size: number): void {
    this.output.write(this.#bytes(size));
  }

  append(size: number): void {
    this.output.append(this.#bytes(size));
  }

  reserve(size: number): void {
    const at = this.output.reserve(size);
    this.#bytes(size).copy(this.output.buffer, at);
  }

  check(): void {
    const { stream, output } = this;
    output.endTurn();
    stream.drain();
    const expected = Buffer.concat(this.#expected);
    assert.ok(stream.bytes.equals(expected), 'all bytes in order');
    assert.equal(output.bytesWritten, expected.length);
    assert.ok(output.isEmpty);
  }

  /** No byte of what was handed out was changed afterwards. */
  checkKept(): void {
    assert.ok(Buffer.concat(this.stream.written).equals(Buffer.concat(this.#expected)));
  }

  #bytes(size: number): Buffer {
    const bytes = Buffer.alloc(size, `${this.#fill++} `);
    this.#expected.push(bytes);
    return bytes;
  }
}

const stepOf = stepsOf<Checked>();
const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.constantFrom(16 * KIB, 16 * KIB + 1, 30_000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1) },
  { weight: 1, arbitrary: fc.constantFrom(256 * KIB, 300_000) },
);
const nothing = fc.constant(null);
const step: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 5, arbitrary: stepOf('write', size, (checked, bytes) => checked.write(bytes)) },
  { weight: 3, arbitrary: stepOf('append', size, (checked, bytes) => checked.append(bytes)) },
  { weight: 3, arbitrary: stepOf('reserve', size, (checked, bytes) => checked.reserve(bytes)) },
  { weight: 3, arbitrary: stepOf('flush', nothing, ({ output }) => output.flush()) },
  { weight: 3, arbitrary: stepOf('end turn', nothing, ({ output }) => output.endTurn()) },
  { weight: 2, arbitrary: stepOf('drain', nothing, ({ stream }) => stream.drain()) },
  {
    weight: 2,
    arbitrary: stepOf('open', fc.boolean(), ({ stream }, open) => {
      stream.open = open;
      if (open) stream.drain();
    }),
  },
);

t.test('all bytes go out in order to a stream that keeps the buffers, slow or not', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 40), (steps) => {
      const checked = new Checked(false);
      for (const each of steps) each(checked);
      checked.check();
      checked.checkKept();
    }),
    { numRuns: 200 },
  );
});

t.test('all bytes go out in order to a stream that is done with a buffer once nothing waits', async () => {
  fc.assert(
    fc.property(sequenceOf(step, 40), (steps) => {
      const checked = new Checked(true);
      for (const each of steps) each(checked);
      checked.check();
    }),
    { numRuns: 200 },
  );
});

t.test('outputs that share a pool do not write into one another', async () => {
  const turn = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.boolean(), step), { size: 'max', maxLength: 60 });
  fc.assert(
    fc.property(turn, (steps) => {
      const pool = new OutputPool();
      const outputs = [true, false, true].map((reusable) => new Checked(reusable, pool));
      for (const [which, ends, each] of steps) {
        each(outputs[which]);
        if (ends) for (const { output } of outputs) output.endTurn();
      }
      for (const each of outputs) each.check();
    }),
  );
});

t.test('nothing goes out before a flush', async (t) => {
  const { output, stream } = new Checked(true);
  t.ok(output.isEmpty);
  output.write(Buffer.from('a'));
  output.append(Buffer.from('b'));
  output.write(Buffer.from('c'));
  t.notOk(output.isEmpty);
  t.equal(stream.bytes.length, 0);
  output.flush();
  t.equal(stream.bytes.toString(), 'abc');
  output.flush();
  output.endTurn();
  t.equal(stream.bytes.toString(), 'abc', 'once');
});

t.test('what is appended goes out as it is, what is written in one piece', async (t) => {
  const { output, stream } = new Checked(true);
  const body = Buffer.from('body');
  output.write(Buffer.from('a'));
  output.write(Buffer.from('b'));
  output.append(body);
  output.write(Buffer.from('c'));
  output.endTurn();
  t.same(stream.written.map(String), ['ab', 'body', 'c']);
  t.equal(stream.written[1], body);
});

t.test('an idle output holds no buffer', async (t) => {
  for (const reusable of [true, false]) {
    const { output } = new Checked(reusable);
    output.write(Buffer.from('a'));
    t.ok(output.buffer.length > 0);
    output.endTurn();
    t.equal(output.buffer.length, 0);
  }
});

t.test('a buffer is used again once the stream is done with it, and only then', async (t) => {
  const buffers = (reusable: boolean, open: boolean): Set<ArrayBufferLike> => {
    const { output, stream } = new Checked(reusable);
    for (let i = 0; i < 3; i++) {
      stream.open = open;
      output.write(Buffer.alloc(20 * KIB));
      output.endTurn();
      stream.drain();
    }
    return new Set(stream.written.map(({ buffer }) => buffer));
  };
  t.equal(buffers(true, true).size, 1);
  t.equal(buffers(true, false).size, 3);
  t.equal(buffers(false, true).size, 3);
});

t.test('a peer that does not read makes the output congested until it does', async (t) => {
  const { output, stream } = new Checked(true);
  stream.open = false;
  output.write(Buffer.alloc(100));
  output.flush();
  t.notOk(output.congested, 'the first bytes are on their way');
  output.write(Buffer.alloc(64 * KIB));
  output.flush();
  t.ok(output.congested);
  output.endTurn();
  t.ok(output.congested);
  stream.drain();
  output.endTurn();
  t.notOk(output.congested);
});

t.test('a connection that got its share of the turn is congested until the next', async (t) => {
  const { output } = new Checked(true);
  for (let i = 0; i < 15; i++) output.write(Buffer.alloc(16 * KIB));
  output.flush();
  t.notOk(output.congested);
  output.write(Buffer.alloc(16 * KIB));
  output.flush();
  t.ok(output.congested);
  output.endTurn();
  t.notOk(output.congested);
});

t.test("large bodies leave before the end of the turn, so that they don't gather", async (t) => {
  const { output, stream } = new Checked(true);
  output.append(Buffer.alloc(200 * KIB));
  t.equal(stream.bytes.length, 0);
  output.append(Buffer.alloc(100 * KIB));
  t.equal(stream.bytes.length, 300 * KIB);
  t.ok(output.isEmpty);
});

t.test('a pool keeps a few buffers of the usual size', async (t) => {
  const pool = new OutputPool();
  const buffer = pool.take();
  pool.give(Buffer.alloc(100));
  t.equal(pool.take().length, 64 * KIB);
  pool.give(buffer);
  t.equal(pool.take(), buffer);
  for (let i = 0; i < 100; i++) pool.give(Buffer.alloc(64 * KIB, 1));
  const pooled = Array.from({ length: 100 }, () => pool.take()).filter((each) => each.every((byte) => byte === 1));
  t.equal(pooled.length, 16);
});
