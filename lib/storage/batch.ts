// One group commit in the making: the record that holds everything that gathered since the last one. Small things are copied
// into a few buffers that are used again and again; large bodies go by reference.
import type { Message } from '../core/message.ts';
import { copyBytes, putVarint } from './byte-writer.ts';
import {
  ENTRY_MESSAGES,
  ENTRY_SHARED_MESSAGE,
  MESSAGE_HEADER_MOST_BYTES,
  putMessageContent,
  putMessageHeader,
} from './entries.ts';
import type { LogEntry } from './log-entry.ts';
import { encodeRecordHeader, putRecordCrc, RECORD_HEADER_BYTES } from './records.ts';

const BUFFER_BYTES = 1024 * 1024;
/** As many buffers wait for their next use. */
const KEPT_BUFFERS = 4;
/** Larger bodies are not copied: one more piece in a write costs less. */
const BY_REFERENCE_BYTES = 64 * 1024;
/** The most that a varint takes. */
const VARINT_BYTES = 8;

/** Buffers of finished batches, for the next ones. */
export class BatchBuffers {
  readonly #free: Buffer[] = [];

  take(bytes: number): Buffer {
    if (bytes <= BUFFER_BYTES) return this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    return Buffer.allocUnsafeSlow(bytes);
  }

  giveBack(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      if (buffer.length === BUFFER_BYTES && this.#free.length < KEPT_BUFFERS) this.#free.push(buffer);
    }
  }
}

export class Batch {
  readonly #pool: BatchBuffers;
  readonly #buffers: Buffer[] = [];
  readonly #chunks: Buffer[] = [];
  #buffer: Buffer;
  /** Where the piece begins that is not among the chunks yet, and where it ends. */
  #start = 0;
  #at = RECORD_HEADER_BYTES;
  #bytes = 0;

  constructor(pool: BatchBuffers) {
    this.#pool = pool;
    this.#buffer = pool.take(BUFFER_BYTES);
    this.#buffers.push(this.#buffer);
  }

  /** The record's bytes, to be written one after the other; complete after `finish`. */
  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  /** Bytes of the whole record; known after `finish`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds encoded entries. */
  raw(source: Buffer, length: number): void {
    this.#room(length);
    this.#at = copyBytes(this.#buffer, this.#at, source, 0, length);
  }

  /** Adds all messages of `entries` that are alive, and gives them to `written`. */
  messages(entries: readonly LogEntry[], written: (entry: LogEntry) => void): void {
    for (let index = 0; index < entries.length; ) {
      const entry = entries[index];
      if (entry.message === null || !entry.isAlive) {
        index++;
      } else if (entry.others !== null || entry.queue === null) {
        this.#shared(entry, entry.message);
        written(entry);
        index++;
      } else {
        const end = runEnd(entries, index);
        this.#run(entry, entry.message, end - index);
        for (; index < end; index++) {
          const { message } = entries[index];
          if (message !== null) this.#message(message);
          written(entries[index]);
        }
      }
    }
  }

  /** Completes the record. Returns false when there is nothing in it. */
  finish(sequence: number): boolean {
    this.#endPiece();
    this.#bytes = this.#chunks.reduce((sum, { length }) => sum + length, 0);
    const payload = this.#bytes - RECORD_HEADER_BYTES;
    if (payload === 0) return false;
    const [header] = this.#chunks;
    encodeRecordHeader(header, 0, payload, sequence);
    putRecordCrc(header, 0, [header.subarray(RECORD_HEADER_BYTES), ...this.#chunks.slice(1)]);
    return true;
  }

  /** The batch is over: its buffers may be used again. */
  release(): void {
    this.#pool.giveBack(this.#buffers);
  }

  #run({ queue, position }: LogEntry, { route }: Message, count: number): void {
    const { bytes } = route;
    this.#room(1 + 4 * VARINT_BYTES + bytes.length);
    const buffer = this.#buffer;
    buffer[this.#at] = ENTRY_MESSAGES;
    let at = putVarint(buffer, this.#at + 1, queue?.id ?? 0);
    at = putVarint(buffer, at, position);
    at = putVarint(buffer, at, bytes.length);
    at = copyBytes(buffer, at, bytes, 0, bytes.length);
    this.#at = putVarint(buffer, at, count);
  }

  #shared(entry: LogEntry, message: Message): void {
    const places = entry.places().filter(({ queue }) => !queue.deleted);
    const { bytes } = message.route;
    this.#room(1 + 2 * VARINT_BYTES * (places.length + 1) + bytes.length);
    const buffer = this.#buffer;
    buffer[this.#at] = ENTRY_SHARED_MESSAGE;
    let at = putVarint(buffer, this.#at + 1, bytes.length);
    at = copyBytes(buffer, at, bytes, 0, bytes.length);
    at = putVarint(buffer, at, places.length);
    for (const { queue, position } of places) at = putVarint(buffer, putVarint(buffer, at, queue.id), position);
    this.#at = at;
    this.#message(message);
  }

  #message(message: Message): void {
    if (message.bodySize > BY_REFERENCE_BYTES) {
      this.#largeMessage(message);
      return;
    }
    this.#room(MESSAGE_HEADER_MOST_BYTES + message.size);
    const at = putMessageHeader(this.#buffer, this.#at, message);
    this.#at = putMessageContent(this.#buffer, at, message);
  }

  #largeMessage(message: Message): void {
    const { propertiesBuffer, propertiesStart, propertiesEnd, bodyBuffer, bodyStart, bodySize, pieces } = message;
    this.#room(MESSAGE_HEADER_MOST_BYTES + propertiesEnd - propertiesStart);
    const at = putMessageHeader(this.#buffer, this.#at, message);
    this.#at = copyBytes(this.#buffer, at, propertiesBuffer, propertiesStart, propertiesEnd);
    this.#endPiece();
    if (pieces !== null) this.#chunks.push(...pieces);
    else this.#chunks.push(bodyBuffer.subarray(bodyStart, bodyStart + bodySize));
  }

  #endPiece(): void {
    if (this.#at > this.#start) this.#chunks.push(this.#buffer.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    this.#endPiece();
    this.#buffer = this.#pool.take(bytes);
    this.#buffers.push(this.#buffer);
    this.#start = this.#at = 0;
  }
}

/** Behind the last entry that goes on from the one at `index`: same queue and route, successive positions. */
function runEnd(entries: readonly LogEntry[], index: number): number {
  const { queue, message } = entries[index];
  let { position } = entries[index];
  let end = index + 1;
  for (; end < entries.length; end++) {
    const next = entries[end];
    if (next.queue !== queue || next.others !== null || next.message?.route !== message?.route) break;
    if (next.position !== ++position) break;
  }
  return end;
}
