// Shows what stands in a data folder, one line of JSON for each entry: the checkpoint, the log in its order, pages on demand.
import type { StoredParameter } from '../core/message-store.ts';
import { FormatError } from './byte-reader.ts';
import type { CheckpointState } from './checkpoint-format.ts';
import { decodeEntries, type EntryVisitor } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import {
  CHECKPOINT,
  type FolderContents,
  pageName,
  RESTORE,
  type Report,
  segmentName,
  transientPageName,
  unlessMissing,
} from './inspect.ts';
import {
  bindingJson,
  exchangeJson,
  messageJson,
  parameterJson,
  queueJson,
  queueStatesJson,
  rangeJson,
  userJson,
} from './inspect-json.ts';
import { InspectedPage } from './inspect-page.ts';
import { decodeBlock } from './page-block.ts';
import type { PageRun } from './page-index.ts';
import { readSegment } from './segment-reader.ts';
import type { BindingEntry, ExchangeEntry, QueueEntry, UserEntry } from './topology-entries.ts';

/** So much of a body is shown, unless all of it is wanted. */
const BODY_BYTES = 256;

export interface DumpOptions {
  /** Show the messages in pages, too. */
  readonly pages: boolean;
  /** Show bodies to their end. */
  readonly full: boolean;
}

/** Lines go to the report; what can't be read is reported as a problem, and what stands behind it in that file is not shown. */
export async function dumpFolder(
  fs: FileSystem,
  directory: string,
  contents: FolderContents,
  { pages, full }: DumpOptions,
  report: Report,
): Promise<void> {
  const bodyBytes = full ? Number.POSITIVE_INFINITY : BODY_BYTES;
  const { checkpoint, checkpointError } = contents;
  if (checkpointError !== null) {
    await report.problem(CHECKPOINT, checkpointError.offset, checkpointError.reason, RESTORE);
  }
  if (checkpoint !== null) {
    for (const entry of checkpointEntries(checkpoint)) await report.line(jsonLine(CHECKPOINT, entry));
  }
  const log = new LogDump(fs, directory, bodyBytes, report);
  for (const number of contents.segments) await log.segment(number);
  if (!pages) return;
  for (const number of contents.pages) await dumpPage(fs, directory, pageName(number), number, bodyBytes, report);
  for (const number of contents.transientPages) {
    await dumpPage(fs, directory, transientPageName(number), number, bodyBytes, report);
  }
}

function jsonLine(file: string, entry: object): string {
  return JSON.stringify({ file, ...entry });
}

function* checkpointEntries(checkpoint: CheckpointState): Generator<object> {
  const { firstSegment, sequence, nextQueueId, nextPage } = checkpoint;
  yield { entry: 'checkpoint', firstSegment, sequence, nextQueueId, nextPage };
  for (const name of checkpoint.vhosts) yield { entry: 'virtualHost', name };
  for (const user of checkpoint.users) yield userJson(user);
  for (const parameter of checkpoint.parameters) yield parameterJson(parameter);
  for (const exchange of checkpoint.exchanges) yield exchangeJson(exchange);
  for (const queue of checkpoint.queues) {
    yield queueJson(queue);
    yield* queueStatesJson(queue);
  }
  for (const binding of checkpoint.bindings) yield bindingJson(binding);
  for (const { number, bytes, ranges } of checkpoint.pages) {
    yield { entry: 'page', page: number, bytes, ranges: ranges.length };
    for (const range of ranges) yield rangeJson(number, range);
  }
}

/** Reads segment after segment into one buffer. */
class LogDump {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #bodyBytes: number;
  readonly #report: Report;
  #buffer: Buffer | undefined;

  constructor(fs: FileSystem, directory: string, bodyBytes: number, report: Report) {
    this.#fs = fs;
    this.#directory = directory;
    this.#bodyBytes = bodyBytes;
    this.#report = report;
  }

