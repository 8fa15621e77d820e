// Checks one page: that its blocks are sound, are what its index says, and hold what the checkpoint tells of them.
import { levelOf } from '../core/positions.ts';
import { FormatError } from './byte-reader.ts';
import type { CheckpointPage, CheckpointRange } from './checkpoint-format.ts';
import { RESTORE, type Report } from './inspect.ts';
import type { InspectedPage } from './inspect-page.ts';
import { decodeBlock } from './page-block.ts';
import type { BlockHeader } from './page-format.ts';
import type { PageRun } from './page-index.ts';
import { earlierDeadline } from './page-writer.ts';
import type { PositionSet } from './position-set.ts';

/** @param expected what the checkpoint tells of the page */
export async function checkPage(
  name: string,
  page: InspectedPage,
  expected: CheckpointPage,
  report: Report,
): Promise<void> {
  if (page.size !== expected.bytes) {
    const what = `${page.size} bytes, but the checkpoint tells of ${expected.bytes}`;
    await report.problem(name, -1, what, RESTORE);
  }
  if (page.transient) await report.problem(name, 10, 'a page of transient messages', RESTORE);
  let messages = 0;
  const runsOf = new Map<number, PageRun[]>();
  for (const run of page.runs) {
    messages += await checkRun(name, page, run, report);
    const runs = runsOf.get(run.queueId);
    if (runs === undefined) runsOf.set(run.queueId, [run]);
    else runs.push(run);
  }
  let alive = 0;
  for (const range of expected.ranges) {
    alive += range.last - range.first + 1 - range.dead.size;
    const what = rangeProblem(range, runsOf.get(range.queueId) ?? []);
    if (what === null) continue;
    const place = `queue ${range.queueId}, positions ${range.first} to ${range.last}`;
    await report.problem(name, range.offset, `${place}: ${what}`, RESTORE);
  }
  await report.line(
    `${name}: ${page.size} bytes, ${messages} messages of ${runsOf.size} queues, ${alive} of them alive`,
  );
}

/** Returns how many sound messages the run has. */
async function checkRun(name: string, page: InspectedPage, run: PageRun, report: Report): Promise<number> {
  const check = new RunCheck(run);
  try {
    await page.eachBlock(run, (buffer, at, header) => check.block(buffer, at, header));
    check.end();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const rest = `queue ${run.queueId}, positions ${check.next} to ${run.last}`;
    await report.problem(name, error.offset, `${rest}: ${error.reason}`, RESTORE);
  }
  return check.messages;
}

/** What is wrong with what the checkpoint tells of a range; null when the page holds it. */
function rangeProblem(range: CheckpointRange, runs: readonly PageRun[]): string | null {
  const { level, first, last, count, firstDeadlineMs, offset, bytes, dead } = range;
  if (levelOf(first) !== level || levelOf(last) !== level) return `not all positions are of level ${level}`;
  if (last - first + 1 - dead.size > count) return `more than ${count} messages are alive in the checkpoint`;
  const run = runs.find(
    (each) =>
      each.first <= first && each.last >= last && each.offset <= offset && each.offset + each.bytes >= offset + bytes,
  );
  if (run === undefined) return 'the checkpoint tells of messages that the index does not';
  if (run.level !== level) return `the index has them at level ${run.level}`;
  if (run.bytes === bytes && run.count !== count) return `${run.count} messages in the page, not ${count}`;
  if (run.firstDeadlineMs !== firstDeadlineMs) return `the index has ${run.firstDeadlineMs} as the earliest deadline`;
  const missing = outside(run.gaps, range, dead) ?? outside(run.transient, range, dead);
  return missing === null ? null : `position ${missing} is alive in the checkpoint, but not in the page`;
}

/** The first position of a set that is in the range, and not among its dead ones; null when there is none. */
function outside(set: PositionSet | null, { first, last }: CheckpointRange, dead: PositionSet): number | null {
  const within = set?.cut(first, last) ?? null;
  for (let i = 0; within !== null && i < within.intervalCount; i++) {
    const alive = dead.nextGap(within.intervalFirst(i));
    if (alive <= within.intervalLast(i)) return alive;
  }
  return null;
}

/** Compares the blocks of a run with what the index tells of it. */
class RunCheck {
  readonly #run: PageRun;
  messages = 0;
  /** The first position that was not met yet. */
  next: number;
  #firstDeadlineMs = 0;
  /** What was wrong with a message; thrown behind its block, so that decoding stays a plain loop. */
  #problem: string | null = null;

  constructor(run: PageRun) {
    this.#run = run;
    this.next = run.first;
  }

  block(buffer: Buffer, at: number, header: BlockHeader): void {
    const { queueId, last } = this.#run;
    if (header.queueId !== queueId) throw new FormatError(`a block of queue ${header.queueId}`, at);
    if (header.first < this.next || header.last > last) {
      throw new FormatError(`a block has positions ${header.first} to ${header.last}`, at);
    }
    decodeBlock(buffer, at, this);
    if (this.#problem !== null) throw new FormatError(this.#problem, at);
  }

  message(
    position: number,
    _routeStart: number,
    _routeEnd: number,
    _propertiesStart: number,
    _propertiesEnd: number,
    _bodyStart: number,
    _bodySize: number,
    expiresAtMs: number,
    transient: boolean,
  ): void {
    const { gaps, transient: transients } = this.#run;
    if (gaps?.has(position)) this.#problem ??= `position ${position} is in the page, but the index says it is not`;
    if (transient !== (transients?.has(position) ?? false)) {
      this.#problem ??= `block and index disagree on whether position ${position} is transient`;
    }
    this.#firstDeadlineMs = earlierDeadline(this.#firstDeadlineMs, expiresAtMs);
    this.messages++;
    this.next = position + 1;
  }

  end(): void {
    const { count, first, last, gaps, offset, firstDeadlineMs } = this.#run;
    if (this.messages !== count || this.messages !== last - first + 1 - (gaps?.size ?? 0) || this.next !== last + 1) {
      throw new FormatError(`${this.messages} messages, but the index tells of ${count}`, offset);
    }
    if (this.#firstDeadlineMs !== firstDeadlineMs) {
      const what = `the earliest deadline is ${this.#firstDeadlineMs}, but the index tells of ${firstDeadlineMs}`;
      throw new FormatError(what, offset);
    }
  }
}
