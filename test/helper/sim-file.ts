// An open file of a simulated disk.
import type { OpenFile } from '../../lib/storage/file-system.ts';
import type { SimOperations } from './sim-operations.ts';
import { systemError } from './sim-state.ts';

export class SimulatedFile implements OpenFile {
  readonly #operations: SimOperations;
  readonly #inode: number;
  readonly #path: string;
  readonly #isReadOnly: boolean;
  /** Each write is followed by a sync of what it wrote, before it ends: two calls that are counted, and between them a crash may come. */
  readonly #isDurable: boolean;
  readonly #pending = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(operations: SimOperations, inode: number, path: string, isReadOnly: boolean, isDurable: boolean) {
    operations.state.inode(inode).handles++;
    this.#operations = operations;
    this.#inode = inode;
    this.#path = path;
    this.#isReadOnly = isReadOnly;
    this.#isDurable = isDurable;
  }

  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    this.#require(position);
    const [inode, path] = [this.#inode, this.#path];
    // A real disk does not hear of these.
    if (buffers.every(({ length }) => length === 0)) return this.#operations.later('nothing', path, () => undefined);
    // The bytes are read when the write is done, not when it is asked for: whoever changes them meanwhile finds out.
    const write = this.#operations.operate({
      kind: 'write',
      path,
      apply: (state) => state.write(inode, Buffer.concat(buffers), position, path),
      fail: (state, isPartial) => {
        const data = Buffer.concat(buffers);
        if (isPartial) state.write(inode, data.subarray(0, this.#operations.roll(data.length)), position, path);
      },
      isChange: true,
    });
    return this.#track(
      this.#isDurable ? write.then((sequence) => this.#syncWrite(sequence)) : write.then(() => undefined),
    );
  }

  /** Makes one write durable, and nothing else that was not. */
  #syncWrite(sequence: number): Promise<void> {
    const inode = this.#inode;
    return this.#operations.operate({
      kind: 'dataSync',
      path: this.#path,
      apply: (state) => state.inode(inode).syncWrite(sequence),
      fail: (state) => state.inode(inode).syncFailed(sequence),
    });
  }

  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    this.#require(position, false);
    if (offset < 0 || length < 0 || offset + length > buffer.length) throw new RangeError('read beyond the buffer');
    const inode = this.#inode;
    return this.#track(
      this.#operations.operate({
        kind: 'read',
        path: this.#path,
        apply: (state) =>
          state
            .inode(inode)
            .content.subarray(position, position + length)
            .copy(buffer, offset),
      }),
    );
  }

  async dataSync(): Promise<void> {
    this.#require(0, false);
    const inode = this.#inode;
    const { sequence } = this.#operations.state;
    return this.#track(
      this.#operations.operate({
        kind: 'dataSync',
        path: this.#path,
        apply: (state) => state.inode(inode).sync(sequence),
        fail: (state) => state.inode(inode).syncFailed(sequence),
      }),
    );
  }

  async size(): Promise<number> {
    this.#require(0, false);
    return this.#track(this.#operations.later('size', this.#path, (state) => state.inode(this.#inode).size));
  }

  async truncate(size: number): Promise<void> {
    this.#require(size);
    const [inode, path] = [this.#inode, this.#path];
    return this.#track(
      this.#operations.operate({
        kind: 'truncate',
        path,
        apply: (state) => state.truncate(inode, size, path),
        isChange: true,
      }),
    );
  }

  async close(): Promise<void> {
    this.#require(0, false);
    this.#isClosed = true;
    await Promise.allSettled(this.#pending);
    await this.#operations.later('close', this.#path, (state) => state.handleClosed(this.#inode));
  }

  /** @throws {Error} EBADF when the file is closed, or only to be read; RangeError for a position that is none */
  #require(position: number, isForWriting = true): void {
    if (this.#isClosed || (isForWriting && this.#isReadOnly)) throw systemError('EBADF', this.#path);
    if (!Number.isSafeInteger(position) || position < 0) throw new RangeError(`'${position}' is no position in a file`);
  }

  async #track<T>(operation: Promise<T>): Promise<T> {
    this.#pending.add(operation);
    try {
      return await operation;
    } finally {
      this.#pending.delete(operation);
    }
  }
}
