// A process of its own that takes and releases the lock of a folder when it is told to.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SCRIPT = `
  import { createInterface } from 'node:readline';
  import { nodeFileSystem } from './lib/storage/node-file-system.ts';
  let release;
  console.log('started');
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      if (line === 'release') await release();
      else release = await nodeFileSystem.lock(line);
      console.log('done');
    } catch (error) {
      console.log(error.code + ' ' + error.message);
    }
  }
`;

export class LockProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcess & { readonly stdout: NodeJS.ReadableStream }) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#closed = once(child, 'close');
  }

  /** Killed when the test ends. */
  static async start(t: Test): Promise<LockProcess> {
    // tap's hooks in NODE_OPTIONS are for tests.
    const args = ['-u', 'NODE_OPTIONS', process.execPath, '--import', 'tsx', '--input-type=module', '--eval', SCRIPT];
    const child = spawn('env', args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
    const started = new LockProcess(child);
    t.teardown(() => started.kill());
    await started.#answer();
    return started;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Tries to take a lock; resolves to 'done', or the code and text of the error. */
  lock(path: string): Promise<string> {
    this.#child.stdin?.write(`${path}\n`);
    return this.#answer();
  }

  release(): Promise<string> {
    this.#child.stdin?.write('release\n');
    return this.#answer();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Lets it end by itself, when nothing but its lock could keep it alive. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    await this.#closed;
  }

  /** As with `kill -9`. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  async #answer(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done) throw new Error('the process has ended');
    return line.value;
  }
}
