// The pages of a data folder: numbers and writes new ones, and removes those in which nothing lives any more, as soon as no
// checkpoint names them.
import type { FileSystem } from './file-system.ts';
import { type DiskRoom, whenThereIsRoom } from './log-files.ts';
import { Page } from './page.ts';
import type { PageReader } from './page-reader.ts';
import { PageWriter } from './page-writer.ts';
import { numberedName } from './segment.ts';

export class PageFiles {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #room: DiskRoom;
  readonly #reader: PageReader;
  #nextNumber: number;
  /** Pages with something alive in them. */
  readonly pages = new Set<Page>();
  /** Pages with nothing alive that a checkpoint may still name. */
  #garbage: Page[] = [];
  /** Bytes of durable pages that no checkpoint names. */
  unnamedBytes = 0;

  constructor(fs: FileSystem, directory: string, room: DiskRoom, reader: PageReader, nextNumber: number) {
    this.#fs = fs;
    this.#directory = directory;
    this.#room = room;
    this.#reader = reader;
    this.#nextNumber = nextNumber;
  }

  get nextNumber(): number {
    return this.#nextNumber;
  }

  /** Bytes of pages that wait to be removed. */
  get garbageBytes(): number {
    return this.#garbage.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Writes a page with what `fill` adds to it, and makes it durable unless its messages are transient. When the disk is full it
   * begins anew as soon as there is room.
   */
  async write(isTransient: boolean, fill: (writer: PageWriter) => Promise<void>): Promise<Page> {
    return whenThereIsRoom(this.#room, async () => {
      const number = this.#nextNumber++;
      const path = `${this.#directory}/${numberedName(number, isTransient ? 'transient' : 'page')}`;
      const writer = await PageWriter.create(this.#fs, path, number, isTransient);
      try {
        await fill(writer);
        const bytes = await writer.finish(!isTransient);
        if (!isTransient) await this.#fs.syncDirectory(this.#directory);
        if (!isTransient) this.unnamedBytes += bytes;
        return new Page(number, path, bytes, isTransient);
      } catch (error) {
        await writer.abandon();
        await this.#fs.remove(path);
        throw error;
      }
    });
  }

  /** Nothing lives in a page any more. Pages of transient messages go at once: no checkpoint names them. */
  ended(page: Page, failed: (error: unknown) => void): void {
    if (!this.pages.delete(page)) return;
    this.#reader.forget(page);
    if (page.isTransient) whenThereIsRoom(this.#room, () => this.#fs.remove(page.path)).catch(failed);
    else this.#garbage.push(page);
  }

  /** What a checkpoint that is being made need not name: `removeGarbage` takes it when that is durable. */
  takeGarbage(): Page[] {
    const garbage = this.#garbage;
    this.#garbage = [];
    return garbage;
  }

  async removeGarbage(pages: readonly Page[]): Promise<void> {
    for (const page of pages) await this.#fs.remove(page.path);
    if (pages.length > 0) await this.#fs.syncDirectory(this.#directory);
  }
}
