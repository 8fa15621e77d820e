// A simulated disk as one process sees it. When the process dies nothing of what it asked for answers any more, but what the
// kernel was asked for is still done, and what was not synced is as unsafe as before: a power loss may yet come.
import type { FileSystem, OpenFile } from '../../lib/storage/file-system.ts';
import type { SimulatedDisk } from './sim-disk.ts';
import { systemError } from './sim-state.ts';

export class ProcessDisk implements FileSystem {
  readonly disk: SimulatedDisk;
  readonly #open = new Set<OpenFile>();
  #unlock: (() => Promise<void>) | null = null;
  readonly #underWay = new Set<Promise<unknown>>();
  isDead = false;
  /** Opens that fail from now on, and how. */
  openFault: { code: string; count: number } | null = null;

  constructor(disk: SimulatedDisk) {
    this.disk = disk;
  }

  /** Nothing was asked of the disk that it has not answered. */
  get isIdle(): boolean {
    return this.#underWay.size === 0;
  }

  /** The process ends at once. Resolves when the kernel has cleaned up after it. */
  async kill(): Promise<void> {
    this.isDead = true;
    const files = [...this.#open];
    this.#open.clear();
    await Promise.allSettled(files.map((file) => file.close()));
    // What the kernel has begun it ends before the process is gone, and before anybody else can have the lock.
    await Promise.allSettled([...this.#underWay]);
    await this.#unlock?.().catch(() => undefined);
  }

  async open(path: string, mode: 'create' | 'update' | 'read', durable = false): Promise<OpenFile> {
    const { openFault } = this;
    if (openFault !== null && openFault.count > 0) {
      openFault.count--;
      throw systemError(openFault.code, path);
    }
    const file = await this.#ask(() => this.disk.open(path, mode, durable));
    this.#open.add(file);
    return {
      write: (buffers, position) => this.#ask(() => file.write(buffers, position)),
      read: (buffer, offset, length, position) => this.#ask(() => file.read(buffer, offset, length, position)),
      dataSync: () => this.#ask(() => file.dataSync()),
      size: () => this.#ask(() => file.size()),
      truncate: (size) => this.#ask(() => file.truncate(size)),
      close: () => {
        this.#open.delete(file);
        return this.#ask(() => file.close());
      },
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.#ask(() => this.disk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#ask(() => this.disk.remove(path));
  }

  list(directory: string): Promise<string[]> {
    return this.#ask(() => this.disk.list(directory));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#ask(() => this.disk.makeDirectory(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#ask(() => this.disk.syncDirectory(path));
  }

  freeBytes(directory: string): Promise<number> {
    return this.#ask(() => this.disk.freeBytes(directory));
  }

  async lock(path: string): Promise<() => Promise<void>> {
    const unlock = await this.#ask(() => this.disk.lock(path));
    this.#unlock = unlock;
    return unlock;
  }

  /** Asks the disk, unless the process is dead; no answer reaches a dead one. */
  async #ask<T>(call: () => Promise<T>): Promise<T> {
    if (this.isDead) return never();
    const calling = call();
    this.#underWay.add(calling);
    try {
      return await calling;
    } finally {
      this.#underWay.delete(calling);
      if (this.isDead) await never();
    }
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
