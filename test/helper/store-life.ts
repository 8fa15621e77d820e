// One life of a broker without sockets: virtual hosts and a store on a simulated disk, from opening the folder to the end of the
// process, wired as lib/data-folder.ts wires them.
import { ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { QueueStore, StoredParameter, StoredQueue } from '../../lib/core/message-store.ts';
import type { Logger } from '../../lib/core/ports.ts';
import { PublishFlow } from '../../lib/core/publish-flow.ts';
import type { Queue } from '../../lib/core/queue.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { VirtualHost } from '../../lib/core/virtual-host.ts';
import { DiskQueue } from '../../lib/storage/disk-queue.ts';
import { DiskStore } from '../../lib/storage/disk-store.ts';
import type { DiskRoom } from '../../lib/storage/log-files.ts';
import type { SyncMode } from '../../lib/storage/write-ahead-log.ts';
import type { SimulatedDisk } from './sim-disk.ts';
import { StoreClock } from './store-clock.ts';
import { ProcessDisk } from './store-process.ts';

export const FOLDER = '/data';
export const VIRTUAL_HOSTS = ['/', 'other'] as const;
/** A full disk is tried again after so long. */
const RETRY_MS = 20;
/** After so many turns something that should have happened will not happen. */
const PATIENCE_TURNS = 20_000;
/** The store is done when nothing happened for so many turns. */
const QUIET_TURNS = 4;

export interface Limits {
  readonly segmentBytes: number;
  readonly budgetBytes: number;
  readonly fsync: SyncMode;
}

export interface LogLine {
  readonly level: string;
  readonly text: string;
  readonly fields: object;
}

/** Waits for room on the disk as the broker does. */
class HarnessRoom implements DiskRoom {
  readonly #clock: StoreClock;
  isClosing = false;
  /** Hears of each write that found no room. */
  onFull: (count: number) => void = () => undefined;
  /** Writes that found no room, and of those the ones that did later. */
  fullCount = 0;
  recoveredCount = 0;

  constructor(clock: StoreClock) {
    this.#clock = clock;
  }

  full(error: Error): Promise<void> {
    if (this.isClosing) return Promise.reject(error);
    this.fullCount++;
    this.onFull(this.fullCount);
    return new Promise((resolve) => this.#clock.after(RETRY_MS, resolve));
  }

  recovered(): void {
    this.recoveredCount++;
  }
}

export class StoreLife {
  readonly process: ProcessDisk;
  readonly clock: StoreClock;
  readonly memory: MemoryAccount;
  readonly room: HarnessRoom;
  readonly flow = new PublishFlow();
  readonly virtualHosts = new Map<string, VirtualHost>();
  /** What is known of users, by name. */
  readonly users = new Map<string, Buffer>();
  /** Runtime parameters, by what names them. */
  readonly parameters = new Map<string, StoredParameter>();
  readonly log: LogLine[] = [];
  /** What the store failed with. */
  readonly failures: Error[] = [];
  /** Errors that only a defect explains. */
  readonly defects: unknown[] = [];
  /** The disk's side of each queue. */
  readonly #queueStores = new Map<object, DiskQueue>();
  #store: DiskStore | null = null;
  #createHost: ((name: string) => VirtualHost) | null = null;

  private constructor(disk: SimulatedDisk) {
    this.process = new ProcessDisk(disk);
    this.clock = new StoreClock((error) => this.defects.push(error));
    this.room = new HarnessRoom(this.clock);
    this.memory = new MemoryAccount(2 ** 40, 2 ** 40);
  }

  /**
   * Opens the folder.
   * @param begun is given the life before it opens, so that it can be ended meanwhile
   */
  static async open(disk: SimulatedDisk, limits: Limits, begun?: (life: StoreLife) => void): Promise<StoreLife> {
    const life = new StoreLife(disk);
    begun?.(life);
    try {
      await life.#open(limits);
    } catch (error) {
      await life.kill();
      throw error;
    }
    return life;
  }

  get store(): DiskStore {
    if (this.#store === null) throw new Error('the store is not open yet');
    return this.#store;
  }

  queueStore(queue: Queue): DiskQueue {
    const found = this.#queueStores.get(queue);
    if (found === undefined) throw new Error(`queue ${queue.name} has no store`);
    return found;
  }

  get isDead(): boolean {
    return this.process.isDead;
  }

  get warnings(): string[] {
    return this.log
      .filter(({ level }) => level !== 'info')
      .map(({ text, fields }) => `${text} ${JSON.stringify(fields)}`);
  }

  /** All queues, with the names of their virtual hosts. */
  *queues(): Generator<[virtualHost: VirtualHost, queue: Queue]> {
    for (const virtualHost of this.virtualHosts.values()) {
      for (const queue of virtualHost.queues.values()) yield [virtualHost, queue];
    }
  }

  createVirtualHost(name: string): void {
    if (this.#createHost === null) throw new Error('the store is not open yet');
    this.virtualHosts.set(name, this.#createHost(name));
    this.store.virtualHostCreated(name);
  }

  /** Users, virtual hosts, durable exchanges and bindings, as sorted lines. */
  describeTopology(): string {
    const lines = [...this.users].map(([name, json]) => `user ${name} ${json}`);
    for (const [key, { json }] of this.parameters) lines.push(`parameter ${key} ${json}`);
    for (const name of this.virtualHosts.keys()) {
      if (!VIRTUAL_HOSTS.some((known) => known === name)) lines.push(`virtual host ${name}`);
    }
    for (const [name, virtualHost] of this.virtualHosts) {
      for (const exchange of virtualHost.durableExchanges()) {
        lines.push(`${name} exchange ${exchange.name} ${exchange.type} ${exchange.autoDelete} ${exchange.internal}`);
      }
      for (const { source, destinationKind, destination, bindingKey } of virtualHost.durableBindings()) {
        lines.push(`${name} binding ${source} ${destinationKind} ${destination} ${bindingKey}`);
      }
    }
    return lines.sort().join('\n');
  }

  /** One turn of the event loop, in which a little time passes. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.clock.advance(1);
  }

  get hasFailed(): boolean {
    return this.failures.length > 0;
  }

  /** Lets turns go by until something is so. Returns at once when the process is dead, or the store has failed. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    for (let turn = 0; !isSo(); turn++) {
      if (this.isDead || this.hasFailed) return;
      if (turn > PATIENCE_TURNS) throw new Error(`waited for this in vain: ${what}`);
      await this.turn();
    }
  }

  /** Waits for the end of something that takes turns. */
  async wait(done: Promise<unknown>, what: string): Promise<void> {
    let isOver = false;
    let failure: { error: unknown } | null = null;
    done.then(
      () => {
        isOver = true;
      },
      (error) => {
        failure = { error };
        isOver = true;
      },
    );
    for (let turn = 0; !isOver && !this.isDead; turn++) {
      if (turn > PATIENCE_TURNS) throw new Error(`waited for this in vain: ${what}`);
      await this.turn();
    }
    // Only the callback sets it, which the compiler does not follow.
    const { error } = (failure ?? {}) as { error?: unknown };
    if (error !== undefined) throw error;
  }

  /** Lets turns go by until the store has nothing more to do but what it does when time passes. */
  async quiet(): Promise<void> {
    let quietTurns = 0;
    await this.until(() => {
      quietTurns = this.process.isIdle && this.clock.turnTasks === 0 ? quietTurns + 1 : 0;
      return quietTurns > QUIET_TURNS;
    }, 'the store has nothing to do');
  }

  /** The process ends, as with kill -9. */
  async kill(): Promise<void> {
    this.clock.isDead = true;
    await this.process.kill();
  }

  async close(): Promise<void> {
    this.room.isClosing = true;
    await this.wait(this.store.close(), 'the store is closed');
  }

  async #open({ segmentBytes, budgetBytes, fsync }: Limits): Promise<void> {
    const { clock, memory, flow, room } = this;
    const turn = new TurnScheduler(clock);
    const defect = (error: unknown): void => void this.defects.push(error);
    const opening = DiskStore.open({
      fileSystem: this.process,
      directory: FOLDER,
      fsync,
      segmentBytes,
      budgetBytes,
      // In proportion to segments that are as small as tests have them.
      preparing: { aheadBytes: segmentBytes / 4, smallBytes: segmentBytes / 8, smallRecords: 2 },
      clock,
      turn,
      memory,
      flow,
      logger: this.#logger(),
      room,
      defect,
      failed: (error) => this.failures.push(error),
    });
    opening.then(
      (store) => {
        this.#store = store;
      },
      () => undefined,
    );
    await this.wait(opening, 'the store is open');
    if (this.isDead) return;
    const { store } = this;
    const createQueue = store.createQueue.bind(store);
    store.createQueue = (virtualHost, host) => this.#note(host, createQueue(virtualHost, host));
    const exchangeTypes = new ExchangeTypeRegistry();
    const context = { exchangeTypes, memory, turn, slab: new RetentionSlab(), clock, defect, durability: store, store };
    this.#createHost = (name) => new VirtualHost(name, context);
    for (const name of new Set([...VIRTUAL_HOSTS, ...store.topology.vhosts])) {
      this.virtualHosts.set(name, this.#createHost(name));
    }
    for (const user of store.topology.users.values()) this.users.set(user.name, user.json);
    for (const parameter of store.topology.parameters.values()) this.parameters.set(parameterKey(parameter), parameter);
    this.#restore(store);
  }

  #restore(store: DiskStore): void {
    const { topology } = store;
    const { virtualHosts } = this;
    for (const { vhost, ...exchange } of topology.exchanges.values()) {
      virtualHosts.get(vhost)?.restoreExchange({ ...exchange, durable: true });
    }
    for (const { entry, recovered } of store.recoveredQueues()) {
      const { vhost, name, autoDelete, arguments: args } = entry;
      const settings = { name, durable: true, autoDelete, owner: null, arguments: args };
      const attach = (host: StoredQueue): QueueStore => this.#note(host, recovered.attach(host));
      virtualHosts.get(vhost)?.restoreQueue(settings, { ...recovered, attach });
    }
    for (const { vhost, ...binding } of topology.bindings.values()) virtualHosts.get(vhost)?.restoreBinding(binding);
    for (const name of virtualHosts.keys()) if (!topology.vhosts.has(name)) store.virtualHostCreated(name);
    store.start(() => ({
      vhosts: virtualHosts.keys(),
      users: [...this.users].map(([name, json]) => ({ name, json })),
      parameters: this.parameters.values(),
      exchanges: [...virtualHosts].flatMap(([vhost, host]) =>
        [...host.durableExchanges()].map((e) => ({ vhost, ...e })),
      ),
      bindings: [...virtualHosts].flatMap(([vhost, host]) => [...host.durableBindings()].map((b) => ({ vhost, ...b }))),
    }));
  }

  #note<Store extends QueueStore>(host: StoredQueue, store: Store): Store {
    if (store instanceof DiskQueue) this.#queueStores.set(host, store);
    return store;
  }

  #logger(): Logger {
    const at =
      (level: string) =>
      (fields: object, text: string): void =>
        void this.log.push({ level, text, fields });
    const logger: Logger = {
      debug: at('info'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: () => logger,
    };
    return logger;
  }
}

/** What names a runtime parameter. */
export function parameterKey({ virtualHost, component, name }: Omit<StoredParameter, 'json'>): string {
  return `${virtualHost} ${component} ${name}`;
}
