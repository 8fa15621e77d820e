// Decides when to clean up: when a checkpoint is worth it, when the oldest segment is to be emptied, when pages are merged.
import type { Clock, Timer } from '../core/ports.ts';
import { type Checkpointer, firstNeeded } from './checkpointer.ts';
import type { LogFiles } from './log-files.ts';
import type { PageRange } from './page.ts';
import type { PageFiles } from './page-files.ts';
import { mergePages, pagesToMerge } from './page-merger.ts';
import type { PageReader } from './page-reader.ts';
import type { Pager } from './pager.ts';
import type { WriteAheadLog } from './write-ahead-log.ts';

/** The log is cut down when it is longer than so many segments. */
const LOG_SEGMENTS = 4;
/** A checkpoint is worth it when it frees so many times its own bytes. */
const CHECKPOINT_WORTH = 8;
/** A checkpoint is made when pages that none names have so much of a segment's bytes. */
const UNNAMED_SHARE = 0.25;
/** When nothing else happens, what can be freed is, after so long. */
const IDLE_CLEANUP_MS = 1000;

export interface MaintenanceOptions {
  readonly clock: Clock;
  readonly segmentBytes: number;
  readonly files: LogFiles;
  readonly log: WriteAheadLog;
  readonly pages: PageFiles;
  readonly reader: PageReader;
  readonly pager: Pager;
  readonly checkpointer: Checkpointer;
  readonly rangeEnded: (range: PageRange) => void;
  readonly failed: (error: unknown) => void;
}

export class Maintenance {
  readonly #options: MaintenanceOptions;
  #cleanup: Timer | null = null;
  #isStopped = false;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Begins nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#cleanup?.cancel();
  }

  /** Frees what can be freed, when it is worth it. */
  run(): void {
    if (this.#isStopped) return;
    const { segmentBytes, files, pages, checkpointer, pager } = this.#options;
    const { segments } = files;
    const needed = firstNeeded(files);
    let freeable = pages.garbageBytes;
    for (const { number, size } of segments) if (number < needed) freeable += size;
    const worth = CHECKPOINT_WORTH * checkpointer.bytes;
    // What is in new pages would be read from the log, and paged again, by a restart.
    const isBehind = pages.unnamedBytes >= Math.max(segmentBytes * UNNAMED_SHARE, worth);
    if (isBehind || freeable >= Math.max(segmentBytes, worth)) this.#checkpoint();
    else if (freeable > 0) this.#cleanUpSoon();
    const [oldest] = segments;
    const isLong = files.bytes > LOG_SEGMENTS * segmentBytes && segments.length > 1;
    if (isLong && oldest.live > 0) pager.relocate(oldest);
  }

  #cleanUpSoon(): void {
    this.#cleanup ??= this.#options.clock.after(IDLE_CLEANUP_MS, () => {
      this.#cleanup = null;
      this.#checkpoint();
    });
  }

  #checkpoint(): void {
    const { checkpointer, failed } = this.#options;
    if (checkpointer.isBusy || this.#isStopped) return;
    checkpointer.run().then(
      () => this.#merge(),
      (error) => failed(error),
    );
  }

  #merge(): void {
    const { segmentBytes, log, pages, reader, pager, rangeEnded, failed } = this.#options;
    if (this.#isStopped || pager.isBusy) return;
    const sparse = pagesToMerge(pages.pages, segmentBytes);
    if (sparse.length === 0) {
      this.run();
      return;
    }
    pager.run(() => mergePages(sparse, pages, reader, () => log.flush(), rangeEnded, failed));
  }
}
