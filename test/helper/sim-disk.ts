// A disk in memory that loses on a crash what was not synced, tears writes, runs full and fails when it is told to. Whatever it
// does follows from the random function that it is given, so a seed repeats it. No time passes: operations end in a later
// microtask or turn of the event loop, so that those that overlap end in any order.
//
// A crash gives a new disk and leaves the old one dead: whoever still holds it, or a file of it, gets errors with code ECRASHED
// and changes nothing. A dead disk can be asked for more outcomes of the same crash.
import { posix } from 'node:path';
import type { FileSystem, OpenFile } from '../../lib/storage/file-system.ts';
import type { DiskCall, DiskCallKind, FaultOptions } from './sim-faults.ts';
import { SimulatedFile } from './sim-file.ts';
import { SimOperations } from './sim-operations.ts';
import { type CrashOptions, SimState, systemError } from './sim-state.ts';

export interface SimulatedDiskOptions {
  /** From 0 to below 1. Default: `seededRandom(1)`. */
  readonly random?: () => number;
  /** Default: as good as none. */
  readonly capacityBytes?: number;
  /** Hears of every call when it begins. */
  readonly onCall?: (call: DiskCall) => void;
}

/** Random numbers that a seed repeats (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class SimulatedDisk implements FileSystem {
  readonly #operations: SimOperations;
  readonly #state: SimState;
  /** Those that are stale belonged to a process that crashed: their names are there, and they can be taken. */
  readonly #locks: Map<string, 'held' | 'stale'>;

  constructor(options: SimulatedDiskOptions = {}, state?: SimState, staleLocks: Iterable<string> = []) {
    const { random = seededRandom(1), capacityBytes = Number.MAX_SAFE_INTEGER, onCall = () => undefined } = options;
    this.#state = state ?? new SimState(capacityBytes);
    this.#operations = new SimOperations(this.#state, random, onCall);
    this.#locks = new Map([...staleLocks].map((path) => [path, 'stale']));
  }

  /** Calls so far of the kinds that fail by default, which are all but reads. */
  get calls(): number {
    return this.#operations.faults.calls;
  }

  /** Calls so far of these kinds, for faults of such kinds. */
  callsOf(kinds: readonly DiskCallKind[]): number {
    return this.#operations.faults.callsOf(kinds);
  }

  /** Bytes that all files may have together; may be changed at any time. */
  get capacityBytes(): number {
    return this.#state.capacityBytes;
  }

  set capacityBytes(bytes: number) {
    this.#state.capacityBytes = bytes;
  }

  /** Length of the last write, for `tearLastWriteAt`; 0 when there was none, or its file was truncated since. */
  get lastWriteLength(): number {
    return this.#state.lastWriteLength;
  }

  /** The last write is not durable: a power loss may tear it. */
  get isLastWriteUnsynced(): boolean {
    return this.#state.isLastWriteUnsynced;
  }

  /**
   * Makes a call fail: the one with this number, from 1 on, among all calls of the chosen kinds since the disk was made. A sync
   * of a file that fails leaves what it should have synced as it is, but no later sync makes that durable.
   */
  failAt(callNumber: number, code: string, options: FaultOptions = {}): void {
    this.#operations.faults.add(callNumber, code, options);
  }

  /** Nothing fails from here on. */
  clearFaults(): void {
    this.#operations.faults.clear();
  }

  /** What a process would read; undefined when there is no such file. */
  peek(path: string): Buffer | undefined {
    const inode = this.#state.lookUp(full(path));
    return inode === undefined ? undefined : Buffer.from(inode.content);
  }

  /** Changes bytes of a file for good, without a call: what a failing disk does. */
  poke(path: string, position: number, data: Buffer): void {
    this.#state.find(full(path)).corrupt(data, position);
  }

  /** What may be there after a crash; this disk is dead from now on. The new one has the same capacity, and no faults. */
  crash(options: CrashOptions): SimulatedDisk {
    const underWay = this.#operations.crash();
    const { onCall } = this.#operations;
    const random = ('random' in options ? options.random : undefined) ?? this.#operations.random;
    let state = this.#state;
    if ('mode' in options && options.mode === 'random') {
      state = state.clone();
      for (const change of underWay) {
        if (random() < 0.5) continue;
        try {
          change(state);
        } catch {
          // It would have failed: for want of space, or of another change that was under way and isn't done.
        }
      }
    }
    return new SimulatedDisk({ random, onCall }, state.afterCrash(options, random), this.#locks.keys());
  }

  async open(path: string, mode: 'create' | 'update' | 'read', durable = false): Promise<OpenFile> {
    const at = full(path);
    const opened = (inode: number): OpenFile =>
      new SimulatedFile(this.#operations, inode, at, mode === 'read', durable);
    if (mode !== 'create') return this.#operations.later('open', at, (state) => opened(state.find(at).id));
    return opened(
      await this.#operations.operate({
        kind: 'create',
        path: at,
        apply: (state) => state.create(at).id,
        isChange: true,
      }),
    );
  }

  rename(from: string, to: string): Promise<void> {
    const [source, target] = [full(from), full(to)];
    const path = `${source} -> ${target}`;
    return this.#operations.operate({ kind: 'rename', path, apply: (s) => s.rename(source, target), isChange: true });
  }

  remove(path: string): Promise<void> {
    const at = full(path);
    const apply = (state: SimState): void => {
      if (this.#locks.has(at)) throw systemError('EISDIR', at);
      state.remove(at);
    };
    return this.#operations.operate({ kind: 'remove', path: at, apply, isChange: true });
  }

  list(directory: string): Promise<string[]> {
    const folder = full(directory);
    return this.#operations.later('list', folder, (state) => {
      const locks = [...this.#locks.keys()].filter((path) => posix.dirname(path) === folder);
      return [...state.list(folder), ...locks.map((path) => posix.basename(path))].sort();
    });
  }

  /** Folders are durable at once. */
  makeDirectory(path: string): Promise<void> {
    return this.#operations.later('makeDirectory', full(path), (state) => state.makeFolder(full(path)));
  }

  syncDirectory(path: string): Promise<void> {
    const folder = full(path);
    const { sequence } = this.#state;
    const apply = (state: SimState): void => state.syncFolder(folder, sequence);
    return this.#operations.operate({ kind: 'syncDirectory', path: folder, apply });
  }

  freeBytes(directory: string): Promise<number> {
    const folder = full(directory);
    return this.#operations.later('freeBytes', folder, (state) => {
      state.requireFolder(folder);
      return state.freeBytes;
    });
  }

  async lock(path: string): Promise<() => Promise<void>> {
    const at = full(path);
    await this.#operations.later('lock', at, (state) => {
      state.requireFolder(posix.dirname(at));
      if (this.#locks.get(at) === 'held') throw systemError('ELOCKED', at);
      this.#locks.set(at, 'held');
    });
    let released: Promise<void> | undefined;
    return () => {
      released ??= this.#operations.later('release', at, () => void this.#locks.delete(at));
      return released;
    };
  }
}

/** Relative paths begin at the root. */
function full(path: string): string {
  return posix.resolve('/', path);
}
