// The data folder of a broker, wired: the store on the real disk, the watch over its free space, and what was in it before.
import type { UserDirectory, UserEntry } from './auth/user-directory.ts';
import type { BrokerConfig } from './config.ts';
import type { Alarms } from './core/alarms.ts';
import { BrokerError, describeResource } from './core/errors.ts';
import type { MemoryAccount } from './core/memory-account.ts';
import type { Clock } from './core/ports.ts';
import type { PublishFlow } from './core/publish-flow.ts';
import type { TurnScheduler } from './core/turn.ts';
import type { VirtualHost } from './core/virtual-host.ts';
import type { Logger } from './log.ts';
import { currentParameters, restoreParameter } from './runtime-parameters.ts';
import { DiskMonitor } from './storage/disk-monitor.ts';
import { DiskStore } from './storage/disk-store.ts';
import type { DiskRoom } from './storage/log-files.ts';
import { nodeFileSystem } from './storage/node-file-system.ts';
import { StorageError } from './storage/storage-error.ts';

/** A full disk is tried again so often. */
const RETRY_MS = 1000;

export interface DataFolderParts {
  readonly clock: Clock;
  readonly turn: TurnScheduler;
  readonly memory: MemoryAccount;
  readonly flow: PublishFlow;
  readonly alarms: Alarms;
  readonly logger: Logger;
  readonly defect: (error: unknown) => void;
  /** Nothing can be kept safe any more. */
  readonly failed: (error: Error) => void;
}

/** Waits for room on a full disk, for as long as the broker runs. */
class RoomOnDisk implements DiskRoom {
  readonly #monitor: DiskMonitor;
  readonly #parts: DataFolderParts;
  isClosing = false;

  constructor(monitor: DiskMonitor, parts: DataFolderParts) {
    this.#monitor = monitor;
    this.#parts = parts;
  }

  full(error: Error): Promise<void> {
    if (this.isClosing) return Promise.reject(error);
    this.#parts.logger.warn({ err: error }, 'a write found no room on the disk, and is tried again until there is');
    this.#monitor.full();
    return new Promise((resolve) => this.#parts.clock.after(RETRY_MS, resolve));
  }

  recovered(): void {
    this.#monitor.recovered();
  }
}

export class DataFolder {
  readonly store: DiskStore;
  readonly #monitor: DiskMonitor;
  readonly #room: RoomOnDisk;
  readonly #startedAt: number;
  readonly #parts: DataFolderParts;

  private constructor(
    store: DiskStore,
    monitor: DiskMonitor,
    room: RoomOnDisk,
    parts: DataFolderParts,
    startedAt: number,
  ) {
    this.store = store;
    this.#monitor = monitor;
    this.#room = room;
    this.#parts = parts;
    this.#startedAt = startedAt;
  }

  /**
   * Opens the folder and brings back what is in it.
   * @throws {StorageError} when it is damaged or can't be used; then `code` is the system's, or ELOCKED when another broker has it
   */
  static async open(directory: string, config: BrokerConfig, parts: DataFolderParts): Promise<DataFolder> {
    const { clock, turn, memory, flow, alarms, logger, defect, failed } = parts;
    const startedAt = clock.now();
    const monitor: DiskMonitor = new DiskMonitor({
      fileSystem: nodeFileSystem,
      directory,
      limitBytes: config.diskFreeLimitBytes,
      clock,
      listener: (raised) => {
        const fields = { freeBytes: monitor.freeBytes, limitBytes: config.diskFreeLimitBytes };
        if (raised) logger.warn(fields, 'disk alarm: publishers are blocked until there is room');
        else logger.info(fields, 'disk alarm cleared');
        alarms.set('disk', raised);
      },
      warn: (err) => logger.warn({ err }, 'the free space of the disk can not be read'),
    });
    const room = new RoomOnDisk(monitor, parts);
    const opening = DiskStore.open({
      fileSystem: nodeFileSystem,
      directory,
      fsync: config.fsync,
      segmentBytes: config.segmentSizeBytes,
      budgetBytes: config.memoryBudgetBytes,
      clock,
      turn,
      memory,
      flow,
      logger,
      room,
      defect,
      failed,
    });
    const store = await opening.catch((error: unknown) => {
      throw explained(error, directory);
    });
    await monitor.start();
    return new DataFolder(store, monitor, room, parts, startedAt);
  }

  /** Names of the virtual hosts that were there before. */
  get virtualHostNames(): Iterable<string> {
    return this.store.topology.vhosts;
  }

