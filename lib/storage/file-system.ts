// What storage asks of a disk, and nothing more: so that tests can put one in its place that tears writes, runs full, fails or
// forgets what was not synced.

/** An open file. Calls on one file may overlap; `write` and `read` take their own positions. */
export interface OpenFile {
  /**
   * Writes all buffers, one after the other, from `position` on. Rejects when not all of it could be written; then any part
   * of it may be there. The buffers are the callee's until the promise settles. In a file that was opened as durable the bytes,
   * and a size that makes room for them, are durable when it resolves; when it rejects, what was to be durable may be lost for
   * good, unless all of it is written again.
   */
  write(buffers: readonly Buffer[], position: number): Promise<void>;
  /** Reads up to `length` bytes at `position` into `buffer`; resolves to how many there were, less only at the file's end. */
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /**
   * Makes durable what was written before the call (fdatasync), the file's size included: writes that were still under way
   * may be missing. When it rejects, what was to be durable may be lost for good, even if a later call succeeds.
   */
  dataSync(): Promise<void>;
  /** Bytes in the file. */
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  /** Waits for calls that are under way. Calls that come later are rejected with EBADF. */
  close(): Promise<void>;
}

/** Errors carry Node's `code`: ENOSPC, EIO, ENOENT... */
export interface FileSystem {
  /**
   * `create`: an empty file to write and read; one of that name is truncated. `update`: an existing one, to write and read.
   * `read`: to read.
   * @param durable every write to it is durable when it resolves, and costs less than one with a `dataSync` behind it
   */
  open(path: string, mode: 'create' | 'update' | 'read', durable?: boolean): Promise<OpenFile>;
  /** Moves a file over another in one step. Durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; nothing happens when it is not there. */
  remove(path: string): Promise<void>;
  /** Names in a folder, sorted, folders and the lock among them; empty when the folder is not there. */
  list(directory: string): Promise<string[]>;
  /** Makes a folder and those above it, unless they exist; those it made are durable. */
  makeDirectory(path: string): Promise<void>;
  /** Makes creations, renames and removals in a folder durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that can still be written on the disk of this folder. */
  freeBytes(directory: string): Promise<number>;
  /**
   * Takes the lock of a folder, which ends with the process, however that ends. `path` is the lock's name in the folder, which
   * must exist. What is made there is the file system's own business; its names are `path` and `path` with a suffix.
   * @returns releases it; more than once does no harm
   * @throws {Error} with code ELOCKED when another process, or another broker of this one, holds it
   */
  lock(path: string): Promise<() => Promise<void>>;
}
