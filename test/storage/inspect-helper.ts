// A small data folder in memory, sound or spoilt, and what `leveret log` says of it.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { emptyFieldTable } from '../../codec/field-table.ts';
import { encodeProperties } from '../../codec/properties.ts';
import type { Message } from '../../lib/core/message.ts';
import { LEVEL_SPAN, levelOf } from '../../lib/core/positions.ts';
import { type CheckpointState, encodeCheckpoint } from '../../lib/storage/checkpoint-format.ts';
import { writeAcknowledged } from '../../lib/storage/entries.ts';
import { encodeFileHeader } from '../../lib/storage/file-header.ts';
import type { FileSystem } from '../../lib/storage/file-system.ts';
import { runLogCommand } from '../../lib/storage/inspect-command.ts';
import { BlockBuilder } from '../../lib/storage/page-block.ts';
import { encodePageFooter, encodePageIndex, type PageRun } from '../../lib/storage/page-index.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import { writeVirtualHost } from '../../lib/storage/topology-entries.ts';
import { writeMessages, written } from './entries-helper.ts';
import { messageFrom, ReadOnlyFiles, recordOf } from './format-helper.ts';

export const FOLDER = '/data';

export type Files = Map<string, Buffer>;

export function segment(number: number, firstSequence: number, payloads: readonly Buffer[], isLazy = false): Buffer {
  const records = payloads.map((payload, i) => recordOf(firstSequence + i, payload));
  return Buffer.concat([encodeFileHeader('log', number, isLazy), ...records]);
}

const noProperties = encodeProperties({});

export function message(body: string | Buffer, isPersistent = true): Message {
  const made = messageFrom('logs', 'key', noProperties, Buffer.from(body));
  made.persistent = isPersistent;
  return made;
}

export function messages(queueId: number, position: number, bodies: readonly string[]): Buffer {
  return written((writer) =>
    writeMessages(
      writer,
      queueId,
      position,
      bodies.map((body) => message(body)),
    ),
  );
}

export interface RunSpec {
  readonly queueId: number;
  readonly blocks: readonly (readonly (readonly [position: number, message: Message])[])[];
}

/** A page and what its index tells of it. */
export interface TestPage {
  readonly bytes: Buffer;
  readonly runs: readonly PageRun[];
}

/** @param change spoils what the index says */
export function pageOf(
  number: number,
  specs: readonly RunSpec[],
  change: (run: PageRun) => PageRun = (run) => run,
): TestPage {
  const builder = new BlockBuilder();
  const pieces = [encodeFileHeader('page', number)];
  const size = () => pieces.reduce((sum, { length }) => sum + length, 0);
  const runs = specs.map(({ queueId, blocks }): PageRun => {
    const offset = size();
    for (const block of blocks) {
      builder.begin(queueId);
      for (const [position, each] of block) builder.add(each, position);
      pieces.push(Buffer.from(builder.finish()));
    }
    const placed = blocks.flat();
    const positions = placed.map(([position]) => position);
    const first = positions[0];
    const last = positions[positions.length - 1];
    const gaps = new PositionSet();
    for (let i = first; i < last; i++) if (!positions.includes(i)) gaps.add(i);
    const transient = PositionSet.of(placed.flatMap(([at, each]) => (each.persistent ? [] : [[at, at] as const])));
    return {
      queueId,
      level: levelOf(first),
      first,
      last,
      count: positions.length,
      firstDeadlineMs: 0,
      offset,
      bytes: size() - offset,
      gaps: gaps.isEmpty ? null : gaps,
      transient: transient.isEmpty ? null : transient,
    };
  });
  const index = encodePageIndex(runs.map(change));
  return { bytes: Buffer.concat([...pieces, index, encodePageFooter(size(), index, number)]), runs };
}

export const PAGE_RUNS: readonly RunSpec[] = [
  {
    queueId: 1,
    blocks: [
      [
        [0, message('zero')],
        [1, message('one', false)],
      ],
      [[4, message('four')]],
    ],
  },
  { queueId: 2, blocks: [[[7, message('seven')]]] },
];
export const PAGE = pageOf(5, PAGE_RUNS);

