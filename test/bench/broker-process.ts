// A broker that is measured: the built command in a process of its own, durable, with a fresh data folder that is removed at the end.
// What it uses is read from /proc, so that is for Linux.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cpuSeconds } from './usage.ts';

export const COMMAND = fileURLToPath(new URL('../../dist/bin/leveret.js', import.meta.url));
const INSIDE = new URL('./inside.mjs', import.meta.url);
const PREFERRED_NICE = -10;
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 15_000;

export interface BrokerSetting {
  readonly flags?: readonly string[];
  /** Look inside: `pauses` notes garbage collections, `collect` can ask for one, too. */
  readonly inside?: 'pauses' | 'collect';
  /** Its times are measured: it has a core before other processes, where we may ask for that. */
  readonly preferred?: boolean;
}

export interface InsideReport {
  /** Kind and milliseconds of each garbage collection since the last report. */
  readonly pauses: readonly (readonly [string, number])[];
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number };
}

export class BrokerProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** True once it was asked to stop: it closes its connections then. */
  stopping = false;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #removeAll: () => void;

  private constructor(child: ChildProcess, folder: string, port: number, removeAll: () => void) {
    this.#child = child;
    this.#folder = folder;
    this.port = port;
    this.url = `amqp://guest:guest@127.0.0.1:${port}/`;
    this.pid = Number(child.pid);
    this.#removeAll = removeAll;
  }

  static async start({ flags = [], inside, preferred = false }: BrokerSetting = {}): Promise<BrokerProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'leveret-bench-'));
    const look = new URL(INSIDE);
    look.searchParams.set('report', reportFile(folder));
    if (inside === 'collect') look.searchParams.set('collect', '');
    const nodeFlags = inside === undefined ? [] : ['--import', look.href];
    const logFlags = ['--log-format', 'json', '--log-level', 'info'];
    const all = [...nodeFlags, COMMAND, '--port', '0', '--data-dir', join(folder, 'data'), ...logFlags, ...flags];
    // Into a file: nobody has to read the log for the broker to go on.
    const logFile = join(folder, 'log');
    const log = openSync(logFile, 'w');
    const child = spawn(process.execPath, all, { stdio: ['ignore', log, 'inherit'] });
    closeSync(log);
    const removeAll = (): void => {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    };
    process.once('exit', removeAll);
    if (preferred) prefer(child.pid);
    return new BrokerProcess(child, folder, await readPort(logFile, child), removeAll);
  }

  /** CPU seconds so far, of all threads, the kernel's work for them included. */
  cpuSeconds(): number {
    return cpuSeconds(this.pid);
  }

  /** Seconds so far in which the main thread wanted a core and others had them all; NaN where the kernel does not tell. */
  waitedSeconds(): number {
    try {
      return Number(readFileSync(`/proc/${this.pid}/task/${this.pid}/schedstat`, 'utf8').split(' ')[1]) / 1e9;
    } catch {
      return Number.NaN;
    }
  }

  /** Resident bytes now. */
  rssBytes(): number {
    return this.#status('VmRSS', `/proc/${this.pid}/status`) * 1024;
  }

  /** How often its threads went to sleep of their own will so far: the main thread, and all of them. */
  sleeps(): { readonly main: number; readonly all: number } {
    const tasks = `/proc/${this.pid}/task`;
    const of = (id: string): number => this.#status('voluntary_ctxt_switches', `${tasks}/${id}/status`);
    return { main: of(`${this.pid}`), all: readdirSync(tasks).reduce((sum, id) => sum + of(id), 0) };
  }

  /** Notes the most resident bytes from now on, as far as five looks a second see it, until the function is called. */
  watchRss(): () => number {
    let most = this.rssBytes();
    const timer = setInterval(() => {
      most = Math.max(most, this.rssBytes());
    }, 200);
    return () => {
      clearInterval(timer);
      return most;
    };
  }

  /** Resident bytes once they no longer move: less than 0.2 % within a second. */
  async settledRss(): Promise<number> {
    let before = this.rssBytes();
    for (let second = 0; second < 20; second++) {
      await sleep(1000);
      const now = this.rssBytes();
      if (Math.abs(now - before) < before / 500) return now;
      before = now;
    }
    return before;
  }

  /** What the module inside says; it collects garbage first when it was asked to. */
  async lookInside(): Promise<InsideReport> {
    const file = reportFile(this.#folder);
    rmSync(file, { force: true });
    this.#child.kill('SIGUSR2');
    for (;;) {
      const text = await readFile(file, 'utf8').catch(() => null);
      if (text !== null) return JSON.parse(text);
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await exited;
    clearTimeout(late);
    process.off('exit', this.#removeAll);
    this.#removeAll();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #status(field: string, file: string): number {
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(file, 'utf8'))?.[1]);
  }
}

/** Gives a process (0: this one) a core before others. Needs a privilege; without it the machine's other work shows in what is measured. */
export function prefer(pid = 0): void {
  try {
    setPriority(pid, PREFERRED_NICE);
  } catch {
    // As said.
  }
}

function reportFile(folder: string): string {
  return join(folder, 'inside.json');
}

/** Reads the port off the start-up line. */
async function readPort(logFile: string, child: ChildProcess): Promise<number> {
  const giveUpAt = performance.now() + START_TIMEOUT_MS;
  while (child.exitCode === null && performance.now() < giveUpAt) {
    const port = /"port":(\d+)/.exec(await readFile(logFile, 'utf8'))?.[1];
    if (port !== undefined) return Number(port);
    await sleep(5);
  }
  throw new Error('leveret did not start');
}
