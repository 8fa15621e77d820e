// A data folder in which bytes were changed, files cut short or lost: what a broker that opens it must notice, and how it says so.
import { StorageError } from '../../lib/storage/storage-error.ts';
import type { SimulatedDisk } from './sim-disk.ts';
import { type Ending, live, type Scene, sceneOf } from './store-crash.ts';
import { FOLDER } from './store-life.ts';
import { observe } from './store-observe.ts';
import { type Profile, profileOf } from './store-workload.ts';

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

/** A folder with some segments, a checkpoint and a page that it names. */
export async function fullFolder(firstSeed: number): Promise<Ending> {
  for (let seed = firstSeed; seed < firstSeed + 1000; seed++) {
    const folder = await folderToDamage(seed, profileOf(seed), 50);
    const paths = [...(await filesOf(folder.disk.crash({ mode: 'keep' }))).keys()];
    const isFull = paths.filter((path) => path.endsWith('.log')).length > 2 && paths.includes(`${FOLDER}/checkpoint`);
    if (isFull && paths.some((path) => path.endsWith('.page'))) return folder;
  }
  throw new Error('no seed leaves such a folder');
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
