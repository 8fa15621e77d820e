// What the disk costs the processor: sets of positions, blocks of pages, records of the log.
import { Message } from '../../../lib/core/message.ts';
import { Route } from '../../../lib/core/route.ts';
import { BlockBuilder, decodeBlock } from '../../../lib/storage/page-block.ts';
import { PositionSet } from '../../../lib/storage/position-set.ts';
import { encodeRecordHeader, putRecordCrc, RECORD_HEADER_BYTES, scanRecords } from '../../../lib/storage/records.ts';
import type { Benchmark } from './suite.ts';

const MESSAGES = 10_000;
const BODY_BYTES = 100;
const RECORD_BYTES = 1000;

/** `add` is called with a new set each time, and adds so many positions. */
function adding(name: string, operations: number, add: (set: PositionSet) => void): Benchmark {
  const body = (): number => {
    const set = new PositionSet();
    add(set);
    return set.size;
  };
  return { name: `position set, ${name}`, operations, prepare: () => body };
}

function positionSets(): Benchmark[] {
  const some = 20_000;
  const many = 200_000;
  return [
    adding('in order', many, (set) => {
      for (let i = 0; i < many; i++) set.add(i);
    }),
    adding('every second, and then the others from the back', some, (set) => {
      for (let i = 0; i < some; i += 2) set.add(i);
      for (let i = some - 1; i > 0; i -= 2) set.add(i);
    }),
    adding('far apart, falling', many, (set) => {
      for (let i = many; i > 0; i--) set.add(1000 * i);
    }),
    adding('in any order', some, (set) => {
      // Prime to the count, so each comes once.
      for (let i = 0, at = 0; i < some; i++, at = (at + 7919) % some) set.add(at);
    }),
    {
      name: 'position set, gaps filled from the front',
      operations: many,
      prepare: () => {
        const sparse = PositionSet.of(Array.from({ length: many }, (_, i) => [1000 * i + 1, 1000 * i + 999] as const));
        return () => {
          const set = sparse.clone();
          for (let i = 0; i < many; i++) set.add(1000 * i);
          return set.intervalCount;
        };
      },
    },
  ];
}

/** Messages of one route, as the default exchange brings them. */
function blockOf(builder: BlockBuilder): Buffer {
  const properties = Buffer.from([0x10, 0x00, 0x02]);
  const bytes = Buffer.concat([properties, Buffer.alloc(BODY_BYTES, 'x')]);
  const route = new Route(Buffer.from('\0\x01q'), 0);
  const message = new Message(route, bytes, 0, properties.length, bytes, properties.length, BODY_BYTES, null);
  builder.begin(1);
  for (let i = 0; i < MESSAGES; i++) builder.add(message, i);
  return builder.finish();
}

function blocks(): Benchmark[] {
  return [
    {
      name: `block of a page, ${BODY_BYTES} B messages: write`,
      operations: MESSAGES,
      prepare: () => {
        const builder = new BlockBuilder();
        return () => blockOf(builder).length;
      },
    },
    {
      name: `block of a page, ${BODY_BYTES} B messages: read`,
      operations: MESSAGES,
      prepare: () => {
        const block = blockOf(new BlockBuilder());
        let sum = 0;
        const sink = { message: (position: number) => (sum += position) };
        return () => {
          sum = 0;
          decodeBlock(block, 0, sink);
          return sum;
        };
      },
    },
  ];
}

function recordScan(): Benchmark {
  return {
    name: `segment of the log, ${RECORD_BYTES} B records: scan`,
    operations: MESSAGES,
    prepare: () => {
      const size = RECORD_HEADER_BYTES + RECORD_BYTES;
      const segment = Buffer.alloc(MESSAGES * size, 'x');
      for (let i = 0; i < MESSAGES; i++) {
        const payload = segment.subarray(i * size + RECORD_HEADER_BYTES, (i + 1) * size);
        encodeRecordHeader(segment, i * size, RECORD_BYTES, i + 1);
        putRecordCrc(segment, i * size, [payload]);
      }
      return () => {
        const { records, problem } = scanRecords(segment, 0, segment.length, 1);
        if (problem !== null) throw new Error(problem.reason);
        return records.length;
      };
    },
  };
}

export function storageBenchmarks(): Benchmark[] {
  return [...positionSets(), ...blocks(), recordScan()];
}
