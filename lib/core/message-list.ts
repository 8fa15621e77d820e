// A queue's messages in order of their positions: a list of blocks, to which messages are added at the end and taken at the
// beginning, or anywhere. Positions follow one another nearly always, so a block knows where it begins and lists them only when they don't.

import { MESSAGE_OVERHEAD_BYTES } from './memory-account.ts';
import type { Message } from './message.ts';
import type { RetentionSlab } from './retention-slab.ts';

const FIRST_BLOCK_MESSAGES = 16;
const MOST_BLOCK_MESSAGES = 512;
/** Each block is so many times as large as the one before, so that thousands of short queues cost little. */
const BLOCK_GROWTH = 4;
/** So many blocks that were used up are let go of at once. */
const USED_BLOCKS = 32;

interface Block {
  readonly messages: (Message | undefined)[];
  /** The position of the message at index 0, if one stands there. */
  base: number;
  /** The position of each message; null while they are `base` and the index. */
  positions: number[] | null;
  /** How many messages were taken from its middle. */
  taken: number;
}

function createBlock(size: number, base: number): Block {
  return { messages: new Array(size), base, positions: null, taken: 0 };
}

export class MessageList {
  #blocks: Block[] = [];
  /** Where in `#blocks` the first one stands that is in use. */
  #first = 0;
  /** The first and the last block in use; null when there is none. */
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

