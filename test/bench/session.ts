// What one run of a scenario has of a broker: connections, queues and exchanges that go when it ends, and a watch that makes the run
// fail when a connection does, or when nothing moves any more.
import { emptyFieldTable, type FieldTable } from '../../codec/field-table.ts';
import * as methods from '../../codec/generated/methods.ts';
import { BenchClient } from './client.ts';
import { Tally } from './tally.ts';
import { cpuSeconds } from './usage.ts';

/** A broker to be measured. */
export interface Target {
  readonly name: string;
  readonly url: string;
  /** Its process, if that is known and on this machine. */
  readonly pid: number | null;
}

export interface QueueOptions {
  readonly durable?: boolean;
  readonly arguments?: FieldTable;
}

/** What went by between two moments. */
export interface Lap {
  readonly seconds: number;
  /** Of the broker; NaN where nobody tells. */
  readonly cpuSeconds: number;
}

const WATCH_MS = 1000;
/** So long nothing may move. */
const STALL_MS = 30_000;

let names = 0;

export class Session {
  /** Moves with what publishers wrote, so that the watch sees them at work. */
  published = 0;
  readonly #target: Target;
  readonly #clients: BenchClient[] = [];
  readonly #queues: string[] = [];
  readonly #exchanges: string[] = [];
  readonly #tallies: Tally[] = [];
  readonly #failure: Promise<never>;
  readonly #watch: NodeJS.Timeout;
  #fail: (error: Error) => void = () => {};
  #hasFailed = false;
  #lastProgress = 0;
  #lastMovedMs = performance.now();

  constructor(target: Target) {
    this.#target = target;
    this.#failure = new Promise((_, reject) => {
      this.#fail = (error) => {
        this.#hasFailed = true;
        reject(error);
      };
    });
    // Whoever waits sees it; nobody may be waiting yet.
    this.#failure.catch(() => {});
    this.#watch = setInterval(() => this.#check(), WATCH_MS);
  }

  get url(): string {
    return this.#target.url;
  }

  /** A connection whose failure is the run's. */
  async connect(): Promise<BenchClient> {
    const client = await BenchClient.connect(this.#target.url);
    client.onFailure = this.#fail;
    this.#clients.push(client);
    return client;
  }

  /** Declares a queue of a name of its own, which is deleted in the end. */
  async declareQueue(client: BenchClient, options: QueueOptions = {}): Promise<string> {
    const queue = `bench-${process.pid}-${++names}`;
    this.#queues.push(queue);
    const flags = { passive: false, exclusive: false, autoDelete: false, noWait: false };
    const asked = { durable: options.durable === true, arguments: options.arguments ?? emptyFieldTable };
    await client.call({ id: methods.QUEUE_DECLARE, queue, ...flags, ...asked }, methods.QUEUE_DECLARE_OK);
    return queue;
  }

  /** How many messages are ready in a queue, once the broker has done what the client asked for before. */
  async messageCount(client: BenchClient, queue: string): Promise<number> {
    const flags = { passive: true, durable: false, exclusive: false, autoDelete: false, noWait: false };
    const method = { id: methods.QUEUE_DECLARE, queue, ...flags, arguments: emptyFieldTable } as const;
    const answer = await client.call(method, methods.QUEUE_DECLARE_OK);
    return answer.id === methods.QUEUE_DECLARE_OK ? answer.messageCount : -1;
  }

  /** Declares an exchange of a name of its own, which is deleted in the end. */
  async declareExchange(client: BenchClient, type: string): Promise<string> {
    const exchange = `bench-${process.pid}-${++names}`;
    this.#exchanges.push(exchange);
    const flags = { passive: false, durable: false, autoDelete: false, internal: false, noWait: false };
    const declare = { id: methods.EXCHANGE_DECLARE, exchange, type, ...flags, arguments: emptyFieldTable } as const;
    await client.call(declare, methods.EXCHANGE_DECLARE_OK);
    return exchange;
  }

  /** A tally that is watched: when nothing moves, what it misses is the run's failure. */
  expect(what: string, count: number): Tally {
    const tally = new Tally(what, count);
    this.watch(tally);
    return tally;
  }

  watch(tally: Tally): void {
    this.#tallies.push(tally);
  }

  /** Waits, but not after the run has failed. @throws Error what made the run fail */
  until<Value>(promise: Promise<Value>): Promise<Value> {
    return Promise.race([promise, this.#failure]);
  }

  /** Waits until all of these have come. */
  async complete(...tallies: Tally[]): Promise<void> {
    await this.until(Promise.all(tallies.map(({ complete }) => complete)));
  }

  /** Begins to measure; the function returned tells what went by since. */
  startLap(): () => Lap {
    const cpuBefore = cpuSeconds(this.#target.pid);
    const startedAt = performance.now();
    return () => {
      const seconds = (performance.now() - startedAt) / 1000;
      return { seconds, cpuSeconds: cpuSeconds(this.#target.pid) - cpuBefore };
    };
  }

  /** The run has failed: its connections need no goodbye. */
  abandon(): void {
    this.#hasFailed = true;
  }

  /** Ends the connections and deletes queues and exchanges. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    if (this.#hasFailed) for (const client of this.#clients) client.destroy();
    else await this.until(Promise.all(this.#clients.map((client) => client.close())));
    if (this.#queues.length + this.#exchanges.length === 0) return;
    const client = await BenchClient.connect(this.#target.url);
    for (const queue of this.#queues) {
      const method = { id: methods.QUEUE_DELETE, queue, ifUnused: false, ifEmpty: false, noWait: false } as const;
      await client.call(method, methods.QUEUE_DELETE_OK);
    }
    for (const exchange of this.#exchanges) {
      await client.call(
        { id: methods.EXCHANGE_DELETE, exchange, ifUnused: false, noWait: false },
        methods.EXCHANGE_DELETE_OK,
      );
    }
    await client.close();
  }

  #check(): void {
    const progress = this.#tallies.reduce((sum, { count }) => sum + count, this.published);
    if (progress !== this.#lastProgress) {
      this.#lastProgress = progress;
      this.#lastMovedMs = performance.now();
      return;
    }
    const missing = this.#tallies.flatMap((tally) => tally.missing ?? []);
    if (missing.length === 0 || performance.now() - this.#lastMovedMs < STALL_MS) return;
    this.#fail(new Error(`nothing moved for ${STALL_MS / 1000} s; ${missing.slice(0, 3).join('; ')}`));
  }
}
