// The names of files on a simulated disk: as the process sees them, and which of them a power loss would leave.
import { posix } from 'node:path';

/** A creation, a renaming or a removal, since the durable state. */
interface NameChange {
  readonly sequence: number;
  readonly removed: string | null;
  readonly added: string | null;
  readonly inode: number;
}

/** Full paths of files, with the numbers of their inodes. */
type Paths = Map<string, number>;

export class Names {
  readonly live: Paths;
  readonly #durable: Paths;
  /** In order. */
  #changes: NameChange[];

  constructor(live: Paths = new Map(), durable: Paths = new Map(live), changes: NameChange[] = []) {
    this.live = live;
    this.#durable = durable;
    this.#changes = changes;
  }

  clone(): Names {
    return new Names(new Map(this.live), new Map(this.#durable), [...this.#changes]);
  }

  /** Inodes that have a name, or had one that may be back after a power loss. */
  get inodes(): Set<number> {
    return new Set([...this.live.values(), ...this.#durable.values(), ...this.#changes.map(({ inode }) => inode)]);
  }

  change(sequence: number, removed: string | null, added: string | null, inode: number): void {
    const change = { sequence, removed, added, inode };
    apply(this.live, change);
    this.#changes.push(change);
  }

  /**
   * Makes durable what was done up to `sequence` in a folder. A renaming between folders becomes durable with either, and what
   * was done before it in the other one, too.
   */
  sync(folder: string, sequence: number): void {
    const folders = new Set([folder]);
    const synced = new Set<NameChange>();
    for (const change of this.#changes.toReversed()) {
      const touched = namesOf(change).map((path) => posix.dirname(path));
      if (change.sequence > sequence || !touched.some((one) => folders.has(one))) continue;
      synced.add(change);
      for (const one of touched) folders.add(one);
    }
    for (const change of this.#changes) if (synced.has(change)) apply(this.#durable, change);
    this.#changes = this.#changes.filter((change) => !synced.has(change));
  }

  durableNames(): Paths {
    return new Map(this.#durable);
  }

  /**
   * What may be left after a power loss: sometimes a beginning of what was done, as with a journal, sometimes this and that, in
   * order for each name only.
   */
  randomNames(random: () => number): Paths {
    const result = this.durableNames();
    if (random() < 0.5) {
      for (const change of this.#changes.slice(0, Math.floor(random() * (this.#changes.length + 1)))) {
        apply(result, change);
      }
      return result;
    }
    const lost = new Set<string>();
    for (const change of this.#changes) {
      const names = namesOf(change);
      if (random() < 0.5 && !names.some((name) => lost.has(name))) apply(result, change);
      else for (const name of names) lost.add(name);
    }
    return result;
  }
}

function namesOf({ removed, added }: NameChange): string[] {
  return [removed, added].filter((name) => name !== null);
}

function apply(paths: Paths, { removed, added, inode }: NameChange): void {
  if (removed !== null) paths.delete(removed);
  if (added !== null) paths.set(added, inode);
}
