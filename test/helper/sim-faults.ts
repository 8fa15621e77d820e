// Counts the calls to a simulated disk, and says which of them fail.

const COUNTED = ['write', 'dataSync', 'truncate', 'create', 'rename', 'remove', 'syncDirectory', 'read'] as const;

/** Calls that are counted and can be made to fail. */
export type DiskCallKind = (typeof COUNTED)[number];

/** A call, as it begins. */
export interface DiskCall {
  /** One of `DiskCallKind`, or another that is not counted: open, close, size, list... */
  readonly kind: string;
  readonly path: string;
  /** `calls` of the disk, with this one when it counts. */
  readonly number: number;
}

export interface FaultOptions {
  /** A write that fails writes a part first, from nothing to all but the last byte. */
  readonly partial?: boolean;
  /** How many calls fail, one after the other; Infinity: all from there on. Default: 1. */
  readonly count?: number;
  /** Which calls count and fail. Default: all but `read`. */
  readonly kinds?: readonly DiskCallKind[];
}

export interface Fault {
  readonly first: number;
  readonly last: number;
  readonly code: string;
  readonly isPartial: boolean;
  readonly kinds: readonly DiskCallKind[];
}

const DEFAULT_KINDS = COUNTED.filter((kind) => kind !== 'read');

export class DiskFaults {
  readonly #counts = new Map<DiskCallKind, number>();
  #faults: Fault[] = [];

  /** Calls so far of the kinds that fail by default. */
  get calls(): number {
    return this.callsOf(DEFAULT_KINDS);
  }

  callsOf(kinds: readonly DiskCallKind[]): number {
    return kinds.reduce((sum, kind) => sum + (this.#counts.get(kind) ?? 0), 0);
  }

  add(callNumber: number, code: string, { partial = false, count = 1, kinds = DEFAULT_KINDS }: FaultOptions): void {
    this.#faults.push({ first: callNumber, last: callNumber + count - 1, code, isPartial: partial, kinds });
  }

  clear(): void {
    this.#faults = [];
  }

  /** Counts a call, and tells how it fails if it does. */
  count(kind: DiskCallKind): Fault | undefined {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    return this.#faults.find(({ first, last, kinds }) => {
      const number = this.callsOf(kinds);
      return kinds.includes(kind) && number >= first && number <= last;
    });
  }
}
