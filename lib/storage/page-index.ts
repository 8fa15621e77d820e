// The end of a page: the index, which says where each queue's messages stand in it, and the footer, which says where the
// index does.
import { ByteReader, crcOfRange, FormatError, readU32, readU64 } from './byte-reader.ts';
import { ByteWriter, putU32, putU64 } from './byte-writer.ts';
import { PositionSet } from './position-set.ts';

export const PAGE_FOOTER_BYTES = 32;

const CRC_AT = 28;

/** All blocks of one queue in a page, side by side. */
export interface PageRun {
  readonly queueId: number;
  /** The level of all its positions. */
  readonly level: number;
  /** Positions of the first and the last message. */
  readonly first: number;
  readonly last: number;
  /** How many messages. */
  readonly count: number;
  /** The earliest deadline of a message; 0 when none expires. */
  readonly firstDeadlineMs: number;
  /** Where the first block stands in the file. */
  readonly offset: number;
  /** Of all its blocks. */
  readonly bytes: number;
  /** Positions between first and last that are not in the page; null when there are none. */
  readonly gaps: PositionSet | null;
  /** Positions of transient messages; null when there are none. */
  readonly transient: PositionSet | null;
}

export interface PageFooter {
  readonly indexOffset: number;
  readonly indexBytes: number;
  readonly indexCrc: number;
  readonly pageNumber: number;
}

const NONE = new PositionSet();

export function encodePageIndex(runs: readonly PageRun[]): Buffer {
  const writer = new ByteWriter(64 + 32 * runs.length);
  writer.varint(runs.length);
  for (const run of runs) {
    writer.varint(run.queueId);
    writer.varint(run.level);
    writer.varint(run.first);
    writer.varint(run.last);
    writer.varint(run.count);
    writer.varint(run.firstDeadlineMs);
    writer.varint(run.offset);
    writer.varint(run.bytes);
    writer.positions(run.gaps ?? NONE);
    writer.positions(run.transient ?? NONE);
  }
  return writer.view();
}

export function encodePageFooter(indexOffset: number, index: Buffer, pageNumber: number): Buffer {
  const footer = Buffer.alloc(PAGE_FOOTER_BYTES);
  putU64(footer, 0, indexOffset);
  putU32(footer, 8, index.length);
  putU32(footer, 12, crcOfRange(index, 0, index.length));
  putU64(footer, 16, pageNumber);
  putU32(footer, CRC_AT, crcOfRange(footer, 0, CRC_AT));
  return footer;
}

/**
 * @param offset of the footer: it is the last 32 bytes of a page
 * @throws FormatError when its checksum is wrong
 */
export function decodePageFooter(buffer: Buffer, offset = 0): PageFooter {
  if (buffer.length - offset < PAGE_FOOTER_BYTES) {
    throw new FormatError(`${buffer.length - offset} bytes, fewer than the footer of a page has`, offset);
  }
  if (crcOfRange(buffer, offset, offset + CRC_AT) !== readU32(buffer, offset + CRC_AT)) {
    throw new FormatError('the checksum of the footer is wrong: the page is cut short or damaged', offset);
  }
  return {
    indexOffset: readU64(buffer, offset),
    indexBytes: readU32(buffer, offset + 8),
    indexCrc: readU32(buffer, offset + 12),
    pageNumber: readU64(buffer, offset + 16),
  };
}

/**
 * @param index the bytes that the footer tells of
 * @throws FormatError when they are not what the footer says
 */
export function decodePageIndex(index: Buffer, footer: PageFooter): PageRun[] {
  if (index.length !== footer.indexBytes || crcOfRange(index, 0, index.length) !== footer.indexCrc) {
    throw new FormatError('the checksum of the index is wrong', 0);
  }
  const reader = new ByteReader(index);
  const count = reader.varint();
  const runs: PageRun[] = [];
  for (let i = 0; i < count; i++) {
    runs.push({
      queueId: reader.varint(),
      level: reader.varint(),
      first: reader.varint(),
      last: reader.varint(),
      count: reader.varint(),
      firstDeadlineMs: reader.varint(),
      offset: reader.varint(),
      bytes: reader.varint(),
      gaps: readPositions(reader),
      transient: readPositions(reader),
    });
  }
  if (reader.offset !== index.length) throw new FormatError('bytes are left behind the index', reader.offset);
  return runs;
}

function readPositions(reader: ByteReader): PositionSet | null {
  const positions = reader.positions();
  return positions.isEmpty ? null : positions;
}
