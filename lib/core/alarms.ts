// The resource alarms of the broker: what it runs short of. While one of them is raised, publishers are blocked.
// See https://www.rabbitmq.com/docs/alarms

/** What the broker may run short of. */
export type AlarmKind = 'memory' | 'disk';

/** The order in which RabbitMQ names them, whichever was raised first. */
const KINDS: readonly AlarmKind[] = ['disk', 'memory'];

export class Alarms {
  readonly #kinds = new Set<AlarmKind>();
  readonly #listeners = new Set<(raised: boolean) => void>();

  /** At least one alarm is raised. */
  get raised(): boolean {
    return this.#kinds.size > 0;
  }

  /** What connection.blocked says during an alarm: `low on memory`, `low on disk`, `low on disk & memory`. */
  get reason(): string {
    return `low on ${KINDS.filter((kind) => this.#kinds.has(kind)).join(' & ')}`;
  }

  /** Raises or clears one alarm; nothing happens when it is so already. */
  set(kind: AlarmKind, raised: boolean): void {
    const before = this.raised;
    if (raised) this.#kinds.add(kind);
    else this.#kinds.delete(kind);
    if (this.raised === before) return;
    for (const listener of this.#listeners) listener(!before);
  }

  /** Tells `listener` of every change of `raised`, not of each alarm's, until the returned function is called. */
  watch(listener: (raised: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
