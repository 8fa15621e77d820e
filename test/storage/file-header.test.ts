// The header of every file, byte by byte, and what is said of files that have none.
import fc from 'fast-check';
import t from 'tap';
import { crcOfRange } from '../../lib/storage/byte-reader.ts';
import { putU32 } from '../../lib/storage/byte-writer.ts';
import { decodeFileHeader, encodeFileHeader, FILE_HEADER_BYTES } from '../../lib/storage/file-header.ts';
import { hex } from '../codec/helper.ts';
import { formatError } from './format-helper.ts';

const kinds = ['log', 'page', 'checkpoint'] as const;

t.test('headers byte by byte', async (t) => {
  const cases: [header: Buffer, bytes: string][] = [
    [encodeFileHeader('log', 7), '4c45564552 4c4f47 0100 0000 00000000 0700000000000000 00000000 27c7dae0'],
    [encodeFileHeader('log', 7, true), '4c45564552 4c4f47 0100 0200 00000000 0700000000000000 00000000 a4ac0ee5'],
    [
      encodeFileHeader('page', 2 ** 40 + 5, true),
      '4c45564552 504147 0100 0100 00000000 0500000000010000 00000000 94fce18f',
    ],
    [encodeFileHeader('checkpoint', 0), '4c45564552 43484b 0100 0000 00000000 0000000000000000 00000000 adc690b0'],
  ];
  for (const [header, bytes] of cases) t.strictSame(header, hex(bytes));
});

t.test('a header says what it was made from', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.maxSafeNat(), fc.boolean(), (kind, number, flagged) => {
      const header = decodeFileHeader(Buffer.concat([encodeFileHeader(kind, number, flagged), Buffer.alloc(9)]), kind);
      return (
        header.number === number &&
        header.version === 1 &&
        header.transient === (flagged && kind === 'page') &&
        header.lazy === (flagged && kind === 'log')
      );
    }),
  );
});

t.test('any changed bit is found', async (t) => {
  const header = encodeFileHeader('page', 3);
  for (let bit = 0; bit < FILE_HEADER_BYTES * 8; bit++) {
    const changed = Buffer.from(header);
    changed[bit >> 3] ^= 1 << (bit & 7);
    formatError(() => decodeFileHeader(changed, 'page'));
  }
  t.pass();
});

/** A header with some bytes changed and the checksum right. */
function changed(offset: number, byte: number): Buffer {
  const header = encodeFileHeader('log', 1);
  header[offset] = byte;
  putU32(header, 28, crcOfRange(header, 0, 28));
  return header;
}

t.test('a header that is none says why', async (t) => {
  const cases: [bytes: Buffer, problem: RegExp][] = [
    [Buffer.alloc(0), /not a log segment: 0 bytes/],
    [encodeFileHeader('log', 1).subarray(0, 31), /31 bytes, fewer than a header has/],
    [Buffer.alloc(32), /does not begin with LEVERLOG/],
    [Buffer.from('#!/bin/sh\necho somebody put this file here\n'), /does not begin with LEVERLOG/],
    [encodeFileHeader('page', 1), /^a page, not a log segment/],
    [encodeFileHeader('checkpoint', 0), /^a checkpoint, not a log segment/],
    [changed(8, 2), /format version 2, but this Leveret knows version 1 only/],
    [changed(10, 1), /unknown kind 1/],
    [changed(10, 3), /unknown kind 3/],
  ];
  for (const [bytes, problem] of cases) t.match(formatError(() => decodeFileHeader(bytes, 'log')).message, problem);
  t.match(
    formatError(() => decodeFileHeader(encodeFileHeader('log', 1), 'page')).message,
    /^a log segment, not a page/,
  );
});
