// Counts the bytes that messages hold and raises the memory alarm. It counts instead of asking the operating system, so
// that the alarm comes with the very message that crosses the limit and goes as soon as consumers made room.

/** What a message costs beside its bytes: its object, its place in a queue, its share of lists. Measured on Node 20. */
export const MESSAGE_OVERHEAD_BYTES = 256;

/** The alarm clears below this share of the limit, so that it does not flicker. */
const CLEAR_SHARE = 0.95;

/** The share of V8's heap that messages' objects may fill; the rest is for everything else. */
const HEAP_SHARE = 0.7;

/** Called when the alarm is raised (true) or cleared (false). */
export type AlarmListener = (raised: boolean) => void;

export class MemoryAccount {
  /** The limit in bytes; the alarm is raised above it. */
  readonly limitBytes: number;
  readonly #maxMessages: number;
  readonly #listeners = new Set<AlarmListener>();
  #usedBytes = 0;
  #messages = 0;
  #raised = false;

  /**
   * @param limitBytes bytes of messages, overhead included, above which the alarm is raised
   * @param heapLimitBytes V8's heap limit: messages' objects live there whatever `limitBytes` says
   */
  constructor(limitBytes: number, heapLimitBytes: number) {
    this.limitBytes = limitBytes;
    this.#maxMessages = Math.floor((heapLimitBytes * HEAP_SHARE) / MESSAGE_OVERHEAD_BYTES);
  }

  /** Bytes that messages hold now, their overhead included. */
  get usedBytes(): number {
    return this.#usedBytes + this.#messages * MESSAGE_OVERHEAD_BYTES;
  }

  get raised(): boolean {
    return this.#raised;
  }

  /** Tells `listener` of every change of the alarm until the returned function is called. */
  watch(listener: AlarmListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  chargeMessage(bytes: number): void {
    this.#usedBytes += bytes;
    this.#messages++;
    if (!this.#raised) this.#check();
  }

  dischargeMessage(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#messages--;
    if (this.#raised) this.#check();
  }

  /** Bytes that belong to no message yet (a body still arriving): positive to add, negative to give back. */
  adjust(bytes: number): void {
    this.#usedBytes += bytes;
    this.#check();
  }

  #check(): void {
    if (this.#raised) {
      if (this.usedBytes >= this.limitBytes * CLEAR_SHARE || this.#messages >= this.#maxMessages * CLEAR_SHARE) return;
      this.#set(false);
    } else if (this.usedBytes > this.limitBytes || this.#messages > this.#maxMessages) {
      this.#set(true);
    }
  }

  #set(raised: boolean): void {
    this.#raised = raised;
    for (const listener of this.#listeners) listener(raised);
  }
}
