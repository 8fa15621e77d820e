// The messages of a queue that wait to be delivered and are in memory, in order of their positions: those that were never
// delivered, those that were read back from disk, and a heap for those that came back. What is on disk alone may stand between.
import type { Message } from './message.ts';
import { MessageList } from './message-list.ts';
import type { PlacedMessages, QueueStore } from './message-store.ts';
import { inOrder } from './placed-messages.ts';
import type { QueueLevel } from './positions.ts';
import type { RetentionSlab } from './retention-slab.ts';
import { type Returned, ReturnedInTurn, ReturnedMessages } from './returned-messages.ts';

/** As many stay in memory when the rest of a queue with consumers leaves it, so that they need not wait for the disk. */
export const KEPT_MESSAGES = 512;

/** How a queue keeps its ready messages. */
export interface Ready {
  /** What is on disk alone; null when there is no disk. */
  store: QueueStore | null;
  readonly levels: readonly QueueLevel[];
  /** Messages in memory. */
  readonly length: number;
  /** Bytes of those that can leave memory. */
  readonly bytes: number;
  /** The first position in memory that was never delivered or was read back; Infinity when there is none. */
  readonly firstPosition: number;
  /** The position of the message that `shift` returned last. */
  readonly position: number;
  /** Whether the message that `shift` returned last was delivered before. */
  readonly redelivered: boolean;
  /** Goes on where the levels were before a restart. */
  restore(levels: readonly QueueLevel[]): void;
  /** Takes a position for a message that does not wait here. When it is delivered, only if nothing waits here or on disk. */
  skip(message: Message): number;
  /** Adds a new message behind those of its kind and returns its position. */
  push(message: Message): number;
  /**
   * Takes the first message; `position` and `redelivered` tell about it. Undefined when there is none, or when one that is
   * on disk alone comes before.
   */
  shift(): Message | undefined;
  /** Whether a message stands at a position. */
  has(position: number): boolean;
  /** Takes the message at a position, wherever it stands; undefined when none does. */
  take(position: number): Message | undefined;
  /** Puts a message that was taken back to its place. `first`: it was just taken by `shift`. */
  giveBack(message: Message, position: number, first?: boolean): void;
  /** Notes that the message at a position is delivered. True when none behind it was before. */
  markDelivered(position: number): boolean;
  /** Adds messages that were read from disk. */
  addLoaded(placed: PlacedMessages): void;
  /**
   * Takes messages out so that they can leave memory, in order: all but the first ones, or all where `kept` is 0. What came
   * back stays, unless there is much of it.
   */
  giveUp(kept: number): PlacedMessages;
  /** Lets go of the received chunks that messages added since the last call still hold. */
  isolate(slab: RetentionSlab): void;
  /** Removes all messages that are in memory and gives them to `each`; returns how many there were. */
  clear(each: (message: Message, position: number) => void): number;
}

/** Those of a queue without priorities, or of one priority. */
export class ReadyMessages implements Ready, QueueLevel {
  readonly #fresh = new MessageList();
  /** What was read back from disk; null until something was. */
  #loaded: MessageList | null = null;
  /** What came back; null until something did. */
  #returned: Returned | null = null;
  readonly #returnsInTurn: boolean;
  store: QueueStore | null = null;
  nextPosition: number;
  /** Every position below was delivered at least once, since messages leave in order of their positions. */
  deliveredTo: number;
  position = 0;
  redelivered = false;

  /**
   * @param base the first position
   * @param returnsInTurn what comes back goes before everything else, as in RabbitMQ's quorum queues; otherwise it goes to its place
   */
  constructor(base = 0, returnsInTurn = false) {
    this.#returnsInTurn = returnsInTurn;
    this.nextPosition = this.deliveredTo = base;
  }

  get levels(): readonly QueueLevel[] {
    return [this];
  }

  get length(): number {
    return this.#fresh.length + (this.#returned?.size ?? 0) + (this.#loaded?.length ?? 0);
  }

  get bytes(): number {
    return this.#fresh.bytes + (this.#loaded?.bytes ?? 0);
  }

