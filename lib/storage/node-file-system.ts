// The disk itself, over the callback functions of node:fs, which cost less per call than fs/promises.
import * as fs from 'node:fs';
import { dirname, resolve as resolvePath } from 'node:path';
import type { FileSystem, OpenFile } from './file-system.ts';
import { lockFolder } from './folder-lock.ts';

/** IOV_MAX on Linux and macOS: the kernel takes no more buffers at once. */
const MAX_BUFFERS = 1024;
const { O_RDWR, O_RDONLY, O_CREAT, O_TRUNC, O_DSYNC } = fs.constants;
const FLAGS = { create: O_RDWR | O_CREAT | O_TRUNC, update: O_RDWR, read: O_RDONLY } as const;
/**
 * Makes every write its own fdatasync, in one call. Only Linux is known to have the disk empty its cache for it, too: macOS does that
 * for F_FULLFSYNC alone, which is what node:fs makes of fdatasync there, and Windows has nothing like it.
 */
const DURABLE_FLAG = process.platform === 'linux' ? O_DSYNC : 0;
/** What systems answer that can't open or sync a folder; they keep folders safe by other means, or not at all. */
const CANNOT_SYNC_FOLDERS = new Set(['EINVAL', 'EISDIR', 'EPERM']);

type Reject = (error: Error) => void;
type Done = (error: Error | null) => void;
/** How fs.writev looks from here; a test puts one in its place that writes little at a time. */
export type Writev = (
  fd: number,
  buffers: readonly Buffer[],
  position: number,
  done: (error: Error | null, written: number) => void,
) => void;

/** Writes all buffers from `position` on, however many calls that takes. Never calls `done` before it returns. */
export function writeFully(
  fd: number,
  buffers: readonly Buffer[],
  position: number,
  done: Done,
  writev: Writev = fs.writev,
): void {
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  if (length === 0) return process.nextTick(done, null);
  if (buffers.length > MAX_BUFFERS) return writeRest(fd, buffers, 0, position, done, writev);
  writev(fd, buffers, position, (error, written) => {
    if (error !== null || written === length) done(error);
    else if (written === 0) done(nothingWritten());
    else writeRest(fd, buffers, written, position + written, done, writev);
  });
}

/** Leaves out the first `skip` bytes of all, then writes what the kernel takes at once, and so on. */
function writeRest(
  fd: number,
  buffers: readonly Buffer[],
  skip: number,
  position: number,
  done: Done,
  writev: Writev,
): void {
  const rest: Buffer[] = [];
  for (const buffer of buffers) {
    if (skip < buffer.length) rest.push(skip > 0 ? buffer.subarray(skip) : buffer);
    skip = Math.max(0, skip - buffer.length);
  }
  if (rest.length === 0) return done(null);
  const batch = rest.length > MAX_BUFFERS ? rest.slice(0, MAX_BUFFERS) : rest;
  writev(fd, batch, position, (error, written) => {
    if (error !== null) done(error);
    else if (written === 0) done(nothingWritten());
    else writeRest(fd, rest, written, position + written, done, writev);
  });
}

function nothingWritten(): Error {
  return Object.assign(new Error('EIO: the system wrote nothing and did not say why'), { code: 'EIO' });
}

class NodeFile implements OpenFile {
  /** -1 once the file is being closed: the system may give the number to another file. */
  #fd: number;
  /** Every write is to be followed by a sync. */
  readonly #syncsWrites: boolean;
  /** Calls under way. Counted after node:fs has taken them: it throws for wrong arguments, and never calls back at once. */
  #pending = 0;
  /** Called when the last pending call has ended. */
  #whenIdle: (() => void) | null = null;

  constructor(fd: number, syncsWrites: boolean) {
    this.#fd = fd;
    this.#syncsWrites = syncsWrites;
  }