  /** The users that are remembered. */
  get users(): Iterable<UserEntry> {
    return this.store.topology.users.values();
  }

  /**
   * Fills the virtual hosts with what was there before, and begins to write down what changes.
   * @throws {StorageError} for what was there and is not known any more, such as an exchange type
   */
  start(virtualHosts: ReadonlyMap<string, VirtualHost>, directory: UserDirectory): void {
    const { store } = this;
    const { topology } = store;
    // Before what they apply to.
    for (const parameter of topology.parameters.values()) {
      const { component, name, virtualHost: vhost } = parameter;
      const restore = (): void => restoreParameter(parameter, virtualHosts, directory.users);
      restored(`${component} '${name}'${vhost === '' ? '' : ` in vhost '${vhost}'`}`, restore);
    }
    for (const { vhost, ...exchange } of topology.exchanges.values()) {
      const restore = (): void => virtualHosts.get(vhost)?.restoreExchange({ ...exchange, durable: true });
      restored(describeResource('exchange', exchange.name, vhost), restore);
    }
    let messages = 0;
    const queues = [];
    for (const { entry, recovered } of store.recoveredQueues()) {
      const { vhost, name, autoDelete, arguments: args } = entry;
      const settings = { name, durable: true, autoDelete, owner: null, arguments: args };
      const restore = () => virtualHosts.get(vhost)?.restoreQueue(settings, recovered);
      const queue = restored(describeResource('queue', name, vhost), restore);
      if (queue !== undefined) queues.push(queue);
    }
    for (const { vhost, ...binding } of topology.bindings.values()) virtualHosts.get(vhost)?.restoreBinding(binding);
    for (const name of virtualHosts.keys()) if (!topology.vhosts.has(name)) store.virtualHostCreated(name);
    store.start(() => ({
      vhosts: virtualHosts.keys(),
      users: directory.entries(),
      parameters: currentParameters(virtualHosts, directory.users),
      exchanges: eachOf(virtualHosts, (virtualHost) => virtualHost.durableExchanges()),
      bindings: eachOf(virtualHosts, (virtualHost) => virtualHost.durableBindings()),
    }));
    for (const { messageCount } of queues) messages += messageCount;
    const milliseconds = Math.round(this.#parts.clock.now() - this.#startedAt);
    this.#parts.logger.info({ queues: queues.length, messages, milliseconds }, 'data folder opened');
  }

  async close(): Promise<void> {
    this.#room.isClosing = true;
    this.#monitor.close();
    await this.store.close();
  }
}

/** What to do about codes that the system answers when a folder can't be used. */
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'give this user the right to read and write it, or choose another folder',
  EPERM: 'give this user the right to read and write it, or choose another folder',
  EROFS: 'choose a folder on a disk that can be written to',
  EEXIST: 'it is no folder; move it away, or choose another one',
  ENOTDIR: 'it is no folder, or what is above it is none; choose another one',
  ENOSPC: 'make room on its disk, or choose a folder on another one',
  EDQUOT: 'make room in the quota of this user, or choose a folder on another disk',
};

/** Says of the system's errors which folder can't be used, and what to do; others say that themselves, or are faults of ours. */
function explained(error: unknown, directory: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!(error instanceof Error) || error instanceof StorageError || !/^E[A-Z\d]+$/.test(code)) return error;
  if (code === 'ELOCKED') return withCode(new StorageError(error.message, { cause: error }), code);
  const advice = ADVICE[code] ?? 'mend that, or choose another folder';
  const text = `the data folder '${directory}' can not be used: ${error.message}; ${advice}`;
  return withCode(new StorageError(text, { cause: error }), code);
}

function withCode(error: StorageError, code: string): StorageError {
  return Object.assign(error, { code });
}

/** Does what brings something back. @throws {StorageError} when it is not known any more, telling what it was */
function restored<T>(resource: string, restore: () => T): T {
  try {
    return restore();
  } catch (error) {
    if (!(error instanceof BrokerError || error instanceof SyntaxError)) throw error;
    const text = `the data folder holds ${resource}, which this broker can not have: ${error.message}`;
    throw new StorageError(text, { cause: error });
  }
}

/** What all virtual hosts have of something, each with the name of its virtual host. */
function* eachOf<Thing extends object>(
  virtualHosts: ReadonlyMap<string, VirtualHost>,
  things: (virtualHost: VirtualHost) => Iterable<Thing>,
): Generator<Thing & { vhost: string }> {
  for (const [vhost, virtualHost] of virtualHosts) for (const thing of things(virtualHost)) yield { vhost, ...thing };
}
