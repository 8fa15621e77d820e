// What is on a simulated disk at one moment, and what of it may be there after a crash. Everything here happens at once;
// `SimulatedDisk` makes operations of it that take their time.
import { posix } from 'node:path';
import { Bytes, Inode } from './sim-inode.ts';
import { Names } from './sim-names.ts';

/** The write that was done last, and what it replaced. */
interface LastWrite {
  readonly inode: number;
  readonly sequence: number;
  readonly position: number;
  readonly length: number;
  readonly previousSize: number;
  /** What was there before, as far as the file went. */
  readonly previous: Buffer;
}

export type CrashOptions =
  /**
   * `drop`: everything is lost that was not synced. `keep`: nothing is, as after `kill -9`; operations under way are not done.
   * `random`: each unsynced write is lost, kept or kept in part, unsynced names may be lost, and operations under way are done
   * or not.
   */
  | { readonly mode: 'drop' | 'keep' | 'random'; readonly random?: () => number }
  /** Keeps everything, but the last write of all, synced or not, ends after so many bytes: from 0 to `lastWriteLength`. */
  | { readonly tearLastWriteAt: number };

/** An error as node:fs throws it. */
export function systemError(code: string, path: string): Error {
  const text = code === 'ECRASHED' ? 'the simulated disk has crashed' : 'simulated disk';
  return Object.assign(new Error(`${code}: ${text}, '${path}'`), { code, path });
}

export class SimState {
  readonly #inodes: Map<number, Inode>;
  readonly #names: Names;
  readonly #folders: Set<string>;
  #lastInode: number;
  #lastWrite: LastWrite | null = null;
  /** Moves with everything that is done. */
  sequence = 0;
  capacityBytes: number;

  constructor(capacityBytes: number, inodes: Inode[] = [], names = new Names(), folders = new Set(['/'])) {
    this.capacityBytes = capacityBytes;
    this.#inodes = new Map(inodes.map((inode) => [inode.id, inode]));
    this.#names = names;
    this.#folders = folders;
    this.#lastInode = Math.max(0, ...this.#inodes.keys());
  }

  get lastWriteLength(): number {
    return this.#lastWrite?.length ?? 0;
  }