  write(buffers: readonly Buffer[], position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const fd = this.#open();
      const end = this.#ending(resolve, reject);
      writeFully(fd, buffers, position, this.#syncsWrites ? syncing(fd, end) : end);
      this.#pending++;
    });
  }

  read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const fd = this.#open();
      let count = 0;
      // A read may come back short before the file's end: after a signal, or when it asked for more than 2 GiB.
      const next = (): void =>
        fs.read(fd, buffer, offset + count, length - count, position + count, (error, bytes) => {
          count += bytes;
          if (error === null && bytes > 0 && count < length) return next();
          this.#end();
          if (error === null) resolve(count);
          else reject(error);
        });
      next();
      this.#pending++;
    });
  }

  dataSync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#open(), this.#ending(resolve, reject));
      this.#pending++;
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#open(), (error, stats) => {
        this.#end();
        if (error === null) resolve(stats.size);
        else reject(error);
      });
      this.#pending++;
    });
  }

  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#open(), size, this.#ending(resolve, reject));
      this.#pending++;
    });
  }

  /** Calls that are under way end first, so that none of them meets another file under the same number. */
  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      const fd = this.#open();
      this.#fd = -1;
      const close = (): void => fs.close(fd, settling(resolve, reject));
      if (this.#pending === 0) close();
      else this.#whenIdle = close;
    });
  }

  /** @throws {Error} when the file is closed */
  #open(): number {
    if (this.#fd === -1) throw Object.assign(new Error('EBADF: the file is closed'), { code: 'EBADF' });
    return this.#fd;
  }

  #ending(resolve: () => void, reject: Reject): Done {
    return (error) => {
      this.#end();
      if (error === null) resolve();
      else reject(error);
    };
  }

  #end(): void {
    this.#pending--;
    if (this.#pending === 0) this.#whenIdle?.();
  }
}

/** Syncs what was written, if it was. */
function syncing(fd: number, done: Done): Done {
  return (error) => {
    if (error === null) fs.fdatasync(fd, done);
    else done(error);
  };
}

function settling(resolve: () => void, reject: Reject): (error: Error | null | undefined) => void {
  return (error) => {
    if (error) reject(error);
    else resolve();
  };
}

function hasCode(error: NodeJS.ErrnoException, codes: ReadonlySet<string>): boolean {
  return error.code !== undefined && codes.has(error.code);
}

function syncDirectory(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done: Done = (error) => {
      if (error === null || hasCode(error, CANNOT_SYNC_FOLDERS)) resolve();
      else reject(error);
    };
    fs.open(path, 'r', (openError, fd) => {
      if (openError) return done(openError);
      fs.fsync(fd, (syncError) => fs.close(fd, (closeError) => done(syncError ?? closeError ?? null)));
    });
  });
}

async function makeDirectory(path: string): Promise<void> {
  const folder = resolvePath(path);
  const first = await new Promise<string | undefined>((resolve, reject) => {
    fs.mkdir(folder, { recursive: true }, (error, made) => {
      if (error) reject(error);
      else resolve(made);
    });
  });
  if (first === undefined) return;
  // Every folder that was made is a name in the one above it.
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** @param durableFlag what the system has for files whose writes are durable; 0: nothing, so that each is synced on its own */
export function openFile(
  path: string,
  mode: keyof typeof FLAGS,
  durable: boolean,
  durableFlag: number,
): Promise<OpenFile> {
  return new Promise((resolve, reject) => {
    fs.open(path, durable ? FLAGS[mode] | durableFlag : FLAGS[mode], (error, fd) => {
      if (error) reject(error);
      else resolve(new NodeFile(fd, durable && durableFlag === 0));
    });
  });
}

/** The disk of this machine. */
export const nodeFileSystem: FileSystem = {
  open: (path, mode, durable = false) => openFile(path, mode, durable, DURABLE_FLAG),
  rename: (from, to) => new Promise((resolve, reject) => fs.rename(from, to, settling(resolve, reject))),
  remove: (path) =>
    new Promise((resolve, reject) => {
      fs.unlink(path, (error) => {
        if (error && error.code !== 'ENOENT') reject(error);
        else resolve();
      });
    }),
  list: (directory) =>
    new Promise((resolve, reject) => {
      fs.readdir(directory, (error, names) => {
        if (!error) resolve(names.sort());
        else if (error.code === 'ENOENT') resolve([]);
        else reject(error);
      });
    }),
  makeDirectory,
  syncDirectory,
  freeBytes: (directory) =>
    new Promise((resolve, reject) => {
      fs.statfs(directory, (error, stats) => {
        if (error) reject(error);
        else resolve(stats.bavail * stats.bsize);
      });
    }),
  lock: lockFolder,
};
