// Holds the messages of a delayed message exchange until their time has come. It is like a queue for the disk, and its positions
// are points in time: so what is due first comes first, in memory, in pages and after a restart, and nothing is ever looked through.
import { type DeadlineTask, newDeadline } from './deadlines.ts';
import { withKeys } from './held-message.ts';
import type { Message } from './message.ts';
import {
  type PlacedMessages,
  type QueueStore,
  type RecoveredQueue,
  type StoredQueue,
  survivesRestart,
} from './message-store.ts';
import type { QueueLevel } from './positions.ts';
import type { Confirmation, MessageTarget, QueueSettings } from './queue.ts';
import type { QueueContext } from './queue-context.ts';
import { ReturnedMessages } from './returned-messages.ts';
import type { TurnTask } from './turn.ts';

/** Positions of a millisecond. What has no room in one goes to the next. */
const PLACES = 4096;
/** Positions count from the year 2020, so that they stay below 2^53 for longer than anybody will ask. */
const FIRST_MS = Date.UTC(2020, 0, 1);
/** What is on disk is read so long before it is due... */
const READ_AHEAD_MS = 1000;
/** ...unless as much is in memory already. */
const READ_AHEAD_MESSAGES = 16_384;
const READ_AHEAD_BYTES = 16 * 1024 * 1024;
/** So many leave in one go; then others have their turn. */
const STEP_MESSAGES = 1024;
/** For so many milliseconds it is known where the next free place is; at first, and when there were as many messages. */
const FEW_MILLISECONDS = 256;
const MANY_MILLISECONDS = 65_536;

const NO_COUNTS: ReadonlyMap<number, number> = new Map();

function positionAt(epochMs: number): number {
  return Math.max(0, Math.ceil(epochMs) - FIRST_MS) * PLACES;
}

function timeOf(position: number): number {
  return position === Infinity ? Infinity : Math.floor(position / PLACES) + FIRST_MS;
}

/** No client can give a queue a name of more than 255 bytes. */
const NAME_PREFIX = 'held back by exchange '.padEnd(256);

/** The exchange for which the target of a name holds messages back; undefined when it is another target's name. */
export function exchangeHolding(targetName: string): string | undefined {
  return targetName.startsWith(NAME_PREFIX) ? targetName.slice(NAME_PREFIX.length) : undefined;
}

export interface DelayQueueOptions {
  readonly context: QueueContext;
  /** For how many ms a message is to be held back. */
  readonly delayMs: (message: Message) => number;
  /** Routes a message whose time has come. */
  readonly send: (message: Message) => void;
}

export class DelayQueue implements MessageTarget, StoredQueue, TurnTask, DeadlineTask {
  readonly settings: QueueSettings;
  readonly deadline = newDeadline();
  readonly isIdle = true;
  readonly deliveryCounts = NO_COUNTS;
  readonly levels: readonly QueueLevel[] = [{ nextPosition: 0, deliveredTo: 0 }];
  readonly #context: QueueContext;
  readonly #delayMs: (message: Message) => number;
  readonly #send: (message: Message) => void;
  readonly #messages = new ReturnedMessages();
  readonly #store: QueueStore | null;
  readonly #survives: boolean;
  readonly #nextPlaces = new NextPlaces();
  /** Everything below has left, so no place there is given again, even if the clock is set back. */
  #sentTo = 0;
  /** Places of before a restart that are still to come, since the clock was set back. */
  readonly #spent: { has(position: number): boolean } | null;
  #bytes = 0;
  /** The further routing keys of messages that were routed here, and may be published later, at a commit, or never. */
  readonly #keys = new WeakMap<Message, readonly string[]>();
  /** Messages that came in this turn. */
  #fresh: Message[] = [];
  #closed = false;

