// One file of the write-ahead log, and which of the messages in it are still kept by nothing else.
import type { OpenFile } from './file-system.ts';
import type { LogEntry } from './log-entry.ts';

/** Below this many entries the list is left as it is. */
const FEW_ENTRIES = 4096;

export class Segment {
  readonly number: number;
  readonly path: string;
  /** Open while records are added; null otherwise. */
  file: OpenFile | null;
  /** Bytes up to the end of the last record. */
  size: number;
  /** Bytes that the file may have: behind `size` come zeros, or what was left of a write for which there was no room. */
  fileBytes: number;
  /** Its records are not synced one by one; see `encodeFileHeader`. */
  isLazy = false;
  /** Messages that only the log keeps safe. */
  live = 0;
  #entries: LogEntry[] = [];
  #compactAt = FEW_ENTRIES;

  constructor(number: number, path: string, file: OpenFile | null, size: number) {
    this.number = number;
    this.path = path;
    this.file = file;
    this.size = this.fileBytes = size;
  }

  /** Messages in it that are alive, and some that are not any more. */
  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  add(entry: LogEntry): void {
    entry.segment = this;
    this.live++;
    this.#entries.push(entry);
    if (this.#entries.length >= this.#compactAt) this.#compact();
  }

  /** One of its messages need not be kept any more. */
  release(): void {
    this.live--;
    // Only when half of the list is dead, so that a message is looked at a few times at most.
    if (this.#entries.length > FEW_ENTRIES && this.live < this.#entries.length / 2) this.#compact();
  }

  #compact(): void {
    this.#entries = this.#entries.filter(({ message }) => message !== null);
    this.#compactAt = Math.max(FEW_ENTRIES, 2 * this.#entries.length);
  }
}

/** The name of a numbered file: ten digits. */
export function numberedName(number: number, extension: string): string {
  return `${String(number).padStart(10, '0')}.${extension}`;
}

/** The number in such a name; null when it is another file's. */
export function numberInName(name: string, extension: string): number | null {
  const match = /^(\d{10,})\.([a-z]+)$/.exec(name);
  return match === null || match[2] !== extension ? null : Number(match[1]);
}
