// Checks a data folder from one end to the other: every header, record, block and index, and that they belong together.
import { FormatError } from './byte-reader.ts';
import type { CheckpointPage } from './checkpoint-format.ts';
import { decodeEntries, type EntryVisitor } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import {
  CHECKPOINT,
  type FolderContents,
  firstSegmentOf,
  pageName,
  RESTORE,
  type Report,
  readFolder,
  segmentName,
  transientPageName,
  unlessMissing,
} from './inspect.ts';
import { InspectedPage } from './inspect-page.ts';
import { checkPage } from './inspect-page-check.ts';
import { readSegment, type Segment, UnfinishedSegmentError } from './segment-reader.ts';

/** Checks the folder and reports what is in it. */
export async function verifyFolder(
  fs: FileSystem,
  directory: string,
  contents: FolderContents,
  report: Report,
): Promise<void> {
  await new Verifier(fs, directory, contents, report).run();
}

class Verifier {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #contents: FolderContents;
  readonly #report: Report;
  #buffer: Buffer | undefined;
  /** The sequence that the next record may have; null when that is not known. */
  #expected: { readonly least: number; readonly most: number } | null = null;

  constructor(fs: FileSystem, directory: string, contents: FolderContents, report: Report) {
    this.#fs = fs;
    this.#directory = directory;
    this.#contents = contents;
    this.#report = report;
  }

  async run(): Promise<void> {
    await this.#checkCheckpoint();
    await this.#checkLog();
    await this.#checkPages();
  }

