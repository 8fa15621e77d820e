// What a length limit in bytes has to know of the messages that were there before a restart.
import type { PageReader } from './page-reader.ts';
import type { Recovered } from './recovery.ts';
import { finishRanges } from './replayed-queue.ts';

/** Counts bodies where their bytes are limited. Those in pages have to be read for that: nothing else tells. */
export async function countBodies({ topology, replay }: Recovered, reader: PageReader): Promise<void> {
  // A policy may limit any queue.
  const isPolicy = [...topology.parameters.values()].some(({ json }) => json.includes('"max-length-bytes"'));
  for (const { queueId, arguments: args } of topology.queues.values()) {
    if (!isPolicy && !args.has('x-max-length-bytes')) continue;
    const known = replay.queueOf(queueId);
    finishRanges(known);
    known.bodyBytes = known.placed().messages.reduce((sum, { bodySize }) => sum + bodySize, 0);
    for (const range of known.queue.ranges) known.bodyBytes += await reader.bodyBytes(range);
  }
}
