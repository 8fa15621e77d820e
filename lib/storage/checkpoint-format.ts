// The checkpoint: how topology, queues and pages stood right behind one record of the log. Written from iterables, since
// queues and ranges are many; read into arrays.
import type { StoredParameter } from '../core/message-store.ts';
import type { QueueLevel } from '../core/positions.ts';
import { ByteReader, FormatError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { ENTRY_CHECKPOINT, ENTRY_CHECKPOINT_END, ENTRY_PAGE, ENTRY_QUEUE_STATE } from './entries.ts';
import { decodeFileHeader, encodeFileHeader, FILE_HEADER_BYTES } from './file-header.ts';
import type { PositionSet } from './position-set.ts';
import { encodeRecordHeader, putRecordCrc, RECORD_HEADER_BYTES, scanRecords } from './records.ts';
import {
  type BindingEntry,
  ENTRY_BINDING,
  ENTRY_EXCHANGE,
  ENTRY_PARAMETER,
  ENTRY_QUEUE,
  ENTRY_USER,
  ENTRY_VIRTUAL_HOST,
  type ExchangeEntry,
  type QueueEntry,
  readBinding,
  readExchange,
  readParameter,
  readQueue,
  readUser,
  type UserEntry,
  writeBinding,
  writeExchange,
  writeParameter,
  writeQueue,
  writeUser,
  writeVirtualHost,
} from './topology-entries.ts';

/** A record is ended when it has this many bytes; an entry is never split. */
const RECORD_BYTES = 1024 * 1024;

export interface CheckpointQueue extends QueueEntry {
  /** One at least. */
  readonly levels: readonly QueueLevel[];
  /** Of messages that came back. */
  readonly deliveryCounts: readonly (readonly [position: number, deliveryCount: number])[];
}

/** Messages of one queue in a page. */
export interface CheckpointRange {
  readonly queueId: number;
  /** The level of all its positions. */
  readonly level: number;
  readonly first: number;
  readonly last: number;
  /** How many messages stand there, dead ones included. */
  readonly count: number;
  /** The earliest deadline of a message; 0 when none expires. */
  readonly firstDeadlineMs: number;
  /** Where they stand in the page. */
  readonly offset: number;
  readonly bytes: number;
  /** Positions from first to last that are acknowledged, transient, or never were in the page. */
  readonly dead: PositionSet;
}

export interface CheckpointPage {
  readonly number: number;
  /** Of the file. */
  readonly bytes: number;
  readonly ranges: readonly CheckpointRange[];
}

/** What a checkpoint is written from. */
export interface CheckpointSource {
  /** The log counts from this segment on. */
  readonly firstSegment: number;
  /** Of the record that everything here stands right behind; 0 before the first. */
  readonly sequence: number;
  /** It is the last thing that a clean stop wrote. */
  readonly isClean: boolean;
  readonly nextQueueId: number;
  readonly nextPage: number;
  readonly vhosts: Iterable<string>;
  readonly users: Iterable<UserEntry>;
  readonly parameters: Iterable<StoredParameter>;
  readonly exchanges: Iterable<ExchangeEntry>;
  readonly queues: Iterable<CheckpointQueue>;
  readonly bindings: Iterable<BindingEntry>;
  readonly pages: Iterable<CheckpointPage>;
}

/** What a checkpoint is read into. */
export interface CheckpointState extends CheckpointSource {
  readonly vhosts: string[];
  readonly users: UserEntry[];
  readonly parameters: StoredParameter[];
  readonly exchanges: ExchangeEntry[];
  readonly queues: CheckpointQueue[];
  readonly bindings: BindingEntry[];
  readonly pages: CheckpointPage[];
}

/** The whole file, header included, in pieces that follow one another. */
export function encodeCheckpoint(source: CheckpointSource): Buffer[] {
  const encoder = new CheckpointEncoder(source.isClean);
  const { writer } = encoder;
  writer.u8(ENTRY_CHECKPOINT);
  writer.varint(source.firstSegment);
  writer.varint(source.sequence);
  writer.varint(source.nextQueueId);
  writer.varint(source.nextPage);
  encoder.entryWritten();
  for (const name of source.vhosts) {
    writeVirtualHost(writer, name);
    encoder.entryWritten();
  }
  for (const user of source.users) {
    writeUser(writer, user);
    encoder.entryWritten();
  }
  for (const parameter of source.parameters) {
    writeParameter(writer, parameter);
    encoder.entryWritten();
  }
  for (const exchange of source.exchanges) {
    writeExchange(writer, exchange);
    encoder.entryWritten();
  }
  for (const queue of source.queues) {
    writeQueue(writer, queue);
    encoder.entryWritten();
    for (const [index, level] of queue.levels.entries()) {
      writeQueueState(writer, queue.queueId, level, index === 0 ? queue.deliveryCounts : []);
      encoder.entryWritten();
    }
  }
  for (const binding of source.bindings) {
    writeBinding(writer, binding);
    encoder.entryWritten();
  }
  for (const page of source.pages) {
    writePage(writer, page);
    encoder.entryWritten();
  }
  return encoder.finish();
}

/** Cuts what is written into records. */
class CheckpointEncoder {
  readonly writer = new ByteWriter(RECORD_BYTES + RECORD_BYTES / 8);
  readonly #pieces: Buffer[];
  #entries = 0;
  #sequence = 0;

  constructor(isClean: boolean) {
    this.#pieces = [encodeFileHeader('checkpoint', 0, isClean)];
    this.writer.length = RECORD_HEADER_BYTES;
  }

  entryWritten(): void {
    this.#entries++;
    if (this.writer.length >= RECORD_BYTES) this.#endRecord();
  }

  finish(): Buffer[] {
    this.writer.u8(ENTRY_CHECKPOINT_END);
    this.writer.varint(this.#entries);
    this.#endRecord();
    return this.#pieces;
  }

  /** The record begins with the room that was left for its header. */
  #endRecord(): void {
    const { writer } = this;
    const record = Buffer.from(writer.view());
    encodeRecordHeader(record, 0, record.length - RECORD_HEADER_BYTES, ++this.#sequence);
    putRecordCrc(record, 0, [record.subarray(RECORD_HEADER_BYTES)]);
    this.#pieces.push(record);
    writer.length = RECORD_HEADER_BYTES;
  }
}

function writeQueueState(
  writer: ByteWriter,
  queueId: number,
  { nextPosition, deliveredTo }: QueueLevel,
  deliveryCounts: CheckpointQueue['deliveryCounts'],
): void {
  writer.u8(ENTRY_QUEUE_STATE);
  writer.varint(queueId);
  writer.varint(nextPosition);
  writer.varint(deliveredTo);
  writer.varint(deliveryCounts.length);
  for (const [position, deliveryCount] of deliveryCounts) {
    writer.varint(position);
    writer.varint(deliveryCount);
  }
}

function writePage(writer: ByteWriter, page: CheckpointPage): void {
  writer.u8(ENTRY_PAGE);
  writer.varint(page.number);
  writer.varint(page.bytes);
  writer.varint(page.ranges.length);
  for (const range of page.ranges) {
    writer.varint(range.queueId);
    writer.varint(range.level);
    writer.varint(range.first);
    writer.varint(range.last);
    writer.varint(range.count);
    writer.varint(range.firstDeadlineMs);
    writer.varint(range.offset);
    writer.varint(range.bytes);
    writer.positions(range.dead);
  }
}

/**
 * @param buffer the whole file
 * @throws FormatError saying what is wrong and where: a checkpoint is never torn, since it is renamed when it is complete
 */
export function decodeCheckpoint(buffer: Buffer): CheckpointState {
  const { clean } = decodeFileHeader(buffer, 'checkpoint');
  const { records, end, problem } = scanRecords(buffer, FILE_HEADER_BYTES, buffer.length, 1);
  if (problem !== null) throw new FormatError(problem.reason, problem.offset);
  const decoder = new CheckpointDecoder();
  for (const { start, end } of records) decoder.decode(buffer, start, end);
  return { ...decoder.finish(end), isClean: clean };
}

class CheckpointDecoder {
  #head: Pick<CheckpointState, 'firstSegment' | 'sequence' | 'nextQueueId' | 'nextPage'> | null = null;
  readonly #lists: Omit<CheckpointState, 'firstSegment' | 'sequence' | 'isClean' | 'nextQueueId' | 'nextPage'> = {
    vhosts: [],
    users: [],
    parameters: [],
    exchanges: [],
    queues: [],
    bindings: [],
    pages: [],
  };
  /** A queue whose state, which comes next, was not read yet. */
  #queue: QueueEntry | null = null;
  /** The levels of a queue of which more may come. */
  #levels: QueueLevel[] | null = null;
  #entries = 0;
  #isEnded = false;

  decode(buffer: Buffer, start: number, end: number): void {
    const reader = new ByteReader(buffer, start, end);
    while (reader.offset < end) {
      const at = reader.offset;
      const kind = reader.u8();
      this.#checkOrder(kind, at);
      if (!this.#decodeEntry(kind, reader)) throw new FormatError(`entry ${kind} is none of a checkpoint's`, at);
      this.#entries++;
    }
  }

  /** @param end of the file, to say where the rest is missing */
  finish(end: number): Omit<CheckpointState, 'isClean'> {
    if (this.#head === null || !this.#isEnded) throw new FormatError('the checkpoint is cut short', end);
    return { ...this.#head, ...this.#lists };
  }

  /** What makes a checkpoint readable at all: its head first, each queue's state right behind it, nothing behind the end. */
  #checkOrder(kind: number, at: number): void {
    if (this.#isEnded) throw new FormatError('something stands behind the end of the checkpoint', at);
    if ((kind === ENTRY_CHECKPOINT) !== (this.#entries === 0)) {
      throw new FormatError(`entry ${ENTRY_CHECKPOINT} has to be the first, and the only one of its kind`, at);
    }
    const isState = kind === ENTRY_QUEUE_STATE;
    if (isState ? this.#queue === null && this.#levels === null : this.#queue !== null) {
      throw new FormatError('a queue and its state have to stand side by side', at);
    }
    if (!isState) this.#levels = null;
  }

  /** Returns false when it is an entry that no checkpoint has. */
  #decodeEntry(kind: number, reader: ByteReader): boolean {
    const lists = this.#lists;
    switch (kind) {
      case ENTRY_CHECKPOINT:
        this.#head = {
          firstSegment: reader.varint(),
          sequence: reader.varint(),
          nextQueueId: reader.varint(),
          nextPage: reader.varint(),
        };
        return true;
      case ENTRY_VIRTUAL_HOST:
        lists.vhosts.push(reader.string());
        return true;
      case ENTRY_USER:
        lists.users.push(readUser(reader));
        return true;
      case ENTRY_PARAMETER:
        lists.parameters.push(readParameter(reader));
        return true;
      case ENTRY_EXCHANGE:
        lists.exchanges.push(readExchange(reader));
        return true;
      case ENTRY_QUEUE:
        this.#queue = readQueue(reader);
        return true;
      case ENTRY_QUEUE_STATE:
        this.#readQueueState(reader);
        return true;
      case ENTRY_BINDING:
        lists.bindings.push(readBinding(reader));
        return true;
      case ENTRY_PAGE:
        lists.pages.push(readPage(reader));
        return true;
      case ENTRY_CHECKPOINT_END:
        this.#readEnd(reader);
        return true;
      default:
        return false;
    }
  }

  /** The first one of a queue completes it; those that follow tell of its other levels. */
  #readQueueState(reader: ByteReader): void {
    const at = reader.offset;
    const queueId = reader.varint();
    const { queues } = this.#lists;
    const expected = this.#queue?.queueId ?? queues.at(-1)?.queueId;
    if (expected !== queueId) throw new FormatError(`the state of queue ${queueId} follows queue ${expected}`, at);
    const level = { nextPosition: reader.varint(), deliveredTo: reader.varint() };
    const count = reader.varint();
    const deliveryCounts: [number, number][] = [];
    for (let i = 0; i < count; i++) deliveryCounts.push([reader.varint(), reader.varint()]);
    if (this.#queue === null) {
      if (count > 0) throw new FormatError('delivery counts stand with the first state of a queue only', at);
      this.#levels?.push(level);
      return;
    }
    const levels = [level];
    const { vhost, name, autoDelete, arguments: args } = this.#queue;
    queues.push({ queueId, vhost, name, autoDelete, arguments: args, levels, deliveryCounts });
    this.#levels = levels;
    this.#queue = null;
  }

  #readEnd(reader: ByteReader): void {
    const at = reader.offset;
    const entries = reader.varint();
    if (entries !== this.#entries) {
      throw new FormatError(`the checkpoint has ${this.#entries} entries, and should have ${entries}`, at);
    }
    this.#isEnded = true;
  }
}

function readPage(reader: ByteReader): CheckpointPage {
  const number = reader.varint();
  const bytes = reader.varint();
  const count = reader.varint();
  const ranges: CheckpointRange[] = [];
  for (let i = 0; i < count; i++) {
    ranges.push({
      queueId: reader.varint(),
      level: reader.varint(),
      first: reader.varint(),
      last: reader.varint(),
      count: reader.varint(),
      firstDeadlineMs: reader.varint(),
      offset: reader.varint(),
      bytes: reader.varint(),
      dead: reader.positions(),
    });
  }
  return { number, bytes, ranges };
}
