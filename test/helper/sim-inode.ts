// What is in one file of a simulated disk: as the process sees it, and what of that a power loss would leave.

export const SECTOR_BYTES = 512;

/** Bytes that grow. What was never written is zero. */
export class Bytes {
  /** Zero from `size` on. */
  #buffer: Buffer;
  size: number;

  constructor(content: Buffer = Buffer.alloc(0)) {
    this.#buffer = Buffer.from(content);
    this.size = content.length;
  }

  get content(): Buffer {
    return this.#buffer.subarray(0, this.size);
  }

  write(data: Buffer, position: number): void {
    if (position + data.length > this.size) this.resize(position + data.length);
    data.copy(this.#buffer, position);
  }

  resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(size, 2 * this.#buffer.length));
      this.content.copy(larger);
      this.#buffer = larger;
    }
    if (size < this.size) this.#buffer.fill(0, size, this.size);
    this.size = size;
  }
}

/** Something done to a file since its durable state. */
interface Change {
  readonly sequence: number;
  /** Null: the file was given another size. */
  readonly data: Buffer | null;
  /** Where the data was written, or the new size. */
  readonly position: number;
  /** `failed`: a sync of it failed, so that no later one makes it durable. */
  state: 'unsynced' | 'failed' | 'synced';
}

export class Inode {
  readonly id: number;
  readonly #live: Bytes;
  /** What is durable, without `#changes`. */
  readonly #durable: Bytes;
  /** In order. None that is synced stands first: those are part of `#durable`. */
  #changes: Change[];
  /** Handles that are open. */
  handles = 0;

  constructor(id: number, live = new Bytes(), durable = new Bytes(), changes: Change[] = []) {
    this.id = id;
    this.#live = live;
    this.#durable = durable;
    this.#changes = changes;
  }

  get size(): number {
    return this.#live.size;
  }

  get content(): Buffer {
    return this.#live.content;
  }

  clone(): Inode {
    return new Inode(this.id, new Bytes(this.#live.content), new Bytes(this.#durable.content), [...this.#changes]);
  }

  /** Whether what was done with this sequence is durable. */
  isSynced(sequence: number): boolean {
    return this.#changes.every((change) => change.sequence !== sequence || change.state === 'synced');
  }

  /** `data` is kept, so it must be nobody else's. */
  write(data: Buffer, position: number, sequence: number): void {
    if (data.length === 0) return;
    this.#live.write(data, position);
    this.#changes.push({ sequence, data, position, state: 'unsynced' });
  }

  truncate(size: number, sequence: number): void {
    this.#live.resize(size);
    this.#changes.push({ sequence, data: null, position: size, state: 'unsynced' });
  }

  /** Changes what is there behind everybody's back, as a failing disk does. */
  corrupt(data: Buffer, position: number): void {
    this.#live.write(data, position);
    this.#durable.write(data, position);
  }

  /** Makes durable what was done up to `sequence`. */
  sync(sequence: number): void {
    this.#sync((change) => change.sequence <= sequence);
  }

  /** Makes the write of this sequence durable, as O_DSYNC does it: with the sizes that the file was given before, but no other write. */
  syncWrite(sequence: number): void {
    this.#sync((change) => change.sequence === sequence || (change.data === null && change.sequence < sequence));
  }

  #sync(isMeant: (change: Change) => boolean): void {
    for (const change of this.#changes) {
      if (change.state === 'unsynced' && isMeant(change)) change.state = 'synced';
    }
    const remaining = this.#changes.findIndex(({ state }) => state !== 'synced');
    const done = remaining === -1 ? this.#changes.length : remaining;
    for (const change of this.#changes.splice(0, done)) apply(this.#durable, change);
  }

  /** As Linux does it: the data of a failed sync counts as clean afterwards, and is not written again. Sizes are. */
  syncFailed(sequence: number): void {
    for (const change of this.#changes) {
      if (change.data !== null && change.state === 'unsynced' && change.sequence <= sequence) change.state = 'failed';
    }
  }

  /** What is left when nothing survives that was not synced. */
  durableContent(): Buffer {
    const result = new Bytes(this.#durable.content);
    for (const change of this.#changes) if (change.state === 'synced') apply(result, change);
    return result.content;
  }

  /**
   * What may be left after a power loss. A size that is lost takes with it what was written after it, as disks with a journal
   * have it; for the rest, writes survive independently of one another.
   * @param keep how likely an unsynced write survives as a whole
   */
  randomContent(random: () => number, keep: number): Buffer {
    const result = new Bytes(this.#durable.content);
    for (const change of this.#changes) {
      if (change.state === 'synced') apply(result, change);
      else if (change.data !== null) writeLossy(result, change.data, change.position, random, keep);
      else if (random() < Math.max(keep, 0.5)) apply(result, change);
      else break; // nothing after a size that isn't synced is synced
    }
    return result.content;
  }
}

function apply(bytes: Bytes, { data, position }: Change): void {
  if (data === null) bytes.resize(position);
  else bytes.write(data, position);
}

/** Writes what the power loss leaves of one write. */
function writeLossy(bytes: Bytes, data: Buffer, position: number, random: () => number, keep: number): void {
  const extend = (): void => {
    if (bytes.size < position + data.length) bytes.resize(position + data.length);
  };
  if (random() < keep) return bytes.write(data, position);
  const fate = Math.floor(random() * 4);
  if (fate === 0) return;
  if (fate === 1) return extend();
  if (fate === 2) {
    bytes.write(data.subarray(0, Math.floor(random() * data.length)), position);
    if (random() < 0.5) extend();
    return;
  }
  const end = position + data.length;
  for (let at = position; at < end; ) {
    const next = Math.min(end, at - (at % SECTOR_BYTES) + SECTOR_BYTES);
    if (random() < 0.5) bytes.write(data.subarray(at - position, next - position), at);
    at = next;
  }
  if (random() < 0.5) extend();
}
