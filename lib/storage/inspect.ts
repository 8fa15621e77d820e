// What verify and dump share: the files of a data folder, read without a broker and without its lock. A broker may be running
// there meanwhile, so files may grow, come and go.
import { FormatError } from './byte-reader.ts';
import { type CheckpointState, decodeCheckpoint } from './checkpoint-format.ts';
import type { FileSystem } from './file-system.ts';
import { numberedName, numberInName } from './segment.ts';

/** So many times a checkpoint is read again that a running broker replaced while its files were listed. */
const MOST_READS = 10;

/** The advice for what nothing here can mend. */
export const RESTORE = 'restore the data folder from a copy: its files belong together';

/** Where lines go to; resolves when there is room for more. */
export interface LineOutput {
  line(text: string): Promise<void>;
}

/** Tells what is wrong, and keeps count. */
export interface Report extends LineOutput {
  /** What the next start mends. */
  warning(file: string, offset: number, what: string): Promise<void>;
  /** @param advice what to do about it */
  problem(file: string, offset: number, what: string, advice: string): Promise<void>;
}

export interface FolderContents {
  /** Null when there is none, or when it can't be read; then `checkpointError` says why. */
  readonly checkpoint: CheckpointState | null;
  readonly checkpointBytes: number;
  readonly checkpointError: FormatError | null;
  readonly hasNewCheckpoint: boolean;
  /** Numbers of the segments, rising. */
  readonly segments: readonly number[];
  /** Numbers of the pages with persistent messages, rising. */
  readonly pages: readonly number[];
  /** Numbers of the pages with transient messages, rising. */
  readonly transientPages: readonly number[];
}

/** Paths from the data folder on. */
export const CHECKPOINT = 'checkpoint';
export const segmentName = (number: number): string => `log/${numberedName(number, 'log')}`;
export const pageName = (number: number): string => `pages/${numberedName(number, 'page')}`;
export const transientPageName = (number: number): string => `pages/${numberedName(number, 'transient')}`;

/** Segments from this one on count. */
export function firstSegmentOf({ checkpoint }: FolderContents): number {
  return checkpoint?.firstSegment ?? 1;
}

/** Reads a whole file; null when it is not there. */
export async function readWhole(fs: FileSystem, path: string): Promise<Buffer | null> {
  const file = await unlessMissing(fs.open(path, 'read'));
  if (file === null) return null;
  try {
    const buffer = Buffer.allocUnsafeSlow(await file.size());
    return buffer.subarray(0, await file.read(buffer, 0, buffer.length, 0));
  } finally {
    await file.close();
  }
}

/** Resolves to null when a file is not there, or not any more. */
export async function unlessMissing<T>(opened: Promise<T>): Promise<T | null> {
  try {
    return await opened;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * What is in a data folder. Checkpoint and files belong together: when a running broker replaces the one while the others are
 * listed, both are read again.
 * @returns null when there is nothing of a data folder
 */
export async function readFolder(fs: FileSystem, directory: string): Promise<FolderContents | null> {
  for (let reads = 1; ; reads++) {
    const bytes = await readWhole(fs, `${directory}/${CHECKPOINT}`);
    const contents = await list(fs, directory, bytes);
    if (contents === null || hasAllFiles(contents) || reads === MOST_READS) return contents;
    const again = await readWhole(fs, `${directory}/${CHECKPOINT}`);
    if (bytes === null ? again === null : again?.equals(bytes)) return contents;
  }
}

async function list(fs: FileSystem, directory: string, bytes: Buffer | null): Promise<FolderContents | null> {
  const names = await fs.list(directory);
  if (![CHECKPOINT, `${CHECKPOINT}.new`, 'log', 'pages'].some((name) => names.includes(name))) return null;
  const numbersIn = async (folder: string, extension: string): Promise<number[]> => {
    const found = (await fs.list(`${directory}/${folder}`)).flatMap((name) => numberInName(name, extension) ?? []);
    return found.sort((a, b) => a - b);
  };
  const { checkpoint, checkpointError } = decode(bytes);
  return {
    checkpoint,
    checkpointBytes: bytes?.length ?? 0,
    checkpointError,
    hasNewCheckpoint: names.includes(`${CHECKPOINT}.new`),
    segments: await numbersIn('log', 'log'),
    pages: await numbersIn('pages', 'page'),
    transientPages: await numbersIn('pages', 'transient'),
  };
}

function decode(bytes: Buffer | null): Pick<FolderContents, 'checkpoint' | 'checkpointError'> {
  try {
    return { checkpoint: bytes === null ? null : decodeCheckpoint(bytes), checkpointError: null };
  } catch (error) {
    if (error instanceof FormatError) return { checkpoint: null, checkpointError: error };
    throw error;
  }
}

function hasAllFiles(contents: FolderContents): boolean {
  const { checkpoint, segments } = contents;
  if (checkpoint === null) return segments.length === 0 || segments[0] === 1;
  const pages = new Set(contents.pages);
  return segments.includes(checkpoint.firstSegment) && checkpoint.pages.every(({ number }) => pages.has(number));
}
