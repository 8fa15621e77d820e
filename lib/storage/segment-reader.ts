// Reads one segment of the log into memory, all at once, and finds its records.
import { FormatError } from './byte-reader.ts';
import { decodeFileHeader, FILE_HEADER_BYTES, type FileHeader } from './file-header.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { type RecordScan, scanRecords } from './records.ts';

/** Node refuses more than 2^31 - 1 bytes in one read. */
const READ_BYTES = 1024 * 1024 * 1024;
const ZEROS = Buffer.alloc(4096);

/** What is found in a segment. Behind `end` there may be zeros: space that was prepared for records, which is no problem. */
export interface Segment extends RecordScan {
  /** As its header says. */
  readonly number: number;
  /** Its records were not synced one by one: after a power loss a good one may follow a bad one. */
  readonly lazy: boolean;
  /** What was read: the file from its beginning to `size`. Larger when it was given. */
  readonly buffer: Buffer;
  /** Bytes of the file. */
  readonly size: number;
}

/** A segment that was begun but has no header yet, and nothing behind where it would be: what a crash leaves of its creation. */
export class UnfinishedSegmentError extends FormatError {}

/**
 * @param into is read into when it is large enough
 * @param expectedSequence of the first record; undefined takes what it says
 * @throws {UnfinishedSegmentError} when the file has no sound header, and no more bytes than one has
 * @throws {FormatError} when the header is bad otherwise
 */
export async function readSegment(
  fs: FileSystem,
  path: string,
  into?: Buffer,
  expectedSequence?: number,
): Promise<Segment> {
  const file = await fs.open(path, 'read');
  try {
    const size = await file.size();
    const buffer = into !== undefined && into.length >= size ? into : Buffer.allocUnsafeSlow(size);
    const bytes = await readFully(file, buffer, size);
    const { number, lazy } = readHeader(buffer.subarray(0, bytes));
    const scan = scanRecords(buffer, FILE_HEADER_BYTES, bytes, expectedSequence);
    // Nothing is prepared where records are synced later: zeros are what a power loss has left of them.
    const isPrepared = !lazy && scan.problem !== null && isZero(buffer, scan.end, bytes);
    return { number, lazy, buffer, size: bytes, ...scan, problem: isPrepared ? null : scan.problem };
  } finally {
    await file.close();
  }
}

function readHeader(bytes: Buffer): FileHeader {
  try {
    return decodeFileHeader(bytes, 'log');
  } catch (error) {
    if (!(error instanceof FormatError) || bytes.length > FILE_HEADER_BYTES) throw error;
    throw new UnfinishedSegmentError(error.reason, error.offset);
  }
}

function isZero(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, end - at);
    if (buffer.compare(ZEROS, 0, length, at, at + length) !== 0) return false;
  }
  return true;
}

/** Reads the file from its beginning; returns how many bytes there were. */
async function readFully(file: OpenFile, buffer: Buffer, size: number): Promise<number> {
  let at = 0;
  while (at < size) {
    const bytes = await file.read(buffer, at, Math.min(READ_BYTES, size - at), at);
    if (bytes === 0) break;
    at += bytes;
  }
  return at;
}
