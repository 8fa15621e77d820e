// The ready messages of a queue with priorities: those of each priority stand in order, in a level of positions of their own, and
// the highest priority comes first. See https://www.rabbitmq.com/docs/priority
import type { FieldTable } from '../../codec/field-table.ts';
import { peekPriority } from '../../codec/properties.ts';
import type { Message } from './message.ts';
import type { PlacedMessages, QueueStore, RecoveredQueue } from './message-store.ts';
import { byLevel, inOrder } from './placed-messages.ts';
import { LEVEL_SPAN, levelOf, type QueueLevel } from './positions.ts';
import { type Ready, ReadyMessages } from './ready-messages.ts';
import type { RetentionSlab } from './retention-slab.ts';

export class PriorityMessages implements Ready {
  readonly #maxPriority: number;
  /** By level; those that were never used are not there. */
  readonly #byLevel: (ReadyMessages | undefined)[] = [];
  /** Those that are there, in order. */
  #levels: ReadyMessages[] = [];
  #store: QueueStore | null = null;
  /** No level before this one has messages. */
  #top = 0;
  /** Counted along: a sum over 255 levels for each message cost ten times the rest. */
  length = 0;
  position = 0;
  redelivered = false;

  /** @param maxPriority 1 to 255; a message of a higher one counts as one of this */
  constructor(maxPriority: number) {
    this.#maxPriority = maxPriority;
    // A queue has one level at least; this is where most messages will stand.
    this.#level(maxPriority);
  }

  get store(): QueueStore | null {
    return this.#store;
  }

  set store(store: QueueStore | null) {
    this.#store = store;
    for (const level of this.#levels) level.store = store;
  }

  get levels(): readonly QueueLevel[] {
    return this.#levels;
  }

  get bytes(): number {
    let bytes = 0;
    for (const level of this.#levels) bytes += level.bytes;
    return bytes;
  }

  get firstPosition(): number {
    for (const { firstPosition } of this.#levels) if (firstPosition !== Infinity) return firstPosition;
    return Infinity;
  }

  restore(levels: readonly QueueLevel[]): void {
    for (const { nextPosition, deliveredTo } of levels) {
      const level = this.#level(levelOf(nextPosition));
      level.nextPosition = nextPosition;
      level.deliveredTo = deliveredTo;
    }
  }

  skip(message: Message): number {
    return this.#levelFor(message).skip(message);
  }

  push(message: Message): number {
    const position = this.#levelFor(message).push(message);
    this.#came(levelOf(position), 1);
    return position;
  }

  shift(): Message | undefined {
    const levels = this.#byLevel;
    for (; this.#top < levels.length; this.#top++) {
      const level = levels[this.#top];
      if (level === undefined || level.length === 0) continue;
      const message = level.shift();
      this.position = level.position;
      this.redelivered = level.redelivered;
      if (message !== undefined) this.length--;
      return message;
    }
    return undefined;
  }

  has(position: number): boolean {
    return this.#byLevel[levelOf(position)]?.has(position) === true;
  }

  take(position: number): Message | undefined {
    const message = this.#byLevel[levelOf(position)]?.take(position);
    if (message !== undefined) this.length--;
    return message;
  }

  giveBack(message: Message, position: number): void {
    this.#level(levelOf(position)).giveBack(message, position);
    this.#came(levelOf(position), 1);
  }

  markDelivered(position: number): boolean {
    return this.#level(levelOf(position)).markDelivered(position);
  }

  addLoaded(placed: PlacedMessages): void {
    if (placed.messages.length === 0) return;
    for (const part of byLevel(placed)) {
      const number = levelOf(part.positions[0]);
      this.#level(number).addLoaded(part);
      this.#came(number, part.messages.length);
    }
  }

  giveUp(kept: number): PlacedMessages {
    const messages: Message[] = [];
    const positions: number[] = [];
    let left = kept;
    for (const level of this.#levels) {
      const before = level.length;
      const placed = level.giveUp(left);
      left = Math.max(0, left - (before - placed.messages.length));
      for (let i = 0; i < placed.messages.length; i++) {
        messages.push(placed.messages[i]);
        positions.push(placed.positions[i]);
      }
    }
    this.length -= messages.length;
    return inOrder(messages, positions);
  }

  isolate(slab: RetentionSlab): void {
    for (const level of this.#levels) level.isolate(slab);
  }

  clear(each: (message: Message, position: number) => void): number {
    let count = 0;
    for (const level of this.#levels) count += level.clear(each);
    this.length = 0;
    return count;
  }

  #came(level: number, count: number): void {
    this.length += count;
    if (level < this.#top) this.#top = level;
  }

  #levelFor({ propertiesBuffer, propertiesStart, propertiesEnd }: Message): ReadyMessages {
    const priority = peekPriority(propertiesBuffer, propertiesStart, propertiesEnd);
    return this.#level(this.#maxPriority - Math.min(priority, this.#maxPriority));
  }

  #level(number: number): ReadyMessages {
    const known = this.#byLevel[number];
    if (known !== undefined) return known;
    const level = new ReadyMessages(number * LEVEL_SPAN);
    level.store = this.#store;
    this.#byLevel[number] = level;
    this.#levels = this.#byLevel.filter((each) => each !== undefined);
    return level;
  }
}

/** What a queue with these arguments keeps its ready messages in. `recovered`: how far it was before a restart. */
export function createReady(args: FieldTable, recovered: RecoveredQueue | null, isQuorum = false): Ready {
  const maxPriority = Number(args.get('x-max-priority')?.value ?? 0);
  const ready = maxPriority > 0 ? new PriorityMessages(maxPriority) : new ReadyMessages(0, isQuorum);
  if (recovered !== null) ready.restore(recovered.levels);
  return ready;
}