  async segment(number: number): Promise<void> {
    const name = segmentName(number);
    try {
      const segment = await unlessMissing(readSegment(this.#fs, `${this.#directory}/${name}`, this.#buffer));
      // A running broker may have removed it since the folder was listed.
      if (segment === null) return;
      this.#buffer = segment.buffer;
      for (const { start, end, sequence } of segment.records) {
        const lines = new EntryLines(segment.buffer, this.#bodyBytes, { file: name, record: sequence });
        decodeEntries(segment.buffer, start, end, lines);
        // One by one, so that a slow reader of the output is waited for.
        for (const line of lines.lines) await this.#report.line(line);
      }
      if (segment.problem === null) return;
      await this.#report.warning(name, segment.problem.offset, `${segment.problem.reason}; what follows is not shown`);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      await this.#report.problem(name, error.offset, error.reason, RESTORE);
    }
  }
}

/** The entries of one record as lines. */
class EntryLines implements EntryVisitor {
  readonly wantsMessages = true;
  readonly lines: string[] = [];
  readonly #buffer: Buffer;
  readonly #bodyBytes: number;
  readonly #place: object;

  constructor(buffer: Buffer, bodyBytes: number, place: object) {
    this.#buffer = buffer;
    this.#bodyBytes = bodyBytes;
    this.#place = place;
  }

  message(...args: Parameters<EntryVisitor['message']>): void {
    const [queueId, position, routeStart, routeEnd, start, end, bodyStart, bodySize, expiresAtMs, shared] = args;
    const place = [queueId, position, routeStart, routeEnd, start, end, bodyStart, bodySize, expiresAtMs] as const;
    const message = messageJson(this.#buffer, this.#bodyBytes, ...place);
    this.#add(shared ? { ...message, shared } : message);
  }

  acknowledged(queue: number, first: number, last: number): void {
    this.#add({ entry: 'acknowledged', queue, first, last });
  }

  delivered(queue: number, position: number): void {
    this.#add({ entry: 'delivered', queue, position });
  }

  returned(queue: number, position: number, deliveryCount: number): void {
    this.#add({ entry: 'returned', queue, position, deliveryCount });
  }

  virtualHost(name: string): void {
    this.#add({ entry: 'virtualHost', name });
  }

  virtualHostDeleted(name: string): void {
    this.#add({ entry: 'virtualHostDeleted', name });
  }

  user(user: UserEntry): void {
    this.#add(userJson(user));
  }

  userDeleted(name: string): void {
    this.#add({ entry: 'userDeleted', name });
  }

  parameter(parameter: StoredParameter): void {
    this.#add(parameterJson(parameter));
  }

  parameterDeleted(vhost: string, component: string, name: string): void {
    this.#add({ entry: 'parameterDeleted', vhost, component, name });
  }

  exchange(exchange: ExchangeEntry): void {
    this.#add(exchangeJson(exchange));
  }

  exchangeDeleted(vhost: string, name: string): void {
    this.#add({ entry: 'exchangeDeleted', vhost, name });
  }

  queue(queue: QueueEntry): void {
    this.#add(queueJson(queue));
  }

  queueDeleted(queue: number): void {
    this.#add({ entry: 'queueDeleted', queue });
  }

  binding(binding: BindingEntry): void {
    this.#add(bindingJson(binding));
  }

  bindingDeleted(binding: BindingEntry): void {
    this.#add({ ...bindingJson(binding), entry: 'bindingDeleted' });
  }

  #add(entry: object): void {
    this.lines.push(JSON.stringify({ ...this.#place, ...entry }));
  }
}

async function dumpPage(
  fs: FileSystem,
  directory: string,
  name: string,
  number: number,
  bodyBytes: number,
  report: Report,
): Promise<void> {
  try {
    const page = await unlessMissing(InspectedPage.open(fs, `${directory}/${name}`, number));
    if (page === null) return;
    try {
      for (const run of page.runs) await dumpRun(name, page, run, bodyBytes, report);
    } finally {
      await page.close();
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    await report.problem(name, error.offset, error.reason, RESTORE);
  }
}

async function dumpRun(
  name: string,
  page: InspectedPage,
  run: PageRun,
  bodyBytes: number,
  report: Report,
): Promise<void> {
  try {
    await page.eachBlock(run, async (buffer, at, { queueId }) => {
      const lines: string[] = [];
      decodeBlock(buffer, at, {
        message: (position, routeStart, routeEnd, start, end, bodyStart, bodySize, expiresAtMs, transient) => {
          const place = [
            queueId,
            position,
            routeStart,
            routeEnd,
            start,
            end,
            bodyStart,
            bodySize,
            expiresAtMs,
          ] as const;
          const message = messageJson(buffer, bodyBytes, ...place);
          lines.push(jsonLine(name, transient ? { ...message, transient } : message));
        },
      });
      for (const line of lines) await report.line(line);
    });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    await report.problem(name, error.offset, error.reason, RESTORE);
  }
}
