// Short ways to make what the storage formats hold, and a disk of files that are only read.
import fc from 'fast-check';
import t from 'tap';
import { Message } from '../../lib/core/message.ts';
import { FormatError } from '../../lib/storage/byte-reader.ts';
import type { FileSystem, OpenFile } from '../../lib/storage/file-system.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { encodeRecordHeader, putRecordCrc, RECORD_HEADER_BYTES } from '../../lib/storage/records.ts';
import { anyString } from '../codec/arbitraries.ts';
import { routeOf } from '../core/helper.ts';

/** The FormatError that `run` throws; fails the test when it throws nothing or something else. */
export function formatError(run: () => unknown): FormatError {
  try {
    run();
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
  t.fail('expected a FormatError');
  throw new Error('expected a FormatError');
}

/** Values of a varint, the ends of each length among them. */
export const safeInteger: fc.Arbitrary<number> = fc.oneof(
  fc.nat({ max: 300 }),
  fc.maxSafeNat(),
  fc.constantFrom(...[7, 14, 21, 28, 31, 32, 35, 42, 49, 53].flatMap((bits) => [2 ** bits - 1, 2 ** (bits - 1)])),
);

export type Interval = readonly [first: number, last: number];

/** Intervals that do not touch, in rising order. */
export const intervals: fc.Arbitrary<Interval[]> = fc
  .tuple(fc.nat({ max: 3 }), fc.array(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 300 })), { maxLength: 8 }))
  .map(([start, pairs]) => {
    let next = start;
    return pairs.map(([gap, length]): Interval => {
      const first = next + gap;
      next = first + length + 2;
      return [first, first + length];
    });
  });

export const positionSet: fc.Arbitrary<PositionSet> = intervals.map((list) => PositionSet.of(list));

export function intervalsOf(set: PositionSet): Interval[] {
  const list: Interval[] = [];
  set.forEachInterval((first, last) => list.push([first, last]));
  return list;
}

/** What a message says, as plain values. */
export interface MessageContent {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: string;
  readonly body: string;
  readonly expiresAtMs: number;
  readonly transient: boolean;
}

/** A decoded message, from what visitor and sink are told. */
export function contentAt(
  buffer: Buffer,
  routeStart: number,
  routeEnd: number,
  propertiesStart: number,
  propertiesEnd: number,
  bodyStart: number,
  bodySize: number,
  expiresAtMs: number,
  transient: boolean,
): MessageContent {
  const exchangeEnd = routeStart + 1 + buffer[routeStart];
  return {
    exchange: buffer.toString('hex', routeStart + 1, exchangeEnd),
    routingKey: buffer.toString('hex', exchangeEnd + 1, routeEnd),
    properties: buffer.toString('hex', propertiesStart, propertiesEnd),
    body: buffer.toString('hex', bodyStart, bodyStart + bodySize),
    expiresAtMs,
    transient,
  };
}

export function contentOf(message: Message): MessageContent {
  const { route, propertiesBuffer, propertiesStart, propertiesEnd, bodyBuffer, bodyStart, bodySize } = message;
  const exchangeEnd = 1 + route.bytes[0];
  return {
    exchange: route.bytes.toString('hex', 1, exchangeEnd),
    routingKey: route.bytes.toString('hex', exchangeEnd + 1),
    properties: propertiesBuffer.toString('hex', propertiesStart, propertiesEnd),
    body:
      message.pieces === null
        ? bodyBuffer.toString('hex', bodyStart, bodyStart + bodySize)
        : Buffer.concat(message.pieces).toString('hex'),
    expiresAtMs: message.expiresAtMs,
    transient: !message.persistent,
  };
}

/** A message with these bytes; its properties and its body stand in one chunk, with other bytes around them. */
export function messageFrom(exchange: string, routingKey: string, properties: Buffer, body: Buffer): Message {
  const chunk = Buffer.concat([Buffer.alloc(3, 0x7e), properties, body, Buffer.alloc(3, 0x7e)]);
  const bodyStart = 3 + properties.length;
  return new Message(routeOf(exchange, routingKey), chunk, 3, bodyStart, chunk, bodyStart, body.length, null);
}

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
/** Few, so that successive messages often share theirs. */
const names = fc.oneof(fc.constantFrom('', 'x', 'key'), anyString);

/** Any message: in one chunk, in two, or with its body in pieces. */
export const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    exchange: names,
    routingKey: names,
    properties: bytes(100),
    body: fc.oneof(bytes(20), bytes(300)),
    layout: fc.constantFrom('one', 'two', 'pieces'),
    persistent: fc.boolean(),
    expiresAtMs: fc.oneof(fc.constant(0), safeInteger),
  })
  .map(({ exchange, routingKey, properties, body, layout, persistent, expiresAtMs }) => {
    let message = messageFrom(exchange, routingKey, properties, body);
    if (layout !== 'one') {
      const cut = body.length >> 1;
      const pieces = layout === 'two' ? null : [body.subarray(0, cut), body.subarray(cut)];
      const bodyBuffer = layout === 'two' ? Buffer.concat([Buffer.alloc(5), body]) : Buffer.alloc(0);
      const { route } = message;
      message = new Message(route, properties, 0, properties.length, bodyBuffer, 5, body.length, pieces);
    }
    message.persistent = persistent;
    message.expiresAtMs = expiresAtMs;
    return message;
  });

/** A whole record. */
export function recordOf(sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  encodeRecordHeader(header, 0, payload.length, sequence);
  putRecordCrc(header, 0, [payload]);
  return Buffer.concat([header, payload]);
}

/** Files by path, to be read; nothing else works. */
export class ReadOnlyFiles implements FileSystem {
  readonly files: Map<string, Buffer>;
  /** How many are open. */
  openFiles = 0;
  /** The most that was read in one call. */
  largestRead = 0;

  constructor(files: Iterable<readonly [path: string, bytes: Buffer]>) {
    this.files = new Map(files);
  }

  async open(path: string, mode: 'create' | 'update' | 'read'): Promise<OpenFile> {
    const bytes = this.files.get(path);
    if (mode !== 'read') throw new Error(`${path} is opened to ${mode}`);
    if (bytes === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    this.openFiles++;
    const unsupported = async (): Promise<never> => {
      throw new Error('this disk is only read');
    };
    return {
      read: async (buffer, offset, length, position) => {
        this.largestRead = Math.max(this.largestRead, length);
        return bytes.copy(buffer, offset, position, Math.min(bytes.length, position + length));
      },
      size: async () => bytes.length,
      close: async () => {
        this.openFiles--;
      },
      write: unsupported,
      dataSync: unsupported,
      truncate: unsupported,
    };
  }

  async list(directory: string): Promise<string[]> {
    const prefix = `${directory}/`;
    const names = [...this.files.keys()].filter((path) => path.startsWith(prefix));
    return [...new Set(names.map((path) => path.slice(prefix.length).split('/')[0]))].sort();
  }

  async rename(): Promise<never> {
    throw new Error('this disk is only read');
  }

  remove(): Promise<never> {
    return this.rename();
  }

  makeDirectory(): Promise<never> {
    return this.rename();
  }

  syncDirectory(): Promise<never> {
    return this.rename();
  }

  freeBytes(): Promise<never> {
    return this.rename();
  }

  lock(): Promise<never> {
    return this.rename();
  }
}