  /** A power loss may tear the last write. */
  get isLastWriteUnsynced(): boolean {
    if (this.#lastWrite === null) return false;
    const { inode, sequence } = this.#lastWrite;
    return this.#inodes.get(inode)?.isSynced(sequence) === false;
  }

  get freeBytes(): number {
    return Math.max(0, this.capacityBytes - this.#usedBytes());
  }

  clone(): SimState {
    const inodes = [...this.#inodes.values()].map((inode) => inode.clone());
    return new SimState(this.capacityBytes, inodes, this.#names.clone(), new Set(this.#folders));
  }

  inode(id: number): Inode {
    const inode = this.#inodes.get(id);
    if (inode === undefined) throw new Error(`inode ${id} of the simulated disk is gone, though somebody uses it`);
    return inode;
  }

  lookUp(path: string): Inode | undefined {
    const id = this.#names.live.get(path);
    return id === undefined ? undefined : this.inode(id);
  }

  /** @throws {Error} ENOENT, EISDIR */
  find(path: string): Inode {
    if (this.#folders.has(path)) throw systemError('EISDIR', path);
    const inode = this.lookUp(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode;
  }

  /** Makes a file, or empties the one that is there. */
  create(path: string): Inode {
    if (this.#folders.has(path)) throw systemError('EISDIR', path);
    this.requireFolder(posix.dirname(path));
    const existing = this.lookUp(path);
    if (existing !== undefined) {
      this.truncate(existing.id, 0, path);
      return existing;
    }
    const inode = new Inode(++this.#lastInode);
    this.#inodes.set(inode.id, inode);
    this.#names.change(++this.sequence, null, path, inode.id);
    return inode;
  }

  /**
   * @returns the sequence of the write
   * @throws {Error} ENOSPC, when what fits has been written
   */
  write(id: number, data: Buffer, position: number, path: string): number {
    const inode = this.inode(id);
    const fitting = Math.max(0, Math.min(data.length, inode.size + this.freeBytes - position));
    const isWhole = fitting === data.length || position + data.length <= inode.size;
    const written = isWhole ? data : data.subarray(0, fitting);
    if (written.length > 0) {
      const end = position + written.length;
      const previous = Buffer.from(inode.content.subarray(position, end));
      const sequence = ++this.sequence;
      this.#lastWrite = { inode: id, sequence, position, length: written.length, previousSize: inode.size, previous };
      inode.write(written, position, sequence);
    }
    if (!isWhole) throw systemError('ENOSPC', path);
    return this.sequence;
  }

  truncate(id: number, size: number, path: string): void {
    const inode = this.inode(id);
    if (size - inode.size > this.freeBytes) throw systemError('ENOSPC', path);
    if (this.#lastWrite?.inode === id) this.#lastWrite = null;
    inode.truncate(size, ++this.sequence);
  }

  rename(from: string, to: string): void {
    const { id } = this.find(from);
    if (this.#folders.has(to)) throw systemError('EISDIR', to);
    this.requireFolder(posix.dirname(to));
    if (from !== to) this.#names.change(++this.sequence, from, to, id);
  }

  remove(path: string): void {
    if (this.#folders.has(path)) throw systemError('EISDIR', path);
    const id = this.#names.live.get(path);
    if (id !== undefined) this.#names.change(++this.sequence, path, null, id);
  }

  /** Makes durable what was done in a folder up to `sequence`. */
  syncFolder(folder: string, sequence: number): void {
    this.requireFolder(folder);
    this.#names.sync(folder, sequence);
    this.#forget();
  }

  makeFolder(path: string): void {
    for (let folder = path; !this.#folders.has(folder); folder = posix.dirname(folder)) {
      if (this.#names.live.has(folder)) throw systemError(folder === path ? 'EEXIST' : 'ENOTDIR', folder);
    }
    for (let folder = path; !this.#folders.has(folder); folder = posix.dirname(folder)) this.#folders.add(folder);
  }

  /** @throws {Error} ENOENT, ENOTDIR */
  requireFolder(path: string): void {
    if (!this.#folders.has(path)) throw systemError(this.#names.live.has(path) ? 'ENOTDIR' : 'ENOENT', path);
  }

  /** Files and folders in a folder. */
  list(folder: string): string[] {
    if (this.#names.live.has(folder)) throw systemError('ENOTDIR', folder);
    const paths = [...this.#names.live.keys(), ...this.#folders];
    return paths.filter((path) => path !== '/' && posix.dirname(path) === folder).map((path) => posix.basename(path));
  }

  handleClosed(id: number): void {
    this.inode(id).handles--;
    this.#forget();
  }

  /** What is there after a crash: as if it had never been otherwise. `random` is for the mode of that name. */
  afterCrash(options: CrashOptions, random: () => number): SimState {
    if ('tearLastWriteAt' in options) return this.#settled(this.#names.live, this.#torn(options.tearLastWriteAt));
    if (options.mode === 'keep') return this.#settled(this.#names.live, ({ content }) => content);
    if (options.mode === 'drop') return this.#settled(this.#names.durableNames(), (inode) => inode.durableContent());
    const keep = random(); // one crash loses nearly everything, another nearly nothing
    return this.#settled(this.#names.randomNames(random), (inode) => inode.randomContent(random, keep));
  }

  /** How a file looks whose last write ended early. */
  #torn(at: number): (inode: Inode) => Buffer {
    const last = this.#lastWrite;
    if (at < 0 || at > this.lastWriteLength) throw new RangeError(`the last write has ${this.lastWriteLength} bytes`);
    return ({ id, content }) => {
      if (last?.inode !== id) return content;
      const bytes = new Bytes(content);
      bytes.write(last.previous.subarray(at), last.position + at);
      if (bytes.size > last.previousSize) {
        bytes.resize(at === 0 ? last.previousSize : Math.max(last.previousSize, last.position + at));
      }
      return bytes.content;
    };
  }

  #settled(paths: ReadonlyMap<string, number>, contentOf: (inode: Inode) => Buffer): SimState {
    const inodes = [...new Set(paths.values())].map((id) => {
      const content = contentOf(this.inode(id));
      return new Inode(id, new Bytes(content), new Bytes(content));
    });
    return new SimState(this.capacityBytes, inodes, new Names(new Map(paths)), new Set(this.#folders));
  }

  #usedBytes(): number {
    const named = new Set(this.#names.live.values());
    let used = 0;
    for (const inode of this.#inodes.values()) if (named.has(inode.id) || inode.handles > 0) used += inode.size;
    return used;
  }

  /** Lets go of files that nobody can reach any more, not even after a power loss. */
  #forget(): void {
    const reachable = this.#names.inodes;
    for (const { id, handles } of this.#inodes.values()) {
      if (handles === 0 && !reachable.has(id)) this.#inodes.delete(id);
    }
  }
}
