// Copies what lives in mostly empty pages to a new one, so that the old ones can go: a few messages that nobody takes must not
// keep the space of a backlog that was drained.

import { type Page, PageRange } from './page.ts';
import type { BlockBuilder, BlockSink } from './page-block.ts';
import type { PageFiles } from './page-files.ts';
import type { PageRun } from './page-index.ts';
import type { PageReader } from './page-reader.ts';
import { type EncodedRun, earlierDeadline, type PageWriter } from './page-writer.ts';
import { PositionSet } from './position-set.ts';

/** A page is mostly empty when less than this share of it is alive. */
const SPARSE_SHARE = 0.5;
/** Most bytes that are copied at once. */
const MERGE_BYTES = 32 * 1024 * 1024;
/** A block of the new page ends when it has so many bytes. */
const BLOCK_BYTES = 256 * 1024;

/** What was copied of a range; null when nothing of it was alive any more. */
interface Copied {
  readonly range: PageRange;
  readonly run: PageRun | null;
}

/**
 * The pages that are worth a merge: none unless what is dead in all pages is more than what lives, and more than `slackBytes`.
 */
export function pagesToMerge(pages: Iterable<Page>, slackBytes: number): Page[] {
  const sparse: { page: Page; live: number }[] = [];
  let dead = 0;
  let living = 0;
  for (const page of pages) {
    const live = page.liveBytes();
    living += live;
    dead += page.bytes - live;
    if (live < page.bytes * SPARSE_SHARE && [...page.ranges].every(canMove)) sparse.push({ page, live });
  }
  if (dead < slackBytes || dead < living) return [];
  sparse.sort((a, b) => a.live / a.page.bytes - b.live / b.page.bytes);
  let bytes = 0;
  const { isTransient } = sparse[0]?.page ?? { isTransient: false };
  return sparse
    .filter(({ page, live }) => {
      if (page.isTransient !== isTransient || bytes + live > MERGE_BYTES) return false;
      bytes += live;
      return true;
    })
    .map(({ page }) => page);
}

/** A range that is half read, or being read, stays where it is until it has been read. */
function canMove(range: PageRange): boolean {
  return !range.isReading && (range.unloaded === 0 || range.nextOffset === range.offset);
}

/** Copies what lives in pages to a new one. */
export async function mergePages(
  pages: readonly Page[],
  files: PageFiles,
  reader: PageReader,
  flushLog: () => Promise<void>,
  ended: (range: PageRange) => void,
  failed: (error: unknown) => void,
): Promise<void> {
  const isTransient = pages[0]?.isTransient ?? false;
  const ranges = pages.flatMap((page) => [...page.ranges]).filter(canMove);
  ranges.sort((a, b) => a.queue.id - b.queue.id || a.first - b.first);
  let copied: Copied[] = [];
  const page = await files.write(isTransient, async (writer) => {
    copied = [];
    for (const range of ranges) {
      range.isMerging = canMove(range);
      if (range.isMerging) copied.push({ range, run: await copyRange(range, writer, reader) });
    }
  });
  if (!isTransient) await flushLog();
  files.pages.add(page);
  // All of them are placed before one can end: a page is removed when its last range does.
  const moved: [range: PageRange, replacement: PageRange][] = [];
  for (const { range, run } of copied) {
    if (run === null || !range.isMerging || !range.queue.ranges.includes(range)) continue;
    moved.push([range, replacementOf(range, run, page)]);
  }
  for (const [range, replacement] of moved) {
    range.queue.replaceRange(range, replacement);
    ended(range);
    if (replacement.live === 0) range.queue.endRange(replacement);
  }
  if (page.ranges.size === 0 && files.pages.has(page)) files.ended(page, failed);
}

function replacementOf(range: PageRange, run: PageRun, page: Page): PageRange {
  const { first, last, offset } = run;
  // Whatever died since it was copied is dead in the old range, and so is what was not copied.
  const replacement = new PageRange(range.queue, first, last, range.dead.cut(first, last));
  replacement.placeIn(page, run);
  replacement.hidesDeadlines = range.hidesDeadlines;
  if (range.unloaded > 0) replacement.leaveMemory(first, offset, range.unloaded);
  return replacement;
}

async function copyRange(range: PageRange, writer: PageWriter, reader: PageReader): Promise<PageRun | null> {
  const { page } = range;
  if (page === null || range.live === 0) return null;
  const copied: EncodedRun = { positions: [], transient: new PositionSet(), firstDeadlineMs: 0 };
  const end = range.offset + range.bytes;
  return writer.addEncodedRun(range.queue.id, copied, async (builder, addBlock) => {
    for (let offset = range.offset; offset < end; ) {
      const buffer = await reader.blocks(page, offset, end).catch((error: unknown) => {
        // What ended meanwhile may have gone with its page, and is not wanted any more.
        if (page.ranges.has(range)) throw error;
        return null;
      });
      if (buffer === null) return;
      offset += reader.decode(page, offset, buffer, copierOf(buffer, range, builder, copied));
      if (builder.bytes >= BLOCK_BYTES) await addBlock();
    }
  });
}

/** Copies what is alive of what it is told of. */
function copierOf(buffer: Buffer, range: PageRange, builder: BlockBuilder, copied: EncodedRun): BlockSink {
  return {
    message: (position, routeStart, routeEnd, propsStart, propsEnd, bodyStart, bodySize, expiresAtMs, isTransient) => {
      if (range.dead.has(position)) return;
      const content = [routeStart, routeEnd, propsStart, propsEnd, bodyStart, bodySize, expiresAtMs] as const;
      builder.addRaw(buffer, position, ...content, isTransient);
      copied.positions.push(position);
      if (isTransient) copied.transient.add(position);
      copied.firstDeadlineMs = earlierDeadline(copied.firstDeadlineMs, expiresAtMs);
    },
  };
}
