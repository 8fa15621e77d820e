// Index and footer of a page.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { LEVEL_SPAN } from '../../lib/core/positions.ts';
import { crcOfRange } from '../../lib/storage/byte-reader.ts';
import {
  decodePageFooter,
  decodePageIndex,
  encodePageFooter,
  encodePageIndex,
  PAGE_FOOTER_BYTES,
  type PageRun,
} from '../../lib/storage/page-index.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { hex } from '../codec/helper.ts';
import { formatError, intervalsOf, positionSet, safeInteger } from './format-helper.ts';

const OFFSET = 2 ** 33 + 50;
const INDEX = hex(`
  02
  05 00 0a 0f 03 80a0f1c2b134 20 52 01 0c02 01 0b00
  ac02 01 80808080808004 80808080808004 01 00 8080808020 32 00 00
`);
const FOOTER = hex('3200000002000000 2f000000 32d2a9ca 0900000000000000 00000000 6f56d355');
const RUNS: readonly PageRun[] = [
  {
    queueId: 5,
    level: 0,
    first: 10,
    last: 15,
    count: 3,
    firstDeadlineMs: 1_800_000_000_000,
    offset: 32,
    bytes: 82,
    gaps: PositionSet.of([[12, 14]]),
    transient: PositionSet.of([[11, 11]]),
  },
  {
    queueId: 300,
    level: 1,
    first: LEVEL_SPAN,
    last: LEVEL_SPAN,
    count: 1,
    firstDeadlineMs: 0,
    offset: 2 ** 33,
    bytes: 50,
    gaps: null,
    transient: null,
  },
];

/** With the sets as lists, which compare. */
function plain(runs: readonly PageRun[]): unknown {
  const list = (set: PositionSet | null) => (set === null ? null : intervalsOf(set));
  return runs.map((run) => ({ ...run, gaps: list(run.gaps), transient: list(run.transient) }));
}

t.test('index and footer byte by byte', async (t) => {
  t.strictSame(encodePageIndex(RUNS), INDEX);
  t.strictSame(encodePageFooter(OFFSET, INDEX, 9), FOOTER);
  const footer = decodePageFooter(FOOTER);
  t.strictSame(footer, { indexOffset: OFFSET, indexBytes: 47, indexCrc: 0xcaa9d232, pageNumber: 9 });
  t.strictSame(plain(decodePageIndex(INDEX, footer)), plain(RUNS));
});

const sets = fc.oneof(fc.constant(null), positionSet).map((set) => (set?.isEmpty ? null : set));
const anyRun: fc.Arbitrary<PageRun> = fc.record(
  {
    queueId: safeInteger,
    level: fc.nat({ max: 511 }),
    first: safeInteger,
    last: safeInteger,
    count: safeInteger,
    firstDeadlineMs: safeInteger,
    offset: safeInteger,
    bytes: safeInteger,
    gaps: sets,
    transient: sets,
  },
  { noNullPrototype: true },
);

t.test('what was written is read again', async () => {
  fc.assert(
    fc.property(fc.array(anyRun, { maxLength: 10 }), safeInteger, safeInteger, (runs, offset, number) => {
      const index = encodePageIndex(runs);
      const footer = decodePageFooter(Buffer.concat([index, encodePageFooter(offset, index, number)]), index.length);
      assert.deepEqual([footer.indexOffset, footer.indexBytes, footer.pageNumber], [offset, index.length, number]);
      assert.deepEqual(plain(decodePageIndex(index, footer)), plain(runs));
    }),
    { numRuns: 300 },
  );
});

t.test('an empty set is none', async (t) => {
  const [run] = RUNS;
  const index = encodePageIndex([{ ...run, gaps: new PositionSet() }]);
  const [read] = decodePageIndex(index, decodePageFooter(encodePageFooter(0, index, 1)));
  t.equal(read.gaps, null);
});

t.test('whatever is cut or changed is found out', async (t) => {
  const footer = decodePageFooter(FOOTER);
  for (let end = 0; end < FOOTER.length; end++) {
    t.match(formatError(() => decodePageFooter(FOOTER.subarray(0, end))).message, /fewer than the footer/);
  }
  for (let bit = 0; bit < PAGE_FOOTER_BYTES * 8; bit++) {
    const changed = Buffer.from(FOOTER);
    changed[bit >> 3] ^= 1 << (bit & 7);
    t.match(formatError(() => decodePageFooter(changed)).message, /checksum of the footer/);
  }
  for (let bit = 0; bit < INDEX.length * 8; bit++) {
    const changed = Buffer.from(INDEX);
    changed[bit >> 3] ^= 1 << (bit & 7);
    t.match(formatError(() => decodePageIndex(changed, footer)).message, /checksum of the index/);
  }
  t.match(formatError(() => decodePageIndex(INDEX.subarray(1), footer)).message, /checksum of the index/);
});

t.test('an index that is none is a FormatError, whatever its checksum', async (t) => {
  const read = (index: Buffer) =>
    decodePageIndex(index, {
      indexOffset: 0,
      indexBytes: index.length,
      indexCrc: crcOfRange(index, 0, index.length),
      pageNumber: 1,
    });
  t.match(formatError(() => read(hex('01 05'))).message, /cut short/);
  t.match(formatError(() => read(hex('00 00'))).message, /left behind the index/);
});

t.test('100,000 runs are written and read', async (t) => {
  const runs = Array.from({ length: 100_000 }, (_, i): PageRun => ({ ...RUNS[1], queueId: i, offset: i * 300 }));
  const index = encodePageIndex(runs);
  const read = decodePageIndex(index, decodePageFooter(encodePageFooter(0, index, 1)));
  t.equal(read.length, 100_000);
  t.equal(read[99_999].queueId, 99_999);
  t.equal(read[99_999].offset, 99_999 * 300);
});
