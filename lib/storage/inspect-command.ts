// The command `leveret log`: checks or shows the files of a data folder, whether or not a broker runs there.
import { parseArgs } from 'node:util';
import type { FileSystem } from './file-system.ts';
import { type FolderContents, type Report, readFolder } from './inspect.ts';
import { type DumpOptions, dumpFolder } from './inspect-dump.ts';
import { verifyFolder } from './inspect-verify.ts';
import { nodeFileSystem } from './node-file-system.ts';

const FINE = 0;
const PROBLEMS = 1;
const BAD_USAGE = 2;

export const LOG_USAGE = `Usage: leveret log verify FOLDER
       leveret log dump [--pages] [--full] FOLDER

Reads the files of a data folder, whether or not a broker runs there, and changes nothing.

  verify     checks every file, and says what is in it and what is wrong with it
  dump       prints what is in the checkpoint and the log, one line of JSON for each entry
    --pages  and the messages in pages
    --full   bodies to their end, not only their first 256 bytes

Ends with 0 when nothing is wrong, with 1 when something is, with 2 when it could not look.
`;

interface Request extends DumpOptions {
  readonly action: 'verify' | 'dump' | 'help';
  readonly directory: string;
}

/** Nobody reads the output any more. */
class OutputClosed extends Error {}

/** Writes lines to a stream and waits when it is full. */
class Output {
  readonly #stream: NodeJS.WritableStream;
  #error: Error | null = null;
  #wake: () => void = () => {};

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
    // Without a listener an error would end the process with a stack.
    stream.on('error', (error) => this.#fail(error));
    stream.on('close', () => this.#fail(new OutputClosed()));
    stream.on('drain', () => this.#wake());
  }

  async line(text: string): Promise<void> {
    this.#check();
    if (this.#stream.write(`${text}\n`)) return;
    this.#check();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#check();
  }

  /** Resolves when everything was written. */
  async end(): Promise<void> {
    this.#check();
    await new Promise<void>((resolve) => {
      this.#stream.write('', (error) => {
        if (error) this.#fail(error);
        resolve();
      });
    });
    this.#check();
  }

  #fail(error: Error): void {
    this.#error ??= 'code' in error && error.code === 'EPIPE' ? new OutputClosed() : error;
    this.#wake();
  }

  #check(): void {
    if (this.#error !== null) throw this.#error;
  }
}

/** Writes lines to one stream, what is wrong to another, and keeps count. */
class CountingReport implements Report {
  readonly #lines: Output;
  readonly #complaints: Output;
  problems = 0;
  warnings = 0;

  constructor(lines: Output, complaints: Output) {
    this.#lines = lines;
    this.#complaints = complaints;
  }

  line(text: string): Promise<void> {
    return this.#lines.line(text);
  }

  warning(file: string, offset: number, what: string): Promise<void> {
    this.warnings++;
    return this.#complaints.line(`warning: ${place(file, offset)}: ${what}`);
  }

  problem(file: string, offset: number, what: string, advice: string): Promise<void> {
    this.problems++;
    return this.#complaints.line(`problem: ${place(file, offset)}: ${what}; ${advice}`);
  }
}

function place(file: string, offset: number): string {
  return offset < 0 ? file : `${file}: at byte ${offset}`;
}

/**
 * @param argv what stands behind `leveret log`
 * @returns the exit code
 */
export async function runLogCommand(
  argv: readonly string[],
  stdout: NodeJS.WritableStream,
  stderr: NodeJS.WritableStream,
  fs: FileSystem = nodeFileSystem,
): Promise<number> {
  const out = new Output(stdout);
  const errors = new Output(stderr);
  try {
    const code = await run(argv, out, errors, fs);
    await out.end();
    await errors.end();
    return code;
  } catch (error) {
    // Such as `leveret log dump FOLDER | head`.
    if (error instanceof OutputClosed) return FINE;
    throw error;
  }
}

async function run(argv: readonly string[], out: Output, errors: Output, fs: FileSystem): Promise<number> {
  const request = parse(argv);
  if (typeof request === 'string') {
    await errors.line(`leveret log: ${request}\n\n${LOG_USAGE.trimEnd()}`);
    return BAD_USAGE;
  }
  if (request.action === 'help') {
    await out.line(LOG_USAGE.trimEnd());
    return FINE;
  }
  try {
    const contents = await readFolder(fs, request.directory);
    if (contents !== null) return await inspect(request, contents, out, errors, fs);
    await errors.line(`leveret log: ${request.directory} is no data folder of Leveret: nothing of one is there`);
  } catch (error) {
    // What the system answers when a file can't be read; a fault of ours has no code.
    if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) throw error;
    await errors.line(`leveret log: ${error.message}`);
  }
  return BAD_USAGE;
}

async function inspect(
  request: Request,
  contents: FolderContents,
  out: Output,
  errors: Output,
  fs: FileSystem,
): Promise<number> {
  if (request.action === 'dump') {
    const report = new CountingReport(out, errors);
    await dumpFolder(fs, request.directory, contents, request, report);
    return report.problems === 0 ? FINE : PROBLEMS;
  }
  const report = new CountingReport(out, out);
  await verifyFolder(fs, request.directory, contents, report);
  const { problems, warnings } = report;
  const warned = warnings === 0 ? '' : `, ${warnings} warnings`;
  await out.line(problems === 0 ? `nothing is wrong${warned}` : `${problems} problems${warned}`);
  return problems === 0 ? FINE : PROBLEMS;
}

/** What is asked for, or what is wrong with it. */
function parse(argv: readonly string[]): Request | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { pages: { type: 'boolean' }, full: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    const { pages = false, full = false, help = false } = values;
    const [action = '', directory, ...rest] = positionals;
    if (help) return { action: 'help', directory: '', pages, full };
    if (action !== 'verify' && action !== 'dump')
      return action === '' ? 'verify or dump?' : `no such command: ${action}`;
    if (directory === undefined) return `${action} which folder?`;
    if (rest.length > 0) return `one folder, not ${rest.length + 1}`;
    if (action === 'verify' && (pages || full)) return '--pages and --full are for dump';
    return { action, directory, pages, full };
  } catch (error) {
    return error instanceof Error ? error.message : `${error}`;
  }
}
