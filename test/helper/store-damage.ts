// A data folder in which bytes were changed, files cut short or lost: what a broker that opens it must notice, and how it says so.
import { readU64 } from '../../lib/storage/byte-reader.ts';
import { decodeCheckpoint } from '../../lib/storage/checkpoint-format.ts';
import { FILE_HEADER_BYTES } from '../../lib/storage/file-header.ts';
import { RECORD_HEADER_BYTES } from '../../lib/storage/records.ts';
import { numberedName } from '../../lib/storage/segment.ts';
import { StorageError } from '../../lib/storage/storage-error.ts';
import type { SimulatedDisk } from './sim-disk.ts';
import { type Ending, live, type Scene, sceneOf } from './store-crash.ts';
import { FOLDER } from './store-life.ts';
import { observe } from './store-observe.ts';
import { type Profile, profileOf } from './store-workload.ts';

/** Where a segment's first record begins, which has its sequence 8 bytes on. */
const FIRST_RECORD = FILE_HEADER_BYTES;

/** What became of opening a damaged folder. */
export type Verdict =
  /** Refused at the start, or noticed when a page was read. */
  | 'refused'
  | 'noticed'
  /** Repaired, with a warning. */
  | 'cut'
  /** Nothing was wrong with what counts. */
  | 'unharmed';

/** A folder with segments, pages and a checkpoint, left by a process that died when all was durable. */
export async function folderToDamage(seed: number, profile: Profile, steps: number): Promise<Ending> {
  const scene = sceneOf(seed, profile);
  const ending = await live(scene, { steps, closes: false });
  await ending.world?.life.kill();
  // A dead disk gives as many copies as one likes.
  ending.disk.crash({ mode: 'keep' });
  return ending;
}

/** All files of the folder, with their bytes. */
export async function filesOf(disk: SimulatedDisk): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const folder of [FOLDER, `${FOLDER}/log`, `${FOLDER}/pages`]) {
    for (const name of await disk.list(folder)) {
      const content = disk.peek(`${folder}/${name}`);
      if (content !== undefined) files.set(`${folder}/${name}`, content);
    }
  }
  return files;
}

/** A folder with segments that are all needed, the newest for records behind the checkpoint, which is needed as well, and a page that it names. */
export async function fullFolder(firstSeed: number): Promise<Ending> {
  for (let seed = firstSeed; seed < firstSeed + 1000; seed++) {
    const folder = await folderToDamage(seed, profileOf(seed), 50);
    if (isFull(await filesOf(folder.disk.crash({ mode: 'keep' })))) return folder;
  }
  throw new Error('no seed leaves such a folder');
}

function isFull(files: ReadonlyMap<string, Buffer>): boolean {
  const paths = [...files.keys()];
  const segments = paths.filter((path) => path.endsWith('.log'));
  const checkpoint = files.get(`${FOLDER}/checkpoint`);
  const newest = files.get(segments.at(-1) ?? '');
  if (segments.length < 3 || !paths.some((path) => path.endsWith('.page'))) return false;
  if (checkpoint === undefined || newest === undefined || newest.length < FIRST_RECORD + RECORD_HEADER_BYTES)
    return false;
  const { firstSegment, sequence } = decodeCheckpoint(checkpoint);
  const sequenceAt = FIRST_RECORD + 8;
  // With the very first segment the log would tell it all.
  const isNeeded = firstSegment > 1 && segments[0].endsWith(numberedName(firstSegment, 'log'));
  return isNeeded && sequence < readU64(newest, sequenceAt);
}

/**
 * Opens a copy of the folder that `damage` was done to.
 * @param isEndLost the end of the log may be gone without a trace: it is as if it had never been written
 * @throws {Error} when something is missing and nobody said so, or what was said does not help
 */
export async function verdictOn(
  { disk, profile, history, model }: Scene,
  path: string,
  damage: (copy: SimulatedDisk) => void | Promise<void>,
  isEndLost = false,
): Promise<Verdict> {
  const copy = disk.crash({ mode: 'keep' });
  await damage(copy);
  try {
    const { lines, warnings } = await observe(copy, profile, history);
    model.match(lines, isEndLost || warnings.length > 0 ? 'lossy crash' : 'crash');
    return warnings.length > 0 ? 'cut' : 'unharmed';
  } catch (error) {
    if (error instanceof StorageError) return refused(error, path, 'refused');
    if (error instanceof Error && error.cause instanceof StorageError) return refused(error.cause, path, 'noticed');
    throw error;
  }
}

function refused({ message }: StorageError, path: string, verdict: Verdict): Verdict {
  if (!message.includes(path)) throw new Error(`it does not name ${path}: ${message}`);
  if (!message.includes(`leveret log verify ${FOLDER}`)) throw new Error(`it names no command: ${message}`);
  return verdict;
}
