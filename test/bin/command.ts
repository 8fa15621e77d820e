// Runs the command as a process of its own, and waits for what it logs or how it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** How a command ended. */
export interface Ending {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Command {
  readonly process: ChildProcess;
  /** The next logged line, not yet asked for, with such a message. Rejects when the command ends without it. */
  logged(message: RegExp): Promise<LogLine>;
  readonly ended: Promise<Ending>;
}

/**
 * Starts `leveret`, with these variables and no LEVERET_ or RABBITMQ_ ones of the test's own; killed at the end of the test.
 * Unless told otherwise it keeps everything in memory, so that no run leaves anything to the next one.
 * @param nodeArgs arguments for Node.js itself
 */
export function startCommand(
  t: Test,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  nodeArgs: readonly string[] = [],
): Command {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(LEVERET_|RABBITMQ_|NODE_OPTIONS$)/.test(name));
  // tap puts its own hooks, which handle signals and exits too, into NODE_OPTIONS of every child.
  const child = spawn(
    'env',
    ['-u', 'NODE_OPTIONS', process.execPath, '--import', 'tsx', ...nodeArgs, 'bin/leveret.ts', ...args],
    {
      cwd: ROOT,
      env: { ...Object.fromEntries(inherited), LEVERET_DATA_DIR: 'none', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const logged = async (message: RegExp): Promise<LogLine> => {
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const line: LogLine = next.value.startsWith('{') ? JSON.parse(next.value) : { level: '', msg: next.value };
      if (message.test(line.msg)) return line;
    }
    throw new Error(`ended without ${message}:\n${output.stdout}${output.stderr}`);
  };
  const ended = once(child, 'close').then(([exitCode]) => ({ exitCode, ...output }));
  return { process: child, logged, ended };
}

/** Runs `leveret` to its end. */
export function runCommand(
  t: Test,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ending> {
  return startCommand(t, args, env).ended;
}
