// The `leveret` command as a process that is killed: started on a data folder, watched, and never expected to end by itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LOG_LINES_KEPT = 60;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Ready {
  readonly port: number;
  /** From the start of the process to the line that tells that it listens. */
  readonly elapsedMs: number;
}

export class BrokerProcess {
  readonly #child: ChildProcess;
  readonly #log: string[] = [];
  #stderr = '';
  /** A line of level error or fatal: a defect of the broker. */
  defect: string | undefined;
  /** Resolves when it listens; undefined when it ended before. */
  readonly ready: Promise<Ready | undefined>;
  readonly exited: Promise<Exit>;

  /** @param nodeArgs arguments for Node.js itself */
  constructor(args: readonly string[], nodeArgs: readonly string[] = []) {
    const startedAt = performance.now();
    const inherited = Object.entries(process.env).filter(([name]) => !/^(LEVERET_|RABBITMQ_|NODE_OPTIONS$)/.test(name));
    // tap puts its own hooks, which handle signals and exits too, into NODE_OPTIONS of every child. env gives way to Node.js,
    // so the process that is killed is the broker itself.
    const child = spawn(
      'env',
      [
        '-u',
        'NODE_OPTIONS',
        process.execPath,
        '--import',
        'tsx',
        ...nodeArgs,
        'bin/leveret.ts',
        '--port',
        '0',
        '--log-format',
        'json',
        ...args,
      ],
      { cwd: ROOT, env: Object.fromEntries(inherited), stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    const killWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      // 'close' comes after the last byte of the log.
      child.once('close', (code, signal) => {
        process.off('exit', killWithUs);
        resolve({ code, signal });
      });
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    const lines = createInterface({ input: child.stdout });
    const listens = new Promise<Ready>((resolve) => {
      lines.on('line', (line) => {
        const port = this.#read(line);
        if (port !== undefined) resolve({ port, elapsedMs: performance.now() - startedAt });
      });
    });
    this.ready = Promise.race([listens, this.exited.then(() => undefined)]);
  }

  kill(signal: 'SIGKILL' | 'SIGTERM'): void {
    this.#child.kill(signal);
  }

  /** The end of its log, and all that it wrote to standard error. */
  output(): string {
    return [...this.#log, this.#stderr].join('\n');
  }

  /** @returns the port, of the line that tells it */
  #read(line: string): number | undefined {
    this.#log.push(line);
    if (this.#log.length > LOG_LINES_KEPT) this.#log.shift();
    if (!line.startsWith('{')) return undefined;
    let entry: { readonly level?: unknown; readonly msg?: unknown; readonly port?: unknown };
    try {
      entry = JSON.parse(line);
    } catch {
      return undefined; // the kill came in the middle of the line
    }
    if (entry.level === 'error' || entry.level === 'fatal') this.defect ??= line;
    return / ready on /.test(String(entry.msg)) ? Number(entry.port) : undefined;
  }
}
