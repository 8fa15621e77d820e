// The built command, as a user would start it, with a data folder that goes when it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Target } from './session.ts';

const COMMAND = fileURLToPath(new URL('../../dist/bin/leveret.js', import.meta.url));
/** How long it may take to stop by itself. */
const STOP_MS = 10_000;

export class LeveretProcess {
  readonly target: Target;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, port: number) {
    this.target = { name: 'Leveret', url: `amqp://guest:guest@127.0.0.1:${port}/`, pid: child.pid ?? null };
    this.#child = child;
    this.#folder = folder;
  }

  /** Starts it on a free port, which its start-up line tells. */
  static async start(): Promise<LeveretProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'leveret-bench-'));
    const durable = ['--data-dir', folder, '--fsync', 'always'];
    const args = [COMMAND, '--port', '0', ...durable, '--log-format', 'json', '--log-level', 'info'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface(child.stdout)) {
      const { port } = JSON.parse(line) as { port?: number };
      if (port === undefined) continue;
      child.stdout.resume();
      return new LeveretProcess(child, folder, port);
    }
    await rm(folder, { recursive: true, force: true });
    throw new Error('leveret ended before it listened');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(timer);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}
