// The codec: frames, methods, properties, field tables.
import {
  decodeFieldTable,
  encodedFieldTableSize,
  encodeFieldTable,
  type FieldTable,
  type FieldValue,
} from '../../../codec/field-table.ts';
import { FrameParser, type FrameSink } from '../../../codec/frame-parser.ts';
import { encodeMethodFrame, FRAME_OVERHEAD } from '../../../codec/frame-writer.ts';
import * as methods from '../../../codec/generated/methods.ts';
import {
  type BasicProperties,
  decodeProperties,
  encodeProperties,
  peekDeliveryMode,
  peekExpiration,
  validateProperties,
} from '../../../codec/properties.ts';
import { FRAME_MAX, publishBytes } from '../client.ts';
import type { Benchmark } from './suite.ts';

/** What one read of a socket brings. */
const CHUNK_BYTES = 65_536;
const REPEATS = 1000;

/** Counts what a parser finds. */
class CountingSink implements FrameSink {
  bodies = 0;
  sum = 0;

  onMethod(_channel: number, buffer: Buffer, start: number, end: number): void {
    this.sum += end - start + buffer[start + 3];
  }

  onHeader(_channel: number, _buffer: Buffer, start: number, end: number): void {
    this.sum += end - start;
  }

  onBody(_channel: number, _buffer: Buffer, start: number, end: number, last: boolean): void {
    this.sum += end - start;
    if (last) this.bodies++;
  }

  onHeartbeat(): void {
    throw new Error('a heartbeat');
  }

  onRefusedFrame(error: Error): void {
    throw error;
  }
}

/** Parses a stream of publishes, in chunks of one size. */
function parsing(name: string, bodySize: number, chunkBytes: number): Benchmark {
  const publish = publishBytes('exchange', 'routing.key', bodySize);
  const operations = Math.ceil((4 * CHUNK_BYTES) / publish.length);
  return {
    name,
    operations,
    prepare: () => {
      const stream = Buffer.concat(Array.from({ length: operations }, () => publish));
      const chunks: Buffer[] = [];
      for (let at = 0; at < stream.length; at += chunkBytes) chunks.push(stream.subarray(at, at + chunkBytes));
      const frames = operations * Math.ceil(bodySize / (FRAME_MAX - FRAME_OVERHEAD));
      const sink = new CountingSink();
      const parser = new FrameParser(sink, FRAME_MAX);
      return () => {
        const before = sink.bodies;
        for (const chunk of chunks) parser.push(chunk);
        if (sink.bodies !== before + frames) throw new Error(`${sink.bodies - before} of ${frames} body frames`);
        return sink.sum;
      };
    },
  };
}

/** The same thing again and again. */
function repeated(name: string, prepare: () => () => number): Benchmark {
  const prepareAll = (): (() => number) => {
    const once = prepare();
    return () => {
      let sum = 0;
      for (let i = 0; i < REPEATS; i++) sum += once();
      return sum;
    };
  };
  return { name, operations: REPEATS, prepare: prepareAll };
}

const SMALL_TABLE: FieldTable = new Map<string, FieldValue>([
  ['x-tenant', { type: 'S', value: 'acme' }],
  ['x-attempt', { type: 'I', value: 3 }],
  ['x-debug', { type: 't', value: false }],
]);

/** Fifty fields, of several types, with tables and an array within. */
function largeTable(): FieldTable {
  const fields: [string, FieldValue][] = [];
  for (let i = 0; i < 10; i++) {
    fields.push(
      [`text-${i}`, { type: 'S', value: `a longer value of a header, number ${i}` }],
      [`count-${i}`, { type: 'l', value: i * 1_000_000_007 }],
      [`time-${i}`, { type: 'T', value: 1_700_000_000 + i }],
      [`table-${i}`, { type: 'F', value: SMALL_TABLE }],
      [
        `list-${i}`,
        {
          type: 'A',
          value: [
            { type: 'I', value: i },
            { type: 'S', value: 'x' },
          ],
        },
      ],
    );
  }
  return new Map(fields);
}

function tables(name: string, table: FieldTable): Benchmark[] {
  const size = encodedFieldTableSize(table);
  return [
    repeated(`field table, ${name} (${size} B): encode`, () => {
      const buffer = Buffer.alloc(size);
      return () => encodeFieldTable(table, buffer, 0) + buffer[size - 1];
    }),
    repeated(`field table, ${name} (${size} B): decode`, () => {
      const buffer = Buffer.alloc(size);
      encodeFieldTable(table, buffer, 0);
      return () => decodeFieldTable(buffer, 0, size).size;
    }),
  ];
}

const PROPERTIES: BasicProperties = {
  contentType: 'application/json',
  headers: SMALL_TABLE,
  deliveryMode: 2,
  correlationId: '0b8c1f1e-6d3c-4f7c-9a53-2f4b6c1a9c11',
  expiration: '60000',
  messageId: '4d5d3f5a-52a3-4a1b-8f5d-8d0d8f4f7d2a',
  timestamp: 1_700_000_000,
};

/** A function of encoded properties. */
function ofProperties(name: string, read: (buffer: Buffer, start: number, end: number) => number): Benchmark {
  return repeated(name, () => {
    const buffer = encodeProperties(PROPERTIES);
    return () => read(buffer, 0, buffer.length);
  });
}

function ofMethod(name: string, method: methods.Method): Benchmark[] {
  const frame = encodeMethodFrame(1, method);
  return [
    repeated(`${name}: encode the frame`, () => () => {
      const encoded = encodeMethodFrame(1, method);
      return encoded.length + encoded[encoded.length - 2];
    }),
    repeated(`${name}: decode`, () => () => methods.decodeMethod(frame, 7, frame.length - 1).id),
  ];
}

export function codecBenchmarks(): Benchmark[] {
  const flags = { passive: false, durable: true, exclusive: false, autoDelete: false, noWait: false };
  const declare = { id: methods.QUEUE_DECLARE, queue: 'a-queue', ...flags, arguments: SMALL_TABLE } as const;
  const route = { exchange: 'exchange', routingKey: 'routing.key' };
  return [
    parsing('frame parser, 12 B publishes, chunks of 64 KiB', 12, CHUNK_BYTES),
    parsing('frame parser, 12 B publishes, chunks of 1460 B', 12, 1460),
    parsing('frame parser, 12 B publishes, chunks of 7 B', 12, 7),
    parsing('frame parser, 1 KB publishes, chunks of 64 KiB', 1000, CHUNK_BYTES),
    parsing('frame parser, 1 MB publishes, chunks of 64 KiB', 1_000_000, CHUNK_BYTES),
    ofProperties('properties, 7 of them: validate', (buffer, start, end) => {
      validateProperties(buffer, start, end);
      return buffer[start];
    }),
    ofProperties('properties, 7 of them: peek delivery mode', peekDeliveryMode),
    ofProperties('properties, 7 of them: peek expiration', (...range) => peekExpiration(...range)?.length ?? 0),
    ofProperties('properties, 7 of them: decode', (...range) => decodeProperties(...range).messageId?.length ?? 0),
    repeated('properties, 7 of them: encode', () => () => encodeProperties(PROPERTIES).length),
    ...tables('3 fields', SMALL_TABLE),
    ...tables('50 fields', largeTable()),
    ...ofMethod('basic.publish', { id: methods.BASIC_PUBLISH, ...route, mandatory: false, immediate: false }),
    ...ofMethod('basic.ack', { id: methods.BASIC_ACK, deliveryTag: 123_456, multiple: true }),
    ...ofMethod('queue.declare', declare),
  ];
}
