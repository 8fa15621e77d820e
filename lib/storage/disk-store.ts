// The store of a broker with a data folder: wires log, pages and checkpoints together, brings back what was there before, and
// decides when to clean up.
import type { BindingRequest } from '../core/binding.ts';
import type { ExchangeSettings } from '../core/exchange.ts';
import type {
  MessageStore,
  PlacedMessages,
  RecoveredQueue,
  StoredParameter,
  StoredQueue,
} from '../core/message-store.ts';
import { survivesRestart } from '../core/message-store.ts';
import type { QueueLevel } from '../core/positions.ts';
import { countBodies } from './body-count.ts';
import { Checkpointer, type TopologySnapshot } from './checkpointer.ts';
import { scanDeadlines, tellDeadlines } from './deadline-scan.ts';
import { DiskQueue } from './disk-queue.ts';
import type { LogEntry } from './log-entry.ts';
import { LogFiles, whenThereIsRoom } from './log-files.ts';
import { Maintenance } from './maintenance.ts';
import type { PageRange } from './page.ts';
import { PageFiles } from './page-files.ts';
import { PageReader, type RangeRead } from './page-reader.ts';
import { Pager } from './pager.ts';
import { PREPARING } from './prepared-space.ts';
import { type Recovered, Recovery } from './recovery.ts';
import { countsOfLiving, dropDeleted, finishRanges } from './replayed-queue.ts';
import { StoreContext } from './store-context.ts';
import type { StoreOptions } from './store-options.ts';
import * as entries from './topology-entries.ts';
import type { TopologyState } from './topology-state.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

/** A durable queue that was there before. */
export interface RecoveredQueueEntry {
  readonly entry: entries.QueueEntry;
  readonly recovered: RecoveredQueue;
}

export class DiskStore implements MessageStore {
  readonly #options: StoreOptions;
  readonly #unlock: () => Promise<void>;
  readonly #queues = new Set<DiskQueue>();
  readonly #context: StoreContext;
  readonly #reader: PageReader;
  readonly #files: LogFiles;
  readonly #pages: PageFiles;
  readonly #log: WriteAheadLog;
  readonly #pager: Pager;
  readonly #checkpointer: Checkpointer;
  readonly #maintenance: Maintenance;
  /** What recovery found; null once it has been handed on. */
  #recovered: Recovered | null;
  #nextQueueId: number;
  /** Its queues are there, with their messages. */
  #hasStarted = false;
  #hasFailed = false;
  /** Resolves when the store has failed. */
  readonly #failure: Promise<void>;
  #tellFailure: () => void = () => undefined;
  /** From here on only the last checkpoint is made. */
  #isClosing = false;
  #closed = false;
  #topology: () => TopologySnapshot = () => ({ vhosts: [], users: [], parameters: [], exchanges: [], bindings: [] });

