// Runs a script in a process of its own, and waits until that ends by itself.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface ScriptRun {
  /** Waits until the script has printed this, and gives all that it printed so far. */
  printed(text: string): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  readonly ended: Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** Runs TypeScript as a module at the project's root, so that it imports `./lib/index.ts`; killed when the test ends. */
export function runScript(t: Test, source: string): ScriptRun {
  // tap's hooks in NODE_OPTIONS are for tests; in this process they would keep what they measure alive.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const args = ['-u', 'NODE_OPTIONS', process.execPath, '--import', 'tsx', '--input-type=module', '--eval', source];
  const child = spawn('env', args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const ended = once(child, 'close').then(([exitCode]) => ({ exitCode, stdout, stderr }));
  const printed = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stdout.includes(text)) resolve(stdout);
      };
      child.stdout.on('data', look);
      void ended.then(({ stderr }) => reject(new Error(`the script ended without printing '${text}': ${stderr}`)));
      look();
    });
  return { printed, ended, signal: (signal) => child.kill(signal) };
}
