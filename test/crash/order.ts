// In which order messages stand in a queue.
import type { Entry } from './ledger.ts';

/**
 * Each publisher's messages stand in the order of publishing; what was known to be there before something else was published
 * stands before that, whoever published it; and what a drain found stands in the order of that drain. All that is said of messages
 * of one priority; higher ones stand before lower ones.
 * @returns each message that does not stand so, with one that should stand behind it
 */
export function misplaced(drained: readonly Entry[]): (readonly [Entry, Entry])[] {
  const found: (readonly [Entry, Entry])[] = [];
  let newest = new Map<string, Entry>();
  let youngest: Entry | undefined;
  let ranked: Entry | undefined;
  let last: Entry | undefined;
  for (const entry of drained) {
    const isHigher = last !== undefined && entry.priority > last.priority;
    if (last !== undefined && entry.priority !== last.priority) {
      newest = new Map();
      youngest = ranked = undefined;
    }
    const older = newest.get(entry.publisher);
    const before = isHigher
      ? last
      : older !== undefined && older.sequence > entry.sequence
        ? older
        : youngest !== undefined && youngest.publishedAt > entry.knownAt
          ? youngest
          : ranked !== undefined && entry.rank !== -1 && ranked.rank > entry.rank
            ? ranked
            : undefined;
    if (before !== undefined) found.push([entry, before]);
    last = entry;
    newest.set(entry.publisher, entry);
    if (youngest === undefined || entry.publishedAt > youngest.publishedAt) youngest = entry;
    if (entry.rank !== -1) ranked = entry;
  }
  return found;
}