  private constructor(options: StoreOptions, unlock: () => Promise<void>, context: StoreContext, recovered: Recovered) {
    const { fileSystem: fs, directory, clock, turn, flow, memory, room, fsync, segmentBytes, budgetBytes } = options;
    this.#options = options;
    this.#unlock = unlock;
    this.#context = context;
    context.store = this;
    this.#failure = new Promise((resolve) => {
      this.#tellFailure = resolve;
    });
    this.#recovered = recovered;
    this.#nextQueueId = recovered.nextQueueId;
    this.#reader = new PageReader(fs, directory, context.routes);
    this.#pages = new PageFiles(fs, `${directory}/pages`, room, this.#reader, recovered.nextPage);
    for (const page of recovered.pages) this.#pages.pages.add(page);
    const isLazy = fsync !== 'always';
    const { preparing = PREPARING } = options;
    this.#files = new LogFiles(fs, `${directory}/log`, segmentBytes, isLazy, room, recovered.segments, preparing);
    this.#log = new WriteAheadLog({
      files: this.#files,
      fsync,
      clock,
      turn,
      flow,
      sequence: recovered.sequence,
      failed: (error) => this.fail(error),
      defect: options.defect,
      committed: () => this.#maintain(),
    });
    this.#pager = new Pager({
      memory,
      budgetBytes,
      flow,
      pages: this.#pages,
      queues: this.#queues,
      flushLog: () => this.#log.flush(),
      breathe: () => new Promise((resolve) => clock.endOfTurn(resolve)),
      failed: (error) => this.fail(error),
      done: () => this.#maintain(),
    });
    this.#checkpointer = new Checkpointer({
      fs,
      directory,
      log: this.#log,
      files: this.#files,
      pages: this.#pages,
      queues: this.#queues,
      room,
      nextQueueId: () => this.#nextQueueId,
      topology: () => this.#topology(),
    });
    this.#maintenance = new Maintenance({
      clock,
      segmentBytes,
      files: this.#files,
      log: this.#log,
      pages: this.#pages,
      reader: this.#reader,
      pager: this.#pager,
      checkpointer: this.#checkpointer,
      rangeEnded: (range) => this.rangeEnded(range),
      failed: (error) => this.fail(error),
    });
  }

  /**
   * Opens a data folder, and brings back what is in it.
   * @throws {StorageError} when it is damaged; {Error} of the file system, ELOCKED when another broker has it
   */
  static async open(options: StoreOptions): Promise<DiskStore> {
    const { fileSystem: fs, directory, logger, clock } = options;
    await fs.makeDirectory(directory);
    const unlock = await fs.lock(`${directory}/lock`);
    try {
      const context = new StoreContext(options.memory, clock, options.defect);
      const recovery = new Recovery({
        fs,
        directory,
        routes: context.routes,
        logger,
        now: () => clock.now(),
        createQueue: (id) => new DiskQueue(id, '', true, context),
      });
      const store = new DiskStore(options, unlock, context, await recovery.run());
      await countBodies(store.#recoveredState(), store.#reader);
      return store;
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  // What was there before

  get topology(): TopologyState {
    return this.#recoveredState().topology;
  }

  /** The durable queues, for which queues are to be made; then `start` gives them their messages. */
  *recoveredQueues(): Generator<RecoveredQueueEntry> {
    const { topology, replay, wasClean } = this.#recoveredState();
    for (const entry of topology.queues.values()) {
      const known = replay.queueOf(entry.queueId);
      const { queue } = known;
      queue.virtualHost = entry.vhost;
      finishRanges(known);
      yield {
        entry,
        recovered: {
          levels: wasClean ? known.levels : known.levels.map(allDelivered),
          deliveryCounts: countsOfLiving(known),
          bodyBytes: known.bodyBytes,
          spentFrom: (position) => known.acknowledged.cut(position, Number.MAX_SAFE_INTEGER),
          attach: (host) => {
            queue.attach(host);
            this.#queues.add(queue);
            return queue;
          },
        },
      };
    }
  }

  /**
   * Begins work: gives the recovered queues their messages, and drops what belongs to none.
   * @param topology what is durable beside the queues, asked at every checkpoint
   */
  start(topology: () => TopologySnapshot): void {
    this.#topology = topology;
    const { replay, wasClean } = this.#recoveredState();
    // It refers to every message that the log holds, and to the buffer that they were read into.
    this.#recovered = null;
    const { memory } = this.#options;
    for (const known of replay.queues) {
      if (!this.#queues.has(known.queue)) known.queue.delete();
    }
    for (const segment of this.#files.segments) dropDeleted(segment.entries);
    for (const page of [...this.#pages.pages]) {
      if (page.ranges.size === 0) this.#pages.ended(page, (error) => this.fail(error));
    }
    for (const known of replay.queues) {
      const { queue } = known;
      if (queue.deleted) continue;
      const placed = known.placed();
      for (const message of placed.messages) memory.retain(message);
      if (placed.messages.length === 0) continue;
      queue.host.loaded(placed);
      tellDeadlines(queue.host, placed);
    }
    this.#hasStarted = true;
    this.#scanDeadlines().catch((error) => this.fail(error));
    // From here on a crash is no clean stop any more, even before anything else is written.
    if (wasClean) for (const name of this.#topology().vhosts) this.virtualHostCreated(name);
    this.#maintain();
  }

  // What the core asks

  get sequence(): number {
    return this.#log.sequence;
  }

  whenDurable(done: () => void): void {
    this.#log.whenDurable(done);
  }

  createQueue(virtualHost: string, host: StoredQueue): DiskQueue {
    const { settings } = host;
    const isLogged = survivesRestart(settings);
    const queue = new DiskQueue(this.#nextQueueId++, virtualHost, isLogged, this.#context);
    queue.attach(host);
    this.#queues.add(queue);
    if (isLogged) {
      const { name, autoDelete, arguments: args } = settings;
      const entry = { queueId: queue.id, vhost: virtualHost, name, autoDelete, arguments: args };
      this.#log.change((writer) => entries.writeQueue(writer, entry));
    }
    return queue;
  }

  exchangeDeclared(vhost: string, settings: ExchangeSettings): void {
    this.#log.change((writer) => entries.writeExchange(writer, { vhost, ...settings }));
  }

  exchangeDeleted(vhost: string, name: string): void {
    this.#log.change((writer) => entries.writeExchangeDeleted(writer, vhost, name));
  }

  bound(vhost: string, binding: BindingRequest): void {
    this.#log.change((writer) => entries.writeBinding(writer, { vhost, ...binding }));
  }

  unbound(vhost: string, binding: BindingRequest): void {
    this.#log.change((writer) => entries.writeBindingDeleted(writer, { vhost, ...binding }));
  }

  parameterSet(parameter: StoredParameter): void {
    this.#log.change((writer) => entries.writeParameter(writer, parameter));
  }

  parameterCleared(virtualHost: string, component: string, name: string): void {
    this.#log.change((writer) => entries.writeParameterDeleted(writer, virtualHost, component, name));
  }

  virtualHostCreated(name: string): void {
    this.#log.change((writer) => entries.writeVirtualHost(writer, name));
  }

  virtualHostDeleted(name: string): void {
    this.#log.change((writer) => entries.writeVirtualHostDeleted(writer, name));
  }

  userChanged(user: entries.UserEntry): void {
    this.#log.change((writer) => entries.writeUser(writer, user));
  }

  userDeleted(name: string): void {
    this.#log.change((writer) => entries.writeUserDeleted(writer, name));
  }

  // What its own parts ask

  append(entry: LogEntry, bytes: number): void {
    this.#log.append(entry, bytes);
  }

  touch(queue: DiskQueue): void {
    this.#log.touch(queue);
  }

  changed(): void {
    this.#log.sequence++;
  }

  queueDeleted(queue: DiskQueue): void {
    if (!this.#queues.delete(queue)) return;
    const { id, isLogged } = queue;
    if (isLogged) this.#log.change((writer) => entries.writeQueueDeleted(writer, id));
  }

  rangeEnded(range: PageRange): void {
    const { page } = range;
    if (page === null) return;
    page.ranges.delete(range);
    if (page.ranges.size > 0) return;
    this.#pages.ended(page, (error) => this.fail(error));
    this.#maintain();
  }

  read(range: PageRange): Promise<RangeRead | null> {
    return this.#readOf(range, () => this.#reader.read(range));
  }

  fetch(range: PageRange, positions: readonly number[]): Promise<PlacedMessages | null> {
    return this.#readOf(range, () => this.#reader.fetch(range, positions));
  }

  async #readOf<Read extends PlacedMessages>(range: PageRange, task: () => Promise<Read>): Promise<Read | null> {
    try {
      // There may be no more files that can be opened, for now.
      const read = await whenThereIsRoom(this.#options.room, task);
      // Whoever asked would change something, which is too late for a clean stop.
      if (this.#isClosing) return null;
      for (const message of read.messages) this.#options.memory.retain(message);
      return read;
    } catch (error) {
      // What nobody wants any more may have gone with its page.
      if (range.page?.ranges.has(range) === true) this.fail(error);
      return null;
    }
  }

  /** Ends for good what it promises. */
  fail(thrown: unknown): void {
    if (this.#hasFailed || this.#closed) return;
    this.#hasFailed = true;
    this.#maintenance.stop();
    this.#log.stop();
    this.#tellFailure();
    this.#options.failed(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }

  /** Writes what is left, and a checkpoint, so that the next start has nothing to repair; then gives up the folder. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#maintenance.stop();
    try {
      // Whatever waits for a log that has failed waits for ever.
      await Promise.race([this.#finish(), this.#failure]);
    } finally {
      this.#closed = true;
      // Whatever is asked from now on comes too late: the folder may be another's.
      this.#log.stop();
      await this.#files.close();
      await this.#reader.close();
      await this.#unlock();
    }
  }

  async #finish(): Promise<void> {
    await this.#pager.close();
    // A folder that was only looked at is left as it was.
    if (!this.#hasStarted || this.#hasFailed) return;
    // One may be on its way, and know nothing of what happened last.
    while (this.#checkpointer.isBusy) await this.#checkpointer.run();
    await this.#checkpointer.run(true);
    await this.#log.close();
  }

  #scanDeadlines(): Promise<void> {
    const { room, defect } = this.#options;
    const isOver = (): boolean => this.#isClosing || this.#hasFailed;
    const options = { queues: this.#queues, reader: this.#reader, isOver, defect };
    return whenThereIsRoom(room, () => scanDeadlines(options));
  }

  #recoveredState(): Recovered {
    if (this.#recovered === null) throw new Error('what was recovered has been handed on already');
    return this.#recovered;
  }

  /** Frees what can be freed, once there is nothing of a restart left to do. */
  #maintain(): void {
    if (this.#hasStarted && !this.#hasFailed && !this.#isClosing) this.#maintenance.run();
  }
}

/** Deliveries of the last milliseconds before a crash are not known. As in RabbitMQ, all that is left counts as delivered then. */
function allDelivered({ nextPosition }: QueueLevel): QueueLevel {
  return { nextPosition, deliveredTo: nextPosition };
}
