// The 32 bytes that every file of a data folder begins with: what it is, in which version of the format, and its number.
import { crcOfRange, FormatError, readU32, readU64 } from './byte-reader.ts';
import { putU32, putU64 } from './byte-writer.ts';

export const FILE_HEADER_BYTES = 32;
export const FORMAT_VERSION = 1;

export type FileKind = 'log' | 'page' | 'checkpoint';

export interface FileHeader {
  /** 0 for the checkpoint. */
  readonly number: number;
  readonly version: number;
  /** A page of transient messages. */
  readonly transient: boolean;
  /** A segment whose records were not synced one by one: after a power loss its end may be damaged in any way. */
  readonly lazy: boolean;
  /** A checkpoint that was written at a clean stop, as the last thing. */
  readonly clean: boolean;
}

const MAGIC: Readonly<Record<FileKind, string>> = { log: 'LEVERLOG', page: 'LEVERPAG', checkpoint: 'LEVERCHK' };
const NAME: Readonly<Record<FileKind, string>> = { log: 'a log segment', page: 'a page', checkpoint: 'a checkpoint' };
const MAGIC_BYTES = 8;
/** What the kind says, by the kind of file. */
const FLAG: Readonly<Record<FileKind, number>> = { log: 2, page: 1, checkpoint: 4 };
const CRC_AT = 28;

/** @param flagged a page of transient messages, a lazy segment, or the checkpoint of a clean stop */
export function encodeFileHeader(kind: FileKind, number: number, flagged = false): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  header.write(MAGIC[kind], 'latin1');
  header.writeUInt16LE(FORMAT_VERSION, 8);
  header.writeUInt16LE(flagged ? FLAG[kind] : 0, 10);
  putU64(header, 16, number);
  putU32(header, CRC_AT, crcOfRange(header, 0, CRC_AT));
  return header;
}

/** @throws FormatError saying what is wrong when the buffer does not begin with a sound header of this kind */
export function decodeFileHeader(buffer: Buffer, kind: FileKind): FileHeader {
  if (buffer.length < FILE_HEADER_BYTES) {
    throw new FormatError(`not ${NAME[kind]}: ${buffer.length} bytes, fewer than a header has`, 0);
  }
  checkMagic(buffer.toString('latin1', 0, MAGIC_BYTES), kind);
  // Before the version: a version is only worth a word when the bytes that tell it are sound.
  if (crcOfRange(buffer, 0, CRC_AT) !== readU32(buffer, CRC_AT)) {
    throw new FormatError('the checksum of the file header is wrong', 0);
  }
  const version = buffer.readUInt16LE(8);
  if (version !== FORMAT_VERSION) {
    throw new FormatError(`format version ${version}, but this Leveret knows version ${FORMAT_VERSION} only`, 8);
  }
  const flags = buffer.readUInt16LE(10);
  if (flags !== 0 && flags !== FLAG[kind]) throw new FormatError(`unknown kind ${flags} in the file header`, 10);
  return { number: readU64(buffer, 16), version, transient: flags === 1, lazy: flags === 2, clean: flags === 4 };
}

function checkMagic(magic: string, kind: FileKind): void {
  if (magic === MAGIC[kind]) return;
  for (const other of ['log', 'page', 'checkpoint'] as const) {
    if (magic === MAGIC[other]) throw new FormatError(`${NAME[other]}, not ${NAME[kind]}`, 0);
  }
  throw new FormatError(`not ${NAME[kind]}: it does not begin with ${MAGIC[kind]}`, 0);
}