  /** The position that was added last. Only when there is a message. */
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
      tail = this.#addBlock(FIRST_BLOCK_MESSAGES, position);
      this.#head = tail;
      this.#headIndex = 0;
    } else if (this.#tailIndex === tail.messages.length) {
      const { length } = tail.messages;
      const isUsedUp = tail.taken === length;
      tail = this.#addBlock(Math.min(MOST_BLOCK_MESSAGES, BLOCK_GROWTH * length), position);
      if (isUsedUp) this.#removeBlock(this.#blocks.length - 2);
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
    const index = this.#headIndex;
    const message = head.messages[index];
    if (message === undefined) throw new Error('a hole at the beginning of a list of messages');
    head.messages[index] = undefined;
    this.position = head.positions === null ? head.base + index : head.positions[index];
    this.length--;
    this.bytes -= bytesOf(message);
    if (this.length === 0) this.#rewind();
    else this.#advance(head, index + 1);
    return message;
  }

  /** Whether a message stands at a position. */
  has(position: number): boolean {
    if (this.length === 0) return false;
    const block = this.#blocks[this.#blockOf(position)];
    const index = this.#indexIn(block, position);
    return index >= 0 && block.messages[index] !== undefined;
  }

  /** Takes the message at a position, wherever it stands; undefined when none does. */
  take(position: number): Message | undefined {
    if (this.length === 0) return undefined;
    const at = this.#blockOf(position);
    const block = this.#blocks[at];
    const index = this.#indexIn(block, position);
    const message = index < 0 ? undefined : block.messages[index];
    if (message === undefined) return undefined;
    block.messages[index] = undefined;
    block.taken++;
    this.length--;
    this.bytes -= bytesOf(message);
    if (this.length === 0) this.#rewind();
    else if (block === this.#head && index === this.#headIndex) this.#advance(block, index + 1);
    else if (block.taken === block.messages.length) this.#removeBlock(at);
    return message;
  }

  /** Takes all messages but the first `kept` ones, and adds them with their positions to the two lists. */
  takeBack(kept: number, messages: Message[], positions: number[]): void {
    if (kept >= this.length) return;
    let left = kept;
    let at = this.#first;
    let index = this.#headIndex;
    for (; left > 0; at++, index = 0) {
      const block = this.#blocks[at];
      const end = this.#endOf(block);
      for (; index < end && left > 0; index++) if (block.messages[index] !== undefined) left--;
      if (left === 0) break;
    }
    const cutAt = at;
    const cutIndex = index;
    for (; at < this.#blocks.length; at++, index = 0) {
      const block = this.#blocks[at];
      const end = this.#endOf(block);
      for (; index < end; index++) {
        const message = block.messages[index];
        if (message === undefined) continue;
        messages.push(message);
        positions.push(block.positions === null ? block.base + index : block.positions[index]);
        this.bytes -= bytesOf(message);
        block.messages[index] = undefined;
      }
    }
    this.length = kept;
    // What stays was there before, so nothing of it is new any more: the caller isolates first.
    this.#newBlock = null;
    if (kept === 0) this.#clear();
    else this.#cut(cutAt, cutIndex);
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

  #addBlock(size: number, base: number): Block {
    const block = createBlock(size, base);
    this.#blocks.push(block);
    this.#tail = block;
    this.#tailIndex = 0;
    return block;
  }

  /** The first message stands at `index` of `head` or behind it; there is one. */
  #advance(head: Block, index: number): void {
    let block = head;
    let at = index;
    for (;;) {
      if (at === block.messages.length) {
        block = this.#blocks[++this.#first];
        at = 0;
      } else if (block.messages[at] === undefined) {
        at++;
      } else {
        break;
      }
    }
    this.#headIndex = at;
    if (block === head) return;
    this.#head = block;
    if (this.#first < USED_BLOCKS) return;
    this.#blocks.splice(0, this.#first);
    this.#first = 0;
  }

  /** A block in the middle has no messages any more: those around it may wait for long. */
  #removeBlock(at: number): void {
    if (this.#blocks[at] === this.#tail) return;
    if (this.#newBlock === this.#blocks[at]) {
      this.#newBlock = this.#blocks[at + 1];
      this.#newIndex = 0;
    }
    this.#blocks.splice(at, 1);
  }

  /** The block that a position can only be in: the last one that begins at it or before. */
  #blockOf(position: number): number {
    let low = this.#first;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const { positions, base } = this.#blocks[middle];
      if ((positions === null ? base : positions[0]) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where in a block a position stands; -1 when it does not. */
  #indexIn(block: Block, position: number): number {
    let low = block === this.#head ? this.#headIndex : 0;
    let high = this.#endOf(block) - 1;
    const { positions, base } = block;
    if (positions === null) return position - base >= low && position - base <= high ? position - base : -1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (positions[middle] < position) low = middle + 1;
      else high = middle;
    }
    return positions[low] === position ? low : -1;
  }

  /** Ends the list before `index` of the block at `at`: something stands before that. */
  #cut(at: number, index: number): void {
    const last = index > 0 ? at : at - 1;
    this.#blocks.length = last + 1;
    this.#tail = this.#blocks[last];
    this.#tailIndex = index > 0 ? index : this.#tail.messages.length;
    let taken = 0;
    for (let i = 0; i < this.#tailIndex; i++) if (this.#tail.messages[i] === undefined) taken++;
    this.#tail.taken = taken;
  }

  #endOf(block: Block): number {
    return block === this.#tail ? this.#tailIndex : block.messages.length;
  }

  #forEachNew(each: (message: Message) => void): void {
    let at = this.#indexOfNew();
    let index = this.#blocks[at] === this.#newBlock ? this.#newIndex : 0;
    for (; at < this.#blocks.length; at++) {
      const block = this.#blocks[at];
      const end = this.#endOf(block);
      for (; index < end; index++) {
        const message = block.messages[index];
        if (message !== undefined) each(message);
      }
      index = 0;
    }
  }

  /** Where the first new messages stand; the block that they began in may be gone. */
  #indexOfNew(): number {
    let at = this.#blocks.length - 1;
    while (at > this.#first && this.#blocks[at] !== this.#newBlock) at--;
    return at;
  }

  /** Empty: go on in the block that is there, so that a queue that idles around zero allocates nothing. */
  #rewind(): void {
    const tail = this.#tail;
    this.#newBlock = null;
    if (tail === null || this.#tailIndex === tail.messages.length) {
      this.#clear();
      return;
    }
    if (this.#blocks.length > 1) this.#blocks = [tail];
    this.#first = 0;
    this.#head = tail;
    this.#headIndex = this.#tailIndex;
    tail.taken = 0;
  }

  #clear(): void {
    this.#blocks = [];
    this.#first = 0;
    this.#head = this.#tail = null;
  }
}

function bytesOf(message: Message): number {
  return message.propertiesEnd - message.propertiesStart + message.bodySize + MESSAGE_OVERHEAD_BYTES;
}
