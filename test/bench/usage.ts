// What a process of this machine has used, as Linux tells it.
import { readFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;

/** CPU seconds of a process so far, those of all its threads; NaN where nobody tells. */
export function cpuSeconds(pid: number | null): number {
  if (pid === null) return Number.NaN;
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return Number.NaN;
  }
  // The name, in brackets, may hold anything. Behind it: the state, and eleven fields on user and system time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
