// What a dead broker left in pages: proof that messages waited on disk alone for their deadlines, and for the end of their delay.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePageFooter, decodePageIndex, PAGE_FOOTER_BYTES, type PageRun } from '../../lib/storage/page-index.ts';
import type { Figures } from './findings.ts';

/** Messages with a deadline further away than this are there to stay. */
const SOON_MS = 3_600_000;
/** No queue of the experiment has so many priorities; the positions of what is held back are points in time, and beyond. */
const LEAST_DELAY_LEVEL = 16;

export function countPaged(folder: string, figures: Figures): void {
  const pages = join(folder, 'pages');
  if (!existsSync(pages)) return;
  for (const name of readdirSync(pages)) {
    for (const { level, firstDeadlineMs } of runsOf(join(pages, name))) {
      if (level >= LEAST_DELAY_LEVEL) figures.pagedDelayed++;
      else if (firstDeadlineMs > 0 && firstDeadlineMs < Date.now() + SOON_MS) figures.pagedExpiring++;
    }
  }
}

/** None for a page that the death cut short. */
function runsOf(path: string): readonly PageRun[] {
  try {
    const page = readFileSync(path);
    const footer = decodePageFooter(page, page.length - PAGE_FOOTER_BYTES);
    return decodePageIndex(page.subarray(footer.indexOffset, footer.indexOffset + footer.indexBytes), footer);
  } catch {
    return [];
  }
}
