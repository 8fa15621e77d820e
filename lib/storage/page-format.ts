// The parts of a page: what its blocks begin with and how they are checked. What stands in a block is in page-block.ts, where
// each queue's blocks are found in page-index.ts.
import { crcOfRange, FormatError, readU32, readU64 } from './byte-reader.ts';
import { putU32, putU64 } from './byte-writer.ts';

export const PAGE_BLOCK_HEADER_BYTES = 40;

/** Flags of a message in a block. */
export const BLOCK_EXPIRES = 1;
export const BLOCK_TRANSIENT = 2;
export const BLOCK_ROUTE = 4;
export const BLOCK_GAP = 8;

const MAGIC = 0x4b4c424c;
const CRC_AT = 36;

/** What a block says of itself; made once and read into again and again. */
export class BlockHeader {
  queueId = 0;
  /** Positions of its first and its last message. */
  first = 0;
  last = 0;
  /** How many messages it holds. */
  count = 0;
  payloadBytes = 0;
}

/**
 * Reads the header of the block at an offset.
 * @throws FormatError when no block begins there
 */
export function readBlockHeader(buffer: Buffer, offset: number, into: BlockHeader = new BlockHeader()): BlockHeader {
  const left = buffer.length - offset;
  if (left < PAGE_BLOCK_HEADER_BYTES) {
    throw new FormatError(`${left} bytes, fewer than a block's header has`, offset);
  }
  if (readU32(buffer, offset) !== MAGIC) throw new FormatError('no block begins here', offset);
  into.payloadBytes = readU32(buffer, offset + 4);
  into.queueId = readU64(buffer, offset + 8);
  into.first = readU64(buffer, offset + 16);
  into.last = readU64(buffer, offset + 24);
  into.count = readU32(buffer, offset + 32);
  return into;
}

/** Writes the header of a block whose payload stands behind it already. */
export function putBlockHeader(buffer: Buffer, offset: number, header: BlockHeader): void {
  putU32(buffer, offset, MAGIC);
  putU32(buffer, offset + 4, header.payloadBytes);
  putU64(buffer, offset + 8, header.queueId);
  putU64(buffer, offset + 16, header.first);
  putU64(buffer, offset + 24, header.last);
  putU32(buffer, offset + 32, header.count);
  putU32(buffer, offset + CRC_AT, blockCrc(buffer, offset, header.payloadBytes));
}

/**
 * Checks that the block at an offset is all there and unharmed.
 * @throws FormatError saying what is wrong
 */
export function checkBlock(buffer: Buffer, offset: number): void {
  const { payloadBytes } = readBlockHeader(buffer, offset, checked);
  const left = buffer.length - offset - PAGE_BLOCK_HEADER_BYTES;
  if (payloadBytes > left) {
    throw new FormatError(`a block is cut short: ${left} of its ${payloadBytes} bytes are there`, offset);
  }
  if (blockCrc(buffer, offset, payloadBytes) !== readU32(buffer, offset + CRC_AT)) {
    throw new FormatError('the checksum of a block is wrong', offset);
  }
}

const checked = new BlockHeader();

function blockCrc(buffer: Buffer, offset: number, payloadBytes: number): number {
  const payload = offset + PAGE_BLOCK_HEADER_BYTES;
  return crcOfRange(buffer, payload, payload + payloadBytes, crcOfRange(buffer, offset, offset + CRC_AT));
}