  get firstPosition(): number {
    const fresh = this.#fresh.length > 0 ? this.#fresh.firstPosition : Infinity;
    return this.#loaded !== null && this.#loaded.length > 0 ? Math.min(fresh, this.#loaded.firstPosition) : fresh;
  }

  restore([level]: readonly QueueLevel[]): void {
    this.nextPosition = level.nextPosition;
    this.deliveredTo = level.deliveredTo;
  }

  skip(_message: Message): number {
    return this.nextPosition++;
  }

  push(message: Message): number {
    const position = this.nextPosition++;
    this.#fresh.push(message, position);
    return position;
  }

  shift(): Message | undefined {
    let list = this.#fresh;
    if (this.#loaded !== null && this.#loaded.length > 0) list = this.#earlier(list, this.#loaded);
    const returned = this.#returned;
    if (returned !== null && returned.size > 0 && (list.length === 0 || returned.precedes(list.firstPosition))) {
      return this.#shiftReturned(returned);
    }
    if (list.length === 0 || (this.store !== null && this.store.nextPaged < list.firstPosition)) return undefined;
    const message = list.shift();
    this.#took(list.position);
    return message;
  }

  has(position: number): boolean {
    return this.#fresh.has(position) || this.#loaded?.has(position) === true || this.#returned?.has(position) === true;
  }

  take(position: number): Message | undefined {
    return this.#fresh.take(position) ?? this.#loaded?.take(position) ?? this.#returned?.take(position);
  }

  giveBack(message: Message, position: number, first = false): void {
    this.#returned ??= this.#returnsInTurn ? new ReturnedInTurn() : new ReturnedMessages();
    this.#returned.add(message, position, first);
  }

  markDelivered(position: number): boolean {
    if (position < this.deliveredTo) return false;
    this.deliveredTo = position + 1;
    return true;
  }

  addLoaded({ messages, positions }: PlacedMessages): void {
    if (messages.length === 0) return;
    this.#loaded ??= new MessageList();
    const loaded = this.#loaded;
    const before: Message[] = [];
    const positionsBefore: number[] = [];
    // What comes from another page may belong before what was read already.
    if (loaded.lastPosition > positions[0]) loaded.takeBack(0, before, positionsBefore);
    const all = inOrder([...before, ...messages], [...positionsBefore, ...positions]);
    for (let i = 0; i < all.messages.length; i++) loaded.push(all.messages[i], all.positions[i]);
    this.nextPosition = Math.max(this.nextPosition, loaded.lastPosition + 1);
  }

  giveUp(kept: number): PlacedMessages {
    const messages: Message[] = [];
    const positions: number[] = [];
    const loadedKept = Math.min(kept, this.#loaded?.length ?? 0);
    if (this.#returned !== null && this.#returned.size > KEPT_MESSAGES) {
      this.#returned.clear((message, position) => {
        messages.push(message);
        positions.push(position);
      });
    }
    this.#loaded?.takeBack(loadedKept, messages, positions);
    this.#fresh.takeBack(kept - loadedKept, messages, positions);
    return inOrder(messages, positions);
  }

  isolate(slab: RetentionSlab): void {
    this.#fresh.isolate(slab);
  }

  clear(each: (message: Message, position: number) => void): number {
    const count = this.length;
    this.#returned?.clear(each);
    for (const list of [this.#loaded, this.#fresh]) {
      for (let message = list?.shift(); message !== undefined; message = list?.shift())
        each(message, list?.position ?? 0);
    }
    return count;
  }

  #earlier(fresh: MessageList, loaded: MessageList): MessageList {
    return fresh.length > 0 && fresh.firstPosition < loaded.firstPosition ? fresh : loaded;
  }

  #took(position: number): void {
    this.position = position;
    this.redelivered = position < this.deliveredTo;
  }

  #shiftReturned(returned: Returned): Message | undefined {
    const { firstPosition } = returned;
    if (this.store !== null && !returned.precedes(this.store.nextPaged)) return undefined;
    this.#took(firstPosition);
    return returned.take(firstPosition);
  }
}
