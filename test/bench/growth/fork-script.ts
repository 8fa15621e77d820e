// Load and probes in processes of their own.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Runs a script of this folder, which ends when this process does. */
export function forkScript(name: string, ...args: readonly string[]): ChildProcess {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = fork(script, args, { execArgv: ['--import', import.meta.resolve('tsx')] });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}
