// Records: what a segment and the checkpoint consist of, each with a sequence and a checksum, so that after a crash all of a
// record counts or nothing. Scanning tells a torn end, which is what a crash leaves, from damage, which it does not.
import { crc32 } from 'node:zlib';
import { crcOfRange, readSafeU64, readU32 } from './byte-reader.ts';
import { putU32, putU64 } from './byte-writer.ts';

export const RECORD_HEADER_BYTES = 20;
/** A record's payload stays below this. */
export const RECORD_PAYLOAD_LIMIT = 0x1_0000_0000;

const MAGIC = 0x4452434c;
const MAGIC_BYTES = Buffer.from('LCRD', 'latin1');
const CRC_AT = 16;
/** What the search behind a bad record may spend on checksums, in multiples of the buffer's length. */
const SEARCH_BUDGET = 64;

/** A sound record in a scanned buffer. */
export interface ScannedRecord {
  /** Where its payload starts. */
  readonly start: number;
  readonly end: number;
  readonly sequence: number;
}

export interface RecordScan {
  readonly records: ScannedRecord[];
  /** Behind the last sound record of the unbroken row from the start on. */
  readonly end: number;
  /** What is wrong with the bytes at `end`; null when the row reaches to the end of what was scanned. */
  readonly problem: { readonly offset: number; readonly reason: string } | null;
  /** The sequence of a sound record behind the bad one: it was written later, so the bad one is damage, not a torn end. */
  readonly laterSequence: number | null;
}

/** Writes bytes 0 to 15 of a record's header; the checksum follows when the payload is there. */
export function encodeRecordHeader(target: Buffer, offset: number, payloadBytes: number, sequence: number): void {
  putU32(target, offset, MAGIC);
  putU32(target, offset + 4, payloadBytes);
  putU64(target, offset + 8, sequence);
}

/** The checksum of a record whose header stands at `offset` and whose payload is the chunks, one after the other. */
export function recordCrc(header: Buffer, offset: number, chunks: readonly Buffer[]): number {
  let crc = crcOfRange(header, offset, offset + CRC_AT);
  for (const chunk of chunks) crc = crc32(chunk, crc);
  return crc;
}

/** Completes a record's header with the checksum of it and of the payload. */
export function putRecordCrc(header: Buffer, offset: number, chunks: readonly Buffer[]): void {
  putU32(header, offset + CRC_AT, recordCrc(header, offset, chunks));
}

/**
 * Walks the records from `start` to `end`, checks each, and stops at the first bad one.
 * @param expectedSequence of the first; undefined takes what it says
 */
export function scanRecords(
  buffer: Buffer,
  start: number,
  end: number,
  expectedSequence: number | undefined,
): RecordScan {
  const records: ScannedRecord[] = [];
  let at = start;
  let expected = expectedSequence;
  while (at < end) {
    const reason = recordProblem(buffer, at, end, expected);
    if (reason !== null) {
      const laterSequence = findLater(buffer, at, end, expected);
      return { records, end: at, problem: { offset: at, reason }, laterSequence };
    }
    const sequence = sequenceAt(buffer, at);
    const payload = at + RECORD_HEADER_BYTES;
    at = payload + readU32(buffer, at + 4);
    records.push({ start: payload, end: at, sequence });
    expected = sequence + 1;
  }
  return { records, end: at, problem: null, laterSequence: null };
}

/** What is wrong with the record at an offset, or null. */
function recordProblem(buffer: Buffer, at: number, end: number, expected: number | undefined): string | null {
  if (end - at < RECORD_HEADER_BYTES) return `${end - at} bytes, fewer than a record's header has`;
  if (readU32(buffer, at) !== MAGIC) return 'no record begins here';
  const sequence = sequenceAt(buffer, at);
  if (expected !== undefined && sequence !== expected) return `record ${sequence} stands where ${expected} should`;
  const bytes = readU32(buffer, at + 4);
  const left = end - at - RECORD_HEADER_BYTES;
  if (bytes > left) return `record ${sequence} is cut short: ${left} of its ${bytes} bytes are there`;
  // Later than all else, since it is what costs.
  if (sequence < 1) return 'a record has no sequence';
  return isSound(buffer, at, bytes) ? null : `the checksum of record ${sequence} is wrong`;
}

