// Simulated disks to test, with a folder and maybe a durable file.
import type { OpenFile } from '../../lib/storage/file-system.ts';
import { SimulatedDisk, type SimulatedDiskOptions, seededRandom } from '../helper/sim-disk.ts';

export const FOLDER = '/data';
export const FILE = '/data/file';
export const SEEDS = 400;

export async function diskWithFolder(options?: SimulatedDiskOptions): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(options);
  await disk.makeDirectory(FOLDER);
  return disk;
}

export async function writeText(file: OpenFile, text: string, position: number): Promise<void> {
  await file.write([Buffer.from(text)], position);
}

/** A disk with a durable file. */
export async function diskWithFile(text: string, options?: SimulatedDiskOptions): Promise<[SimulatedDisk, OpenFile]> {
  const disk = await diskWithFolder(options);
  const file = await disk.open(FILE, 'create');
  await writeText(file, text, 0);
  await file.dataSync();
  await disk.syncDirectory(FOLDER);
  return [disk, file];
}

export function textOf(disk: SimulatedDisk, path = FILE): string | undefined {
  return disk.peek(path)?.toString('latin1');
}

/** How often each outcome came, over many crashes of one disk. */
export function outcomes(
  disk: SimulatedDisk,
  describe: (after: SimulatedDisk) => string | undefined,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const outcome = describe(disk.crash({ mode: 'random', random: seededRandom(seed) })) ?? 'missing';
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}
