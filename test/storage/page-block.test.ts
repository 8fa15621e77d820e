// Blocks of a page: byte by byte, and back into the messages that were put in.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Message } from '../../lib/core/message.ts';
import { BlockBuilder, type BlockSink, decodeBlock } from '../../lib/storage/page-block.ts';
import {
  BlockHeader,
  checkBlock,
  PAGE_BLOCK_HEADER_BYTES,
  putBlockHeader,
  readBlockHeader,
} from '../../lib/storage/page-format.ts';
import { hex } from '../codec/helper.ts';
import {
  anyMessage,
  contentAt,
  contentOf,
  formatError,
  type MessageContent,
  messageFrom,
  safeInteger,
} from './format-helper.ts';

type Placed = readonly [position: number, message: Message];

/** Notes what it is told. */
class Recorder implements BlockSink {
  readonly positions: number[] = [];
  readonly messages: MessageContent[] = [];
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  message(position: number, ...where: [number, number, number, number, number, number, number, boolean]): void {
    this.positions.push(position);
    this.messages.push(contentAt(this.#buffer, ...where));
  }
}

function decoded(buffer: Buffer, offset = 0): Recorder {
  checkBlock(buffer, offset);
  const recorder = new Recorder(buffer);
  decodeBlock(buffer, offset, recorder);
  return recorder;
}

function build(builder: BlockBuilder, queueId: number, placed: readonly Placed[]): Buffer {
  builder.begin(queueId);
  for (const [position, message] of placed) builder.add(message, position);
  return builder.finish();
}

function check(recorder: Recorder, placed: readonly Placed[]): void {
  assert.deepEqual(
    recorder.positions,
    placed.map(([position]) => position),
  );
  assert.deepEqual(
    recorder.messages,
    placed.map(([, message]) => contentOf(message)),
  );
}

/** Messages at rising positions, mostly one behind the other. */
const placedMessages: fc.Arbitrary<Placed[]> = fc
  .tuple(
    fc.nat({ max: 2 ** 40 }),
    fc.array(fc.tuple(fc.oneof(fc.constant(0), fc.nat({ max: 1000 })), anyMessage), { minLength: 1, maxLength: 12 }),
  )
  .map(([first, list]) => {
    let next = first;
    return list.map(([gap, message]): Placed => {
      const position = next + gap;
      next = position + 1;
      return [position, message];
    });
  });

const EXAMPLE = hex(`
  4c424c4b 2a000000 0500000000000000 0a00000000000000 0f00000000000000 03000000 7c03c067
  04 06 0178 036b6579 03 05 100002 68656c6c6f
  02 02 00 0000
  0d 03 03 00 0171 03 02 80a0f1c2b134 100002 6869
`);

function exampleMessages(): Placed[] {
  const first = messageFrom('x', 'key', hex('100002'), Buffer.from('hello'));
  first.persistent = true;
  const second = messageFrom('x', 'key', hex('0000'), Buffer.alloc(0));
  const third = messageFrom('', 'q', hex('100002'), Buffer.from('hi'));
  third.persistent = true;
  third.expiresAtMs = 1_800_000_000_000;
  return [
    [10, first],
    [11, second],
    [15, third],
  ];
}

t.test('a block byte by byte', async (t) => {
  const placed = exampleMessages();
  const builder = new BlockBuilder();
  t.strictSame(build(builder, 5, placed), EXAMPLE);
  t.equal(builder.bytes, EXAMPLE.length);
  t.equal(builder.count, 3);
  t.equal(builder.first, 10);
  t.equal(builder.last, 15);
  const header = readBlockHeader(EXAMPLE, 0);
  t.match(header, { queueId: 5, first: 10, last: 15, count: 3, payloadBytes: 42 });
  check(decoded(EXAMPLE), placed);
});

t.test('what was put into blocks comes out of them', async () => {
  const builder = new BlockBuilder();
  const header = new BlockHeader();
  fc.assert(
    fc.property(fc.array(fc.tuple(safeInteger, placedMessages), { maxLength: 3 }), (blocks) => {
      const page = Buffer.concat(blocks.map(([queueId, placed]) => Buffer.from(build(builder, queueId, placed))));
      let offset = 0;
      for (const [queueId, placed] of blocks) {
        assert.equal(readBlockHeader(page, offset, header), header);
        assert.equal(header.queueId, queueId);
        assert.equal(header.first, placed[0][0]);
        assert.equal(header.last, placed.at(-1)?.[0]);
        assert.equal(header.count, placed.length);
        check(decoded(page, offset), placed);
        offset += PAGE_BLOCK_HEADER_BYTES + header.payloadBytes;
      }
      assert.equal(offset, page.length);
    }),
    { numRuns: 300 },
  );
});

t.test('messages are copied from block to block, some of them and at other positions', async () => {
  const from = new BlockBuilder();
  const to = new BlockBuilder();
  fc.assert(
    fc.property(placedMessages, anyMessage, fc.infiniteStream(fc.boolean()), (placed, extra, choices) => {
      const source = Buffer.concat([Buffer.alloc(9), build(from, 1, placed)]);
      const chosen = new Set(placed.filter(() => choices.next().value === true).map(([position]) => position));
      to.begin(2);
      // One that is added in between, so that both ways to add see each other's routes.
      to.add(extra, 0);
      decodeBlock(source, 9, {
        message: (position, ...where) => {
          if (chosen.has(position)) to.addRaw(source, position + 1, ...where);
        },
      });
      const last = (placed.at(-1)?.[0] ?? 0) + 2;
      to.add(extra, last);
      const copied = placed.filter(([position]) => chosen.has(position));
      check(decoded(to.finish()), [
        [0, extra],
        ...copied.map(([position, message]): Placed => [position + 1, message]),
        [last, extra],
      ]);
    }),
    { numRuns: 300 },
  );
});

t.test('a route stands in a block once for as long as it stays the same', async (t) => {
  const builder = new BlockBuilder();
  const bytesOf = (placed: readonly Placed[]) => build(builder, 1, placed).length;
  const one = messageFrom('exchange', 'key', hex('0000'), Buffer.from('x'));
  const alike = messageFrom('exchange', 'key', hex('0000'), Buffer.from('y'));
  const other = messageFrom('exchange', 'yek', hex('0000'), Buffer.from('z'));
  const single = bytesOf([[0, one]]);
  t.equal(
    bytesOf([
      [0, one],
      [1, one],
    ]) - single,
    6,
    'the same route',
  );
  t.equal(
    bytesOf([
      [0, one],
      [1, alike],
    ]) - single,
    6,
    'the same names',
  );
  t.equal(
    bytesOf([
      [0, one],
      [1, other],
    ]) - single,
    20,
    'another one',
  );
  t.equal(
    bytesOf([
      [0, one],
      [1, one],
      [2, one],
    ]),
    single + 12,
    'a block begins anew',
  );
});

t.test('positions have to rise', async (t) => {
  const builder = new BlockBuilder();
  const message = messageFrom('', 'q', hex('0000'), Buffer.from('x'));
  builder.begin(1);
  builder.add(message, 5);
  t.throws(() => builder.add(message, 5), /position 5 follows 5 in a block of queue 1/);
});

t.test('a message larger than any buffer stands alone, and its room is given back', async (t) => {
  const builder = new BlockBuilder();
  const body = Buffer.alloc(5_000_000, 'body');
  const large = build(builder, 1, [[7, messageFrom('', 'q', hex('0000'), body)]]);
  t.strictSame(decoded(large).messages[0].body, body.toString('hex'));
  const placed = exampleMessages();
  const small = build(builder, 5, placed);
  t.strictSame(small, EXAMPLE);
  t.ok(small.buffer.byteLength < 1_000_000);
});

t.test('a block that is cut or changed anywhere is found out', async (t) => {
  for (let end = 0; end < EXAMPLE.length; end++) formatError(() => checkBlock(EXAMPLE.subarray(0, end), 0));
  for (let bit = 0; bit < EXAMPLE.length * 8; bit++) {
    const changed = Buffer.from(EXAMPLE);
    changed[bit >> 3] ^= 1 << (bit & 7);
    formatError(() => checkBlock(changed, 0));
  }
  const at = (bytes: Buffer, offset: number) => formatError(() => checkBlock(bytes, offset));
  t.match(at(EXAMPLE.subarray(0, 20), 0), { reason: "20 bytes, fewer than a block's header has", offset: 0 });
  t.match(at(EXAMPLE.subarray(0, 60), 0), { reason: 'a block is cut short: 20 of its 42 bytes are there' });
  t.match(at(Buffer.alloc(90), 3), { reason: 'no block begins here', offset: 3 });
  const changed = Buffer.from(EXAMPLE);
  changed[45] ^= 1;
  t.match(at(changed, 0), { reason: 'the checksum of a block is wrong', offset: 0 });
});

/** A block with this payload, whose checksum is good. */
function blockOf(payload: Buffer, count: number, first: number, last: number): Buffer {
  const buffer = Buffer.concat([Buffer.alloc(PAGE_BLOCK_HEADER_BYTES), payload]);
  const header = Object.assign(new BlockHeader(), { queueId: 1, first, last, count, payloadBytes: payload.length });
  putBlockHeader(buffer, 0, header);
  return buffer;
}

t.test('a payload that is not what the header says is a FormatError', async (t) => {
  const cases: [payload: string, count: number, last: number, problem: RegExp][] = [
    ['00 02 01 0000 61', 1, 0, /no route/],
    ['04 03 00 0171 02 01 0000', 1, 0, /cut short/],
    ['04 03 00 0171 02', 1, 0, /cut short/],
    ['04 09 00 0171 02', 1, 0, /cut short/],
    ['04 03 00 0271 02 00 0000', 1, 0, /two short strings/],
    ['14 03 00 0171 02 00 0000', 1, 0, /unknown flags 20/],
    ['04 03 00 0171 02 00 0000', 2, 1, /cut short/],
    ['04 03 00 0171 02 00 0000 00', 1, 0, /1 bytes are left behind/],
    ['04 03 00 0171 02 00 0000', 1, 1, /ends at position 0, not at 1/],
    ['04 03 00 0171 02 00 0000', 0, 0, /8 bytes are left|9 bytes are left/],
  ];
  for (const [payload, count, last, problem] of cases) {
    const block = blockOf(hex(payload), count, 0, last);
    for (const padding of [0, 300]) {
      const padded = Buffer.concat([block, Buffer.alloc(padding)]);
      t.match(formatError(() => decoded(padded)).message, problem, payload);
    }
  }
});

t.test('any payload at all is messages or a FormatError', async () => {
  const payloads = fc.tuple(placedMessages, fc.nat(), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(payloads, ([placed, where, change]) => {
      const built = build(new BlockBuilder(), 1, placed);
      const payload = Buffer.from(built.subarray(PAGE_BLOCK_HEADER_BYTES));
      payload[where % payload.length] ^= change;
      const { first, last, count } = readBlockHeader(built, 0);
      try {
        decoded(blockOf(payload, count, first, last));
      } catch (error) {
        assert.equal(error instanceof Error ? error.name : error, 'FormatError');
      }
    }),
    { numRuns: 1000 },
  );
});

t.test('a sink may decode another block while it is told of one', async (t) => {
  const inner: number[] = [];
  const outer: number[] = [];
  decodeBlock(EXAMPLE, 0, {
    message: (position) => {
      outer.push(position);
      decodeBlock(EXAMPLE, 0, { message: (each) => inner.push(each) });
    },
  });
  t.strictSame(outer, [10, 11, 15]);
  t.equal(inner.length, 9);
});

t.test('a builder is used again, for ten thousand messages', async (t) => {
  const message = messageFrom('', 'q', hex('100002'), Buffer.alloc(20, 'x'));
  const builder = new BlockBuilder();
  for (const count of [10, 10_000]) {
    builder.begin(1);
    for (let i = 0; i < count; i++) builder.add(message, i);
    const positions: number[] = [];
    decodeBlock(builder.finish(), 0, { message: (position) => positions.push(position) });
    t.strictSame(
      positions,
      Array.from({ length: count }, (_, i) => i),
    );
  }
});