  constructor(
    settings: QueueSettings,
    { context, delayMs, send }: DelayQueueOptions,
    recovered: RecoveredQueue | null,
  ) {
    this.settings = settings;
    this.#context = context;
    this.#delayMs = delayMs;
    this.#send = send;
    this.#survives = survivesRestart(settings);
    this.#spent = recovered?.spentFrom(positionAt(context.clock.epochMs())) ?? null;
    this.#store = recovered === null ? context.createStore(this) : recovered.attach(this);
    this.#schedule();
  }

  get isExchange(): false {
    return false;
  }

  /** Tells it from all queues of clients. */
  get name(): string {
    return `${NAME_PREFIX}${this.settings.name}`;
  }

  /** Messages that it holds. */
  get messageCount(): number {
    return this.#messages.size + (this.#store?.pagedCount ?? 0);
  }

  logs({ persistent }: Message): boolean {
    return this.#survives && this.#store !== null && persistent;
  }

  get readyBytes(): number {
    return this.#bytes;
  }

  /** A message that was just routed here has further routing keys (the CC and BCC headers). */
  noteKeys(message: Message, keys: readonly string[]): void {
    this.#keys.set(message, keys);
  }

  publish(published: Message, confirmation: Confirmation | null): void {
    const keys = this.#keys.get(published);
    const message = keys === undefined ? published : withKeys(published, keys);
    const position = this.#placeAt(this.#context.clock.epochMs() + this.#delayMs(message));
    this.#context.memory.retain(message);
    this.#hold(message, position);
    if (this.#store !== null && this.logs(message)) this.#store.add(message, position, confirmation);
    else confirmation?.settled(true);
    if (this.#fresh.push(message) === 1) this.#context.turn.add(this);
    this.#schedule();
  }

  /** What is held must not pin the chunks that it came in. */
  endTurn(): void {
    const { slab } = this.#context;
    slab.begin(this.#fresh.reduce((bytes, message) => bytes + message.bytesToIsolate, 0));
    for (const message of this.#fresh) message.isolate(slab);
    this.#fresh = [];
  }

  turnFailed(error: unknown): void {
    this.#context.defect(error);
  }

  deadlineReached(nowMs: number): void {
    for (let i = 0; i < STEP_MESSAGES; i++) {
      const { firstPosition } = this.#messages;
      if (timeOf(firstPosition) > nowMs || this.#pagedPosition < firstPosition) break;
      const message = this.#take(firstPosition);
      if (message === undefined) break;
      this.#sentTo = firstPosition + 1;
      try {
        this.#send(message);
      } catch (error) {
        // A defect of ours with one message must not keep the others back.
        this.#context.defect(error);
      }
      // In the same go as the above, and so in the same record of the log: the message is here or there, never in both or neither.
      this.#store?.moved(message, firstPosition);
      this.#context.memory.release(message);
    }
    this.#schedule();
  }

  /** The exchange is deleted, and what it holds with it. */
  close(): void {
    this.#closed = true;
    this.#context.deadlines.set(this, Infinity);
    this.#store?.delete();
    this.#messages.clear((message, position) => {
      this.#store?.remove(message, position);
      this.#context.memory.release(message);
    });
    this.#bytes = 0;
  }

  giveUp(through: number): PlacedMessages {
    const messages: Message[] = [];
    const positions: number[] = [];
    const isPressed = through < 0;
    if (!isPressed && through < this.#messages.firstPosition) return { messages, positions };
    this.endTurn();
    const soon = isPressed ? positionAt(this.#context.clock.epochMs() + 2 * READ_AHEAD_MS) : 0;
    const kept: [Message, number][] = [];
    this.#messages.clear((message, position) => {
      if (position < soon) {
        kept.push([message, position]);
      } else {
        messages.push(message);
        positions.push(position);
      }
    });
    this.#bytes = 0;
    for (const [message, position] of kept) this.#hold(message, position);
    // When this is over, since only then it is on disk alone.
    this.#context.turn.add(this.#afterGivingUp);
    return { messages, positions };
  }

  loaded({ messages, positions }: PlacedMessages): void {
    for (let i = 0; i < messages.length; i++) this.#hold(messages[i], positions[i]);
    this.#schedule();
  }

  deadlinesFound(): void {
    // Its messages begin to expire when they are sent.
  }

  readonly #afterGivingUp: TurnTask = {
    endTurn: () => this.#schedule(),
    turnFailed: (error) => this.#context.defect(error),
  };

  get #pagedPosition(): number {
    return this.#store?.nextPaged ?? Infinity;
  }

  #hold(message: Message, position: number): void {
    this.#messages.add(message, position);
    this.#bytes += message.size;
  }

