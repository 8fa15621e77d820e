// The messages of a queue that wait to be delivered, in order of their positions: a list of blocks for those that were never
// delivered, and a heap for those that came back, all of which stand before the first of the others.
import type { Message } from './message.ts';
import type { RetentionSlab } from './retention-slab.ts';

const FIRST_BLOCK_MESSAGES = 16;
const BLOCK_MESSAGES = 512;

interface Block {
  readonly messages: (Message | undefined)[];
  next: Block | null;
}

interface Returned {
  readonly position: number;
  readonly message: Message;
}

function createBlock(size: number): Block {
  return { messages: new Array(size), next: null };
}

export class ReadyMessages {
  #head: Block | null = null;
  #headIndex = 0;
  #tail: Block | null = null;
  #tailIndex = 0;
  #fresh = 0;
  #nextPosition = 0;
  readonly #returned: Returned[] = [];
  /** Where the messages that still hold received chunks begin; null when there are none. */
  #newBlock: Block | null = null;
  #newIndex = 0;

  /** The position of the message that `shift` returned last. */
  position = 0;
  /** Whether the message that `shift` returned last was delivered before. */
  redelivered = false;

  get length(): number {
    return this.#fresh + this.#returned.length;
  }

  /** Takes a position for a message that goes straight to a consumer. Only when nothing waits here. */
  skip(): number {
    return this.#nextPosition++;
  }

  /** Adds a new message at the end. */
  push(message: Message): void {
    let tail = this.#tail;
    if (tail === null) {
      tail = createBlock(FIRST_BLOCK_MESSAGES);
      this.#head = this.#tail = tail;
      this.#headIndex = this.#tailIndex = 0;
    } else if (this.#tailIndex === tail.messages.length) {
      tail.next = createBlock(BLOCK_MESSAGES);
      tail = this.#tail = tail.next;
      this.#tailIndex = 0;
    }
    if (this.#newBlock === null) {
      this.#newBlock = tail;
      this.#newIndex = this.#tailIndex;
    }
    tail.messages[this.#tailIndex++] = message;
    this.#fresh++;
    this.#nextPosition++;
  }

  /** Takes the first message; `position` and `redelivered` tell about it. Undefined when there is none. */
  shift(): Message | undefined {
    if (this.#returned.length > 0) return this.#shiftReturned();
    const head = this.#head;
    if (head === null || this.#fresh === 0) return undefined;
    const message = head.messages[this.#headIndex];
    head.messages[this.#headIndex++] = undefined;
    this.position = this.#nextPosition - this.#fresh;
    this.redelivered = false;
    this.#fresh--;
    if (this.#fresh === 0) this.#rewind();
    else if (this.#headIndex === head.messages.length) {
      this.#head = head.next;
      this.#headIndex = 0;
    }
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

  /** Lets go of the received chunks that messages added since the last call still hold. */
  isolate(slab: RetentionSlab): void {
    if (this.#newBlock === null) return;
    let bytes = 0;
    this.#forEachNew((message) => {
      bytes += message.bytesToIsolate;
    });
    slab.begin(bytes);
    this.#forEachNew((message) => message.isolate(slab));
    this.#newBlock = null;
  }

  #forEachNew(each: (message: Message) => void): void {
    let index = this.#newIndex;
    for (let block = this.#newBlock; block !== null; block = block.next) {
      const end = block === this.#tail ? this.#tailIndex : block.messages.length;
      for (; index < end; index++) {
        const message = block.messages[index];
        if (message !== undefined) each(message);
      }
      index = 0;
    }
  }

  /** Removes all messages and gives them to `each`; returns how many there were. */
  clear(each: (message: Message) => void): number {
    const count = this.length;
    for (let message = this.shift(); message !== undefined; message = this.shift()) each(message);
    return count;
  }

  /** Empty: go on in the block that is there, so that a queue that idles around zero allocates nothing. */
  #rewind(): void {
    if (this.#tailIndex === this.#tail?.messages.length) {
      this.#head = this.#tail = this.#newBlock = null;
    } else {
      this.#head = this.#tail;
      this.#headIndex = this.#tailIndex;
    }
  }

  #shiftReturned(): Message {
    const heap = this.#returned;
    const first = heap[0];
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
    this.position = first.position;
    this.redelivered = true;
    return first.message;
  }
}