/** The sequence of the header at an offset; -1 when it is above 2^53 - 1. */
function sequenceAt(buffer: Buffer, at: number): number {
  return readSafeU64(buffer, at + 8);
}

/** True when the record at an offset has a good checksum, were its payload so many bytes long. */
function isSound(buffer: Buffer, at: number, bytes: number): boolean {
  const seed = crcOfRange(buffer, at, at + CRC_AT);
  const payload = at + RECORD_HEADER_BYTES;
  return crcOfRange(buffer, payload, payload + bytes, seed) === readU32(buffer, at + CRC_AT);
}

/**
 * Looks from the bad record at `bad` on for a sound one of a later sequence; returns its sequence or null.
 *
 * A message may hold anything, even records: somebody's copy of a segment. So what stands within the payload of a record
 * whose header is plausible does not count, unless it proves that the length alone is damaged. Elsewhere any sound record
 * counts that could have been written there: no more than one for each smallest record in between.
 */
function findLater(buffer: Buffer, bad: number, end: number, expected: number | undefined): number | null {
  // The record itself, when those before it are missing.
  if (expected !== undefined && recordProblem(buffer, bad, end, undefined) === null) {
    const sequence = sequenceAt(buffer, bad);
    if (sequence > expected) return sequence;
  }
  const searched = buffer.subarray(0, end);
  const payloadEnd = hasPlausibleHeader(buffer, bad, end, expected)
    ? bad + RECORD_HEADER_BYTES + readU32(buffer, bad + 4)
    : bad;
  let budget = SEARCH_BUDGET * (end - bad);
  for (let at = bad + 1; ; at++) {
    at = searched.indexOf(MAGIC_BYTES, at);
    if (at < 0 || at > end - RECORD_HEADER_BYTES) return null;
    const bytes = readU32(buffer, at + 4);
    if (bytes > end - at - RECORD_HEADER_BYTES) continue;
    const sequence = sequenceAt(buffer, at);
    if (sequence < 1 || !couldFollow(sequence, at - bad, expected)) continue;
    if (at < payloadEnd && sequence !== sequenceAt(buffer, bad) + 1) continue;
    // Bytes made to look like many long records would take hours. Not to know is a reason to refuse, too.
    if (budget < 0) return sequence;
    budget -= bytes + (at < payloadEnd ? at - bad : 0);
    if (at < payloadEnd && !isSoundUpTo(buffer, bad, at)) continue;
    if (isSound(buffer, at, bytes)) return sequence;
  }
}

/**
 * True when the bad record at an offset has a header that says what it should, as far as that can be told. Where it is not
 * known which record should be there, no header is trusted: rather a refusal too many than a record lost.
 */
function hasPlausibleHeader(buffer: Buffer, at: number, end: number, expected: number | undefined): boolean {
  if (end - at < RECORD_HEADER_BYTES || readU32(buffer, at) !== MAGIC) return false;
  return sequenceAt(buffer, at) === expected;
}

function couldFollow(sequence: number, distance: number, expected: number | undefined): boolean {
  if (expected === undefined) return true;
  return sequence > expected && sequence - expected <= distance / RECORD_HEADER_BYTES;
}

/** True when the bad record at an offset is sound once its length is taken to reach to `next`. */
function isSoundUpTo(buffer: Buffer, bad: number, next: number): boolean {
  const payload = bad + RECORD_HEADER_BYTES;
  if (next < payload) return false;
  const header = Buffer.from(buffer.subarray(bad, bad + CRC_AT));
  putU32(header, 4, next - payload);
  const seed = crcOfRange(header, 0, CRC_AT);
  return crcOfRange(buffer, payload, next, seed) === readU32(buffer, bad + CRC_AT);
}