const QUEUE = { vhost: '/', autoDelete: false, arguments: emptyFieldTable, deliveryCounts: [] };
export const CHECKPOINT: CheckpointState = {
  firstSegment: 2,
  isClean: false,
  sequence: 11,
  nextQueueId: 3,
  nextPage: 6,
  vhosts: ['/'],
  users: [{ name: 'guest', json: Buffer.from('{"passwordHash":"c2VjcmV0","tags":["administrator"]}') }],
  parameters: [{ virtualHost: '/', component: 'policy', name: 'p', json: Buffer.from('{"pattern":".*"}') }],
  exchanges: [
    { vhost: '/', name: 'logs', type: 'topic', autoDelete: false, internal: false, arguments: emptyFieldTable },
  ],
  queues: [
    { ...QUEUE, queueId: 1, name: 'one', levels: [{ nextPosition: 20, deliveredTo: 3 }] },
    {
      ...QUEUE,
      queueId: 2,
      name: 'two',
      levels: [
        { nextPosition: 8, deliveredTo: 0 },
        { nextPosition: LEVEL_SPAN + 2, deliveredTo: LEVEL_SPAN + 1 },
      ],
      deliveryCounts: [[7, 2]],
    },
  ],
  bindings: [
    {
      vhost: '/',
      source: 'logs',
      destinationKind: 'queue',
      destination: 'one',
      bindingKey: '#',
      arguments: emptyFieldTable,
    },
  ],
  pages: [
    {
      number: 5,
      bytes: PAGE.bytes.length,
      // Positions 1 to 3 of the first queue are a transient message and a gap.
      ranges: PAGE.runs.map(({ queueId, level, first, last, count, firstDeadlineMs, offset, bytes }) => ({
        queueId,
        level,
        first,
        last,
        count,
        firstDeadlineMs,
        offset,
        bytes,
        dead: queueId === 1 ? PositionSet.of([[1, 3]]) : new PositionSet(),
      })),
    },
  ],
};

/** The checkpoint of the folder, with this changed. */
export function checkpoint(change: Partial<CheckpointState> = {}): Buffer {
  return Buffer.concat(encodeCheckpoint({ ...CHECKPOINT, ...change }));
}

/** A sound folder, with these files put in or, when null, left out. */
export function folder(changes: Readonly<Record<string, Buffer | null>> = {}): Files {
  const files: Files = new Map([
    ['lock', Buffer.alloc(0)],
    ['checkpoint', checkpoint()],
    ['log/0000000002.log', segment(2, 10, [messages(1, 8, ['a', 'b']), messages(1, 10, ['c'])])],
    [
      'log/0000000003.log',
      segment(3, 12, [
        written((writer) => writeAcknowledged(writer, 1, PositionSet.of([[8, 9]]))),
        Buffer.concat([messages(1, 11, ['d']), written((writer) => writeVirtualHost(writer, 'new'))]),
      ]),
    ],
    ['pages/0000000005.page', PAGE.bytes],
  ]);
  for (const [name, bytes] of Object.entries(changes)) {
    if (bytes === null) files.delete(name);
    else files.set(name, bytes);
  }
  return new Map([...files].map(([name, bytes]) => [`${FOLDER}/${name}`, bytes]));
}

export interface Outcome {
  readonly code: number;
  readonly out: string[];
  readonly errors: string[];
}

export async function run(argv: readonly string[], fs: FileSystem): Promise<Outcome> {
  const streams = [new PassThrough(), new PassThrough()];
  const texts = streams.map((stream) => text(stream));
  const code = await runLogCommand(argv, streams[0], streams[1], fs);
  for (const stream of streams) stream.end();
  const [out, errors] = (await Promise.all(texts)).map((each) => each.split('\n').slice(0, -1));
  return { code, out, errors };
}

export async function verify(files: Files): Promise<Outcome> {
  const fs = new ReadOnlyFiles(files);
  const outcome = await run(['verify', FOLDER], fs);
  assert.equal(fs.openFiles, 0, 'all files are closed');
  assert.deepEqual(outcome.errors, []);
  return outcome;
}

export async function dump(
  files: Files,
  ...options: string[]
): Promise<Outcome & { readonly lines: Record<string, unknown>[] }> {
  const fs = new ReadOnlyFiles(files);
  const outcome = await run(['dump', ...options, FOLDER], fs);
  assert.equal(fs.openFiles, 0, 'all files are closed');
  return { ...outcome, lines: outcome.out.map((line) => JSON.parse(line)) };
}

/** A copy with one bit changed. */
export function flipped(bytes: Buffer | undefined, at: number): Buffer {
  const copy = Buffer.from(bytes ?? '');
  copy[at < 0 ? copy.length + at : at] ^= 1;
  return copy;
}
