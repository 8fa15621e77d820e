// The messages of a queue that wait to be delivered and are in memory, in order of their positions: those that were never
// delivered, those that were read back from disk, and a heap for those that came back. What is on disk alone may stand between.
import type { Message } from './message.ts';
import { MessageList } from './message-list.ts';
import type { PlacedMessages, QueueStore } from './message-store.ts';
import type { RetentionSlab } from './retention-slab.ts';

/** As many stay in memory when the rest of a queue with consumers leaves it, so that they need not wait for the disk. */
const KEPT_MESSAGES = 512;

interface Returned {
  readonly position: number;
  readonly message: Message;
}

export class ReadyMessages {
  readonly #fresh = new MessageList();
  /** What was read back from disk; null until something was. */
  #loaded: MessageList | null = null;
  readonly #returned: Returned[] = [];
  /** What is on disk alone; null when there is no disk. */
  store: QueueStore | null = null;
  nextPosition = 0;
  /** Every position below was delivered at least once, since messages leave in order of their positions. */
  deliveredTo = 0;

  /** The position of the message that `shift` returned last. */
  position = 0;
  /** Whether the message that `shift` returned last was delivered before. */
  redelivered = false;

  /** Messages in memory. */
  get length(): number {
    return this.#fresh.length + this.#returned.length + (this.#loaded?.length ?? 0);
  }

  /** Bytes of those that can leave memory. */
  get bytes(): number {
    return this.#fresh.bytes + (this.#loaded?.bytes ?? 0);
  }

  /** The first position in memory that was never delivered or was read back; Infinity when there is none. */
  get firstPosition(): number {
    const fresh = this.#fresh.length > 0 ? this.#fresh.firstPosition : Infinity;
    return this.#loaded !== null && this.#loaded.length > 0 ? Math.min(fresh, this.#loaded.firstPosition) : fresh;
  }

  /** Takes a position for a message that goes straight to a consumer. Only when nothing waits here or on disk. */
  skip(): number {
    return this.nextPosition++;
  }

  /** Adds a new message at the end and returns its position. */
  push(message: Message): number {
    const position = this.nextPosition++;
    this.#fresh.push(message, position);
    return position;
  }

  /**
   * Takes the first message; `position` and `redelivered` tell about it. Undefined when there is none, or when one that is
   * on disk alone comes before.
   */
  shift(): Message | undefined {
    let list = this.#fresh;
    if (this.#loaded !== null && this.#loaded.length > 0) list = this.#earlier(list, this.#loaded);
    if (this.#returned.length > 0 && (list.length === 0 || this.#returned[0].position < list.firstPosition)) {
      return this.#shiftReturned();
    }
    if (list.length === 0 || (this.store !== null && this.store.nextPaged < list.firstPosition)) return undefined;
    const message = list.shift();
    this.#took(list.position);
    return message;
  }

  /** Puts a message that was delivered back to its place. */
  giveBack(message: Message, position: number): void {
    const heap = this.#returned;
    let at = heap.length;
    const entry = { position, message };
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].position <= position) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  /** Adds messages that were read from disk. */
  addLoaded({ messages, positions }: PlacedMessages): void {
    this.#loaded ??= new MessageList();
    const loaded = this.#loaded;
    for (let i = 0; i < messages.length; i++) {
      const position = positions[i];
      if (position >= this.nextPosition) this.nextPosition = position + 1;
      if (loaded.length === 0 || loaded.lastPosition < position) loaded.push(messages[i], position);
      else this.giveBack(messages[i], position);
    }
  }

  /**
   * Takes messages out so that they can leave memory: all but the first ones, or all where `keepsFirst` is false. What came
   * back stays, unless there is much of it.
   */
  giveUp(keepsFirst: boolean): PlacedMessages {
    const messages: Message[] = [];
    const positions: number[] = [];
    const kept = keepsFirst ? KEPT_MESSAGES : 0;
    const loadedKept = Math.min(kept, this.#loaded?.length ?? 0);
    if (this.#returned.length > KEPT_MESSAGES) {
      for (const { message, position } of this.#takeReturned()) {
        messages.push(message);
        positions.push(position);
      }
    }
    this.#loaded?.takeBack(loadedKept, messages, positions);
    this.#fresh.takeBack(kept - loadedKept, messages, positions);
    return inOrder(messages, positions);
  }

  /** Lets go of the received chunks that messages added since the last call still hold. */
  isolate(slab: RetentionSlab): void {
    this.#fresh.isolate(slab);
  }

  /** Removes all messages that are in memory and gives them to `each`; returns how many there were. */
  clear(each: (message: Message, position: number) => void): number {
    const count = this.length;
    for (const { message, position } of this.#takeReturned()) each(message, position);
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

  /** Takes out everything that came back, in order. */
  #takeReturned(): Returned[] {
    return this.#returned.splice(0).sort((a, b) => a.position - b.position);
  }

  #shiftReturned(): Message | undefined {
    const heap = this.#returned;
    const first = heap[0];
    if (this.store !== null && this.store.nextPaged < first.position) return undefined;
    const last = heap[heap.length - 1];
    heap.length--;
    const size = heap.length;
    if (size > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= size) break;
        if (child + 1 < size && heap[child + 1].position < heap[child].position) child++;
        if (heap[child].position >= last.position) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = last;
    }
    this.#took(first.position);
    return first.message;
  }
}

/** What was taken from several lists, in order of the positions. */
function inOrder(messages: Message[], positions: number[]): PlacedMessages {
  if (positions.every((position, i) => i === 0 || positions[i - 1] < position)) return { messages, positions };
  const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b]);
  return { messages: order.map((i) => messages[i]), positions: order.map((i) => positions[i]) };
}