  async #checkCheckpoint(): Promise<void> {
    const { checkpoint, checkpointBytes, checkpointError, hasNewCheckpoint } = this.#contents;
    if (checkpointError !== null) {
      await this.#report.problem(CHECKPOINT, checkpointError.offset, checkpointError.reason, RESTORE);
    } else if (checkpoint === null) {
      await this.#report.line(`${CHECKPOINT}: none yet`);
    } else {
      const { vhosts, users, parameters, exchanges, queues, bindings, pages, sequence, firstSegment } = checkpoint;
      await this.#report.line(
        `${CHECKPOINT}: ${checkpointBytes} bytes, behind record ${sequence}, log from segment ${firstSegment}, ` +
          `${vhosts.length} virtual hosts, ${users.length} users, ${parameters.length} parameters, ${exchanges.length} exchanges, ` +
          `${queues.length} queues, ${bindings.length} bindings, ${pages.length} pages`,
      );
    }
    if (hasNewCheckpoint) await this.#report.line(`${CHECKPOINT}.new: not complete; the next start removes it`);
  }

  async #checkLog(): Promise<void> {
    const { segments, checkpoint, checkpointError } = this.#contents;
    // Without a checkpoint that can be read nobody knows which segments are needed: all that are there are checked.
    const first = checkpointError === null ? firstSegmentOf(this.#contents) : (segments[0] ?? 1);
    const needed = segments.filter((number) => number >= first);
    for (const number of segments) {
      if (number < first) await this.#report.line(`${segmentName(number)}: not needed; the next start removes it`);
    }
    let number = first;
    if (checkpointError === null) this.#expected = { least: 0, most: (checkpoint?.sequence ?? 0) + 1 };
    for (const there of needed) {
      if (number < there) await this.#missingSegments(number, there - 1);
      await this.#checkSegment(there, there === needed.at(-1));
      number = there + 1;
    }
    if (needed.length === 0 && checkpoint !== null) await this.#missingSegments(first, first);
    const end = this.#expected?.least ?? 0;
    if (checkpoint !== null && end > 0 && end <= checkpoint.sequence) {
      const what = `the log ends with record ${end - 1}, but the checkpoint stands behind record ${checkpoint.sequence}`;
      await this.#report.problem(segmentName(number - 1), -1, what, RESTORE);
    }
  }

  /** Reports segments, unless they are missing because a running broker has just removed them. */
  async #missingSegments(first: number, last: number): Promise<void> {
    this.#expected = null;
    const now = await readFolder(this.#fs, this.#directory);
    if (now !== null && last < firstSegmentOf(now)) return;
    const what = first === last ? 'the file is missing' : `the files up to ${segmentName(last)} are missing`;
    await this.#report.problem(segmentName(first), -1, what, RESTORE);
  }

  async #checkSegment(number: number, isNewest: boolean): Promise<void> {
    const name = segmentName(number);
    try {
      const segment = await unlessMissing(readSegment(this.#fs, `${this.#directory}/${name}`, this.#buffer));
      if (segment === null) return await this.#missingSegments(number, number);
      this.#buffer = segment.buffer;
      if (segment.number !== number) {
        await this.#report.problem(name, 16, `the header is that of segment ${segment.number}`, RESTORE);
      }
      await this.#checkRecords(name, isNewest, segment);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (error instanceof UnfinishedSegmentError && isNewest) {
        return await this.#report.warning(name, 0, 'a segment that was only begun; the next start removes it');
      }
      this.#expected = null;
      await this.#report.problem(name, error.offset, error.reason, RESTORE);
    }
  }

  async #checkRecords(name: string, isNewest: boolean, segment: Segment): Promise<void> {
    const { records, size, end, problem } = segment;
    const first = records.at(0)?.sequence;
    const last = records.at(-1)?.sequence;
    const counts = new EntryCounts();
    for (const { start, end } of records) decodeEntries(segment.buffer, start, end, counts);
    const prepared = problem === null ? size - end : 0;
    const bytes = prepared > 0 ? `${end} bytes and ${prepared} of prepared space` : `${size} bytes`;
    const range = first === undefined ? 'no records' : `records ${first} to ${last}`;
    await this.#report.line(`${name}: ${bytes}, ${range}, ${counts.describe()}`);
    const expected = this.#expected;
    if (expected !== null && first !== undefined && first > expected.most) {
      await this.#report.problem(name, -1, `records ${expected.most} to ${first - 1} are missing`, RESTORE);
    } else if (expected !== null && first !== undefined && first < expected.least) {
      await this.#report.problem(name, -1, `it begins with record ${first}, not ${expected.least}`, RESTORE);
    }
    if (last !== undefined) this.#expected = { least: last + 1, most: last + 1 };
    if (problem === null) return;
    if (!isNewest) this.#expected = null;
    await this.#reportBadRecord(name, isNewest, segment, problem);
  }

  async #reportBadRecord(
    name: string,
    isNewest: boolean,
    { laterSequence, lazy, size, end }: Segment,
    { offset, reason }: { readonly offset: number; readonly reason: string },
  ): Promise<void> {
    if (isNewest && (laterSequence === null || lazy)) {
      await this.#report.warning(
        name,
        offset,
        `${reason}; ${size - end} bytes that a crash left, or that a running broker is writing; the next start removes them`,
      );
      return;
    }
    const why = laterSequence === null ? 'and other segments follow' : `but record ${laterSequence} behind it is sound`;
    await this.#report.problem(
      name,
      offset,
      `${reason}, ${why}`,
      `${RESTORE}; without one, 'leveret log dump' shows what can be read`,
    );
  }

  async #checkPages(): Promise<void> {
    const { checkpoint, pages, transientPages } = this.#contents;
    const named = new Set<number>();
    for (const page of checkpoint?.pages ?? []) {
      named.add(page.number);
      await this.#checkPage(page);
    }
    if (checkpoint === null && this.#contents.checkpointError !== null) {
      await this.#report.line('pages: not checked, since only the checkpoint says which of them count');
      return;
    }
    for (const number of pages) {
      if (!named.has(number)) await this.#report.line(`${pageName(number)}: not needed; the next start removes it`);
    }
    for (const number of transientPages) {
      await this.#report.line(`${transientPageName(number)}: transient messages; the next start removes it`);
    }
  }

  async #checkPage(expected: CheckpointPage): Promise<void> {
    const name = pageName(expected.number);
    try {
      const page = await unlessMissing(InspectedPage.open(this.#fs, `${this.#directory}/${name}`, expected.number));
      if (page === null) return await this.#missingPage(expected.number);
      try {
        await checkPage(name, page, expected, this.#report);
      } finally {
        await page.close();
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      await this.#report.problem(name, error.offset, error.reason, RESTORE);
    }
  }

  async #missingPage(number: number): Promise<void> {
    const now = await readFolder(this.#fs, this.#directory);
    if (now?.checkpoint?.pages.some((page) => page.number === number) === false) return;
    await this.#report.problem(pageName(number), -1, 'the file is missing', RESTORE);
  }
}

/** Counts what the log tells. */
class EntryCounts implements EntryVisitor {
  readonly wantsMessages = true;
  #messages = 0;
  #acknowledged = 0;
  #changes = 0;

  describe(): string {
    return `${this.#messages} messages, ${this.#acknowledged} acknowledged, ${this.#changes} changes of the topology`;
  }

  message(): void {
    this.#messages++;
  }

  acknowledged(_queueId: number, first: number, last: number): void {
    this.#acknowledged += last - first + 1;
  }

  delivered(): void {}

  returned(): void {}

  virtualHost(): void {
    this.#changes++;
  }

  virtualHostDeleted(): void {
    this.#changes++;
  }

  user(): void {
    this.#changes++;
  }

  userDeleted(): void {
    this.#changes++;
  }

  parameter(): void {
    this.#changes++;
  }

  parameterDeleted(): void {
    this.#changes++;
  }

  exchange(): void {
    this.#changes++;
  }

  exchangeDeleted(): void {
    this.#changes++;
  }

  queue(): void {
    this.#changes++;
  }

  queueDeleted(): void {
    this.#changes++;
  }

  binding(): void {
    this.#changes++;
  }

  bindingDeleted(): void {
    this.#changes++;
  }
}
