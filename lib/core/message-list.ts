// A queue's messages in order of their positions: a list of blocks, to which messages are added at the end and taken at the
// beginning. Positions follow one another nearly always, so a block knows where it begins and lists them only when they don't.

import { MESSAGE_OVERHEAD_BYTES } from './memory-account.ts';
import type { Message } from './message.ts';
import type { RetentionSlab } from './retention-slab.ts';

const FIRST_BLOCK_MESSAGES = 16;
const MOST_BLOCK_MESSAGES = 512;
/** Each block is so many times as large as the one before, so that thousands of short queues cost little. */
const BLOCK_GROWTH = 4;

interface Block {
  readonly messages: (Message | undefined)[];
  /** The position of the message at index 0, if one stands there. */
  base: number;
  /** The position of each message; null while they are `base` and the index. */
  positions: number[] | null;
  next: Block | null;
}

function createBlock(size: number, base: number): Block {
  return { messages: new Array(size), base, positions: null, next: null };
}

export class MessageList {
  #head: Block | null = null;
  #headIndex = 0;
  #tail: Block | null = null;
  #tailIndex = 0;
  /** Where the messages that still hold received chunks begin; null when there are none. */
  #newBlock: Block | null = null;
  #newIndex = 0;

  length = 0;
  /** Bytes of the messages here, their overhead included. */
  bytes = 0;
  /** The position of the message that `shift` returned last. */
  position = 0;

  /** The position of the first message. Only when there is one. */
  get firstPosition(): number {
    const head = this.#head;
    if (head === null) return Infinity;
    return head.positions === null ? head.base + this.#headIndex : head.positions[this.#headIndex];
  }

  /** The position of the last message. Only when there is one. */
  get lastPosition(): number {
    const tail = this.#tail;
    const index = this.#tailIndex - 1;
    if (tail === null) return -1;
    return tail.positions === null ? tail.base + index : tail.positions[index];
  }

  /** Adds a message at the end. */
  push(message: Message, position: number): void {
    let tail = this.#tail;
    if (tail === null) {
      tail = createBlock(FIRST_BLOCK_MESSAGES, position);
      this.#head = this.#tail = tail;
      this.#headIndex = this.#tailIndex = 0;
    } else if (this.#tailIndex === tail.messages.length) {
      tail.next = createBlock(Math.min(MOST_BLOCK_MESSAGES, BLOCK_GROWTH * tail.messages.length), position);
      tail = this.#tail = tail.next;
      this.#tailIndex = 0;
    } else if (this.length === 0) {
      tail.base = position - this.#tailIndex;
      tail.positions = null;
    } else if (tail.positions === null && tail.base + this.#tailIndex !== position) {
      const { base } = tail;
      tail.positions = Array.from({ length: this.#tailIndex }, (_, index) => base + index);
    }
    if (this.#newBlock === null) {
      this.#newBlock = tail;
      this.#newIndex = this.#tailIndex;
    }
    if (tail.positions !== null) tail.positions[this.#tailIndex] = position;
    tail.messages[this.#tailIndex++] = message;
    this.length++;
    this.bytes += bytesOf(message);
  }

  /** Takes the first message; `position` tells its place. Undefined when there is none. */
  shift(): Message | undefined {
    const head = this.#head;
    if (head === null || this.length === 0) return undefined;
    const index = this.#headIndex++;
    const message = head.messages[index];
    if (message === undefined) throw new Error('a hole in a list of messages');
    head.messages[index] = undefined;
    this.position = head.positions === null ? head.base + index : head.positions[index];
    this.length--;
    this.bytes -= bytesOf(message);
    if (this.length === 0) this.#rewind();
    else if (this.#headIndex === head.messages.length) {
      this.#head = head.next;
      this.#headIndex = 0;
    }
    return message;
  }

  /** Takes all messages but the first `kept` ones, and adds them with their positions to the two lists. */
  takeBack(kept: number, messages: Message[], positions: number[]): void {
    if (kept >= this.length) return;
    let block = this.#head;
    let index = this.#headIndex;
    let left = kept;
    while (block !== null && left >= this.#endOf(block) - index && left > 0) {
      left -= this.#endOf(block) - index;
      block = block.next;
      index = 0;
    }
    index += left;
    const first = block;
    const firstIndex = index;
    for (; block !== null; block = block.next) {
      const end = this.#endOf(block);
      for (; index < end; index++) {
        const message = block.messages[index];
        if (message === undefined) throw new Error('a hole in a list of messages');
        messages.push(message);
        positions.push(block.positions === null ? block.base + index : block.positions[index]);
        this.bytes -= bytesOf(message);
        block.messages[index] = undefined;
      }
      index = 0;
    }
    this.length = kept;
    if (kept === 0) {
      this.#head = this.#tail = this.#newBlock = null;
      return;
    }
    // What stays was there before, so nothing of it is new any more: the caller isolates first.
    this.#newBlock = null;
    this.#cutAt(first, firstIndex);
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

  /** Ends the list before `index` of `block`. */
  #cutAt(block: Block | null, index: number): void {
    if (block === null) return;
    block.next = null;
    if (index > 0) {
      this.#tail = block;
      this.#tailIndex = index;
      return;
    }
    let last = this.#head;
    while (last !== null && last.next !== block) last = last.next;
    if (last === null) throw new Error('a block that is not in its list');
    last.next = null;
    this.#tail = last;
    this.#tailIndex = last.messages.length;
  }

  #endOf(block: Block): number {
    return block === this.#tail ? this.#tailIndex : block.messages.length;
  }

  #forEachNew(each: (message: Message) => void): void {
    let index = this.#newIndex;
    for (let block = this.#newBlock; block !== null; block = block.next) {
      const end = this.#endOf(block);
      for (; index < end; index++) {
        const message = block.messages[index];
        if (message !== undefined) each(message);
      }
      index = 0;
    }
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
}

function bytesOf(message: Message): number {
  return message.propertiesEnd - message.propertiesStart + message.bodySize + MESSAGE_OVERHEAD_BYTES;
}