  #take(position: number): Message | undefined {
    const message = this.#messages.take(position);
    if (message !== undefined) this.#bytes -= message.size;
    return message;
  }

  /** A free place at a time, or as soon as possible after it. */
  #placeAt(epochMs: number): number {
    const start = Math.max(positionAt(epochMs), this.#sentTo);
    const millisecond = Math.floor(start / PLACES);
    const next = this.#nextPlaces.get(millisecond);
    const position = this.#freePlace(Math.max(next === 0 ? start : next, this.#sentTo));
    this.#nextPlaces.set(millisecond, position + 1);
    return position;
  }

  /** The first free place from one on: those of a millisecond are given from the front, so that nobody has to try them all. */
  #freePlace(from: number): number {
    if (!this.#isTaken(from)) return from;
    let first = from;
    let last = from - (from % PLACES) + PLACES - 1;
    while (this.#isTaken(last)) {
      first = last + 1;
      last += PLACES;
    }
    while (first < last) {
      const middle = first + Math.floor((last - first) / 2);
      if (this.#isTaken(middle)) first = middle + 1;
      else last = middle;
    }
    return first;
  }

  #isTaken(position: number): boolean {
    if (this.#messages.has(position) || this.#store?.isPagedOut(position) === true) return true;
    return this.#spent?.has(position) === true;
  }

  /** Reads what is due soon, and waits for what is due first. */
  #schedule(): void {
    if (this.#closed) return;
    const now = this.#context.clock.epochMs();
    const { firstPosition } = this.#messages;
    const inMemory = timeOf(firstPosition);
    const onDisk = timeOf(this.#pagedPosition);
    let wake = Math.min(inMemory, onDisk - READ_AHEAD_MS);
    if (onDisk - READ_AHEAD_MS <= now) {
      // Not the times, which may be the same for a million of them.
      const isFirst = firstPosition < this.#pagedPosition;
      const isEnough = this.#messages.size >= READ_AHEAD_MESSAGES || this.#bytes >= READ_AHEAD_BYTES;
      if (!isFirst || !isEnough) this.#store?.load();
      // What is read is told by `loaded`.
      wake = isFirst ? inMemory : Infinity;
    }
    this.#context.deadlines.set(this, wake);
  }
}

/**
 * The next place to try for what is due in a millisecond: without it, each of many messages that are due at about the same time would look for a
 * free place among those of the others. What it has no room for is forgotten.
 */
class NextPlaces {
  /** Millisecond and place, side by side. */
  #pairs = new Float64Array(2 * FEW_MILLISECONDS);
  #count = 0;

  /** 0 when it is not known. */
  get(millisecond: number): number {
    const at = this.#slotOf(millisecond);
    return this.#pairs[at] === millisecond ? this.#pairs[at + 1] : 0;
  }

  set(millisecond: number, place: number): void {
    // A queue with few messages needs few of them.
    if (++this.#count === FEW_MILLISECONDS) this.#pairs = new Float64Array(2 * MANY_MILLISECONDS);
    const at = this.#slotOf(millisecond);
    this.#pairs[at] = millisecond;
    this.#pairs[at + 1] = place;
  }

  #slotOf(millisecond: number): number {
    return 2 * (millisecond % (this.#pairs.length / 2));
  }
}
