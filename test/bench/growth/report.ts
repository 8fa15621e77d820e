// What is printed: rows of one Markdown table, each a figure, what was measured, and the goal with whether it is met.
export interface GrowthOptions {
  /** Smaller counts: to try things out, not to judge by. */
  readonly quick: boolean;
  /** How long the steady loads run, each. */
  readonly minutes: number;
}

export interface Goal {
  readonly text: string;
  readonly met: boolean;
}

export type Report = (figure: string, measured: string, goal?: Goal) => void;

/** A group of figures, as it is named on the command line. */
export type Group = (report: Report, options: GrowthOptions) => Promise<void>;

export function atMost(value: number, limit: number, unit: string): Goal {
  return { text: `≤ ${count(limit)} ${unit}`, met: value <= limit };
}

export function atLeast(value: number, limit: number, unit: string): Goal {
  return { text: `≥ ${count(limit)} ${unit}`, met: value >= limit };
}

export function printHead(): void {
  console.log('| figure | measured | goal |\n|---|---|---|');
}

export function printRow(figure: string, measured: string, goal?: Goal): void {
  const verdict = goal === undefined ? '' : `${goal.text}: ${goal.met ? 'met' : '**missed**'}`;
  console.log(`| ${figure} | ${measured} | ${verdict} |`);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The least value that `share` of all do not pass; 1 gives the largest. */
export function quantile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** 1234567 as 1,234,567. */
export function count(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 2 });
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

export function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(2)} KB`;
}

export function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(0)} %`;
}
