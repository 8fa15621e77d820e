// What tests of the store know whatever becomes of a process: contents, and which queue is which.
import type { Message } from '../../lib/core/message.ts';
import type { Queue } from '../../lib/core/queue.ts';
import type { DiskQueue } from '../../lib/storage/disk-queue.ts';
import { type Content, type ContentOptions, contentOf, differenceTo, idOf } from './store-content.ts';

/** A queue's argument that tells it from others that had its name. */
export const KEY_ARGUMENT = 'key';

/** What outlives a process: every content that was ever published, and the numbers that were given. */
export class StoreHistory {
  readonly contents = new Map<number, Content>();
  #nextId = 1;
  #nextKey = 1;

  newContent(options: ContentOptions): Content {
    const content = contentOf(this.#nextId++, options);
    this.contents.set(content.id, content);
    return content;
  }

  newKey(): number {
    return this.#nextKey++;
  }

  /** The number of a message that came from somewhere. @throws {Error} when it is not as it was published */
  recognize(message: Message): number {
    const id = idOf(message);
    const content = this.contents.get(id);
    if (content === undefined) throw new Error(`a message that nobody published: ${id}`);
    const difference = differenceTo(content, message);
    if (difference !== null) throw new Error(`message ${id} is not what was published: ${difference}`);
    return id;
  }
}

export function keyOf(queue: Queue): number {
  return Number(queue.settings.arguments.get(KEY_ARGUMENT)?.value ?? -1);
}

/** Where a queue has messages on disk alone. */
export function pagedPositions({ ranges }: DiskQueue): number[] {
  const positions: number[] = [];
  for (const { nextPosition, last, dead } of ranges) {
    for (let at = dead.nextGap(nextPosition); at <= last; at = dead.nextGap(at + 1)) positions.push(at);
  }
  return positions.sort((a, b) => a - b);
}
