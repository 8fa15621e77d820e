// The composition root: the only file that wires implementations together.
import { EventEmitter } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getHeapStatistics } from 'node:v8';
import { decodeFieldTable } from '../codec/field-table.ts';
import { builtInExchangeTypes, ExchangeTypeRegistry } from '../exchanges/exchange-type-registry.ts';
import { AdminChanges } from './admin-changes.ts';
import { createSaslMechanisms } from './auth/sasl.ts';
import { UserDirectory } from './auth/user-directory.ts';
import { type Administration, BrokerAdmin, type BrokerUser, tellOfUsers, type UserChange } from './broker-admin.ts';
import {
  type BrokerPolicy,
  PolicyAdmin,
  type PolicyOptions,
  type UserLimits,
  type VirtualHostLimits,
} from './broker-policies.ts';
import { systemClock } from './clock.ts';
import { type BrokerConfig, type BrokerOptions, resolveOptions } from './config.ts';
import { Alarms } from './core/alarms.ts';
import { IN_MEMORY } from './core/durability.ts';
import { MemoryAccount } from './core/memory-account.ts';
import { PublishFlow } from './core/publish-flow.ts';
import { RetentionSlab } from './core/retention-slab.ts';
import { TurnScheduler } from './core/turn.ts';
import { VirtualHost, type VirtualHostContext } from './core/virtual-host.ts';
import { DataFolder } from './data-folder.ts';
import { Linger } from './linger.ts';
import { createLogger, type Logger } from './log.ts';
import type { PeerAddresses } from './protocols/amqp/amqp-context.ts';
import { AmqpListener } from './protocols/amqp/amqp-listener.ts';
import type { CloseReason } from './protocols/amqp/close-reason.ts';
import { serverProperties } from './protocols/amqp/server-properties.ts';
import { shareReads } from './shared-reads.ts';

/** A running broker. */
export interface Broker extends Administration, AsyncDisposable {
  /**
   * `amqp://user:password@host:port/vhost`, of the first user and virtual host of the configuration: what a client's connect takes.
   * Without user and password when these don't open, since they were changed at run time.
   */
  readonly url: string;
  /** The address that it listens on, as it was asked for. */
  readonly host: string;
  /** The TCP port that it listens on. */
  readonly port: number;
  /** AMQP connections that are open, in the handshake or closing. */
  readonly connectionCount: number;
  /** Bytes that messages hold in memory, their bookkeeping included; above `memoryLimitBytes` publishers are blocked. */
  readonly memoryUsedBytes: number;
  /** How many connections ended so far, by reason. */
  readonly connectionEnds: ReadonlyMap<CloseReason, number>;
  /**
   * Serves AMQP on a stream that the program brings, such as one end of a pair in memory.
   * @param peer addresses to show in names and logs; a `remoteAddress` that is not a loopback one keeps `guest` out
   */
  accept(stream: Duplex, peer?: PeerAddresses): void;
  /**
   * `error`: the broker failed as a whole, and can no longer keep messages safe as it promises; what was confirmed before is.
   * All that is left to do is to end it. As with any event emitter, an error that nobody listens for is thrown.
   */
  on(event: 'error', listener: (error: Error) => void): this;
  off(event: 'error', listener: (error: Error) => void): this;
  /**
   * Stops listening and closes every connection with 320 CONNECTION_FORCED; after `shutdownTimeoutMs` those that did not
   * answer are cut. Resolves when all is over; further calls give the same promise.
   */
  close(): Promise<void>;
}

/**
 * Starts a broker and resolves when it listens.
 * @param options see the table of options; `port: 0` takes any free port
 * @throws {ConfigError} for an option that is unknown or has a bad value
 * @throws {StorageError} when the data folder is damaged, locked or can't be used
 * @throws {Error} of the socket when it can't listen: `code` is EADDRINUSE, EACCES, EADDRNOTAVAIL...
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const config = resolveOptions(options);
  const core = await createCore(config, options.users === undefined);
  const broker = new RunningBroker(config, core);
  try {
    await broker.listen();
  } catch (error) {
    await core.folder?.close();
    throw error;
  }
  return broker;
}

/** The parts of a broker that know nothing of listeners and protocols. */
interface BrokerCore {
  readonly logger: Logger;
  readonly memory: MemoryAccount;
  readonly alarms: Alarms;
  readonly flow: PublishFlow;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  readonly events: EventEmitter;
  readonly virtualHosts: Map<string, VirtualHost>;
  readonly context: VirtualHostContext;
  readonly directory: UserDirectory;
  /** Null when everything is in memory. */
  readonly folder: DataFolder | null;
}

/** @param isDefaultUser the configuration says nothing of users */
async function createCore(config: BrokerConfig, isDefaultUser: boolean): Promise<BrokerCore> {
  const logger = config.logger ?? createLogger({ level: config.logLevel, format: config.logFormat });
  const memory = new MemoryAccount(config.memoryLimitBytes, getHeapStatistics().heap_size_limit);
  const alarms = new Alarms();
  const flow = new PublishFlow();
  const linger = new Linger(systemClock);
  const turn = new TurnScheduler(systemClock, () => linger.turnEnded());
  const slab = new RetentionSlab();
  const events = new EventEmitter();
  const defect = (err: unknown): void => logger.error({ err }, 'a defect of the broker');
  alarms.set('memory', memory.raised);
  memory.watch((raised) => {
    const fields = { usedBytes: memory.usedBytes, limitBytes: memory.limitBytes };
    if (raised) logger.warn(fields, 'memory alarm: publishers are blocked until consumers made room');
    else logger.info(fields, 'memory alarm cleared');
    alarms.set('memory', raised);
  });
  // In a turn of its own: with nobody listening it must end the program, not be caught by whoever noticed the failure.
  const failed = (error: Error): void =>
    process.nextTick(() => {
      events.emit('failed', error);
      events.emit('error', error);
    });
  const parts = { clock: systemClock, turn, memory, flow, alarms, logger, defect, failed };
  const folder = config.dataDir === undefined ? null : await DataFolder.open(config.dataDir, config, parts);
  try {
    const exchangeTypes = new ExchangeTypeRegistry([...builtInExchangeTypes, ...config.exchangeTypes]);
    const store = folder?.store ?? null;
    const virtualHosts = new Map<string, VirtualHost>();
    const context: VirtualHostContext = {
      exchangeTypes,
      memory,
      turn,
      slab,
      clock: systemClock,
      defect,
      durability: store ?? IN_MEMORY,
      store,
      quorumDeliveryLimit: config.quorumDeliveryLimit < 0 ? Infinity : config.quorumDeliveryLimit,
      queueQuota: {
        limit: config.maxQueues === 0 ? Infinity : config.maxQueues,
        count: () => [...virtualHosts.values()].reduce((sum, { queues }) => sum + queues.size, 0),
      },
    };
    const names = new Set([...config.vhosts, ...(folder?.virtualHostNames ?? [])]);
    for (const name of names) virtualHosts.set(name, new VirtualHost(name, context));
    const directory = new UserDirectory({
      definitions: config.users,
      isDefault: isDefaultUser,
      entries: folder?.users ?? [],
      journal: store,
    });
    tellOfUsers(directory, logger);
    folder?.start(virtualHosts, directory);
    return { logger, memory, alarms, flow, turn, slab, events, virtualHosts, context, directory, folder };
  } catch (error) {
    await folder?.close();
    throw error;
  }
}

const MAX_INTERVAL_MS = 2 ** 31 - 1;

/**
 * So many connections wait to be accepted, if the system lets them: with Node's 511, thousands of clients that come back at once wait
 * a second and more for their TCP to try again.
 */
const BACKLOG = 4096;

const EMBEDDED_PEER: PeerAddresses = {
  remoteAddress: '127.0.0.1',
  remotePort: 0,
  localAddress: '127.0.0.1',
  localPort: 0,
};

class RunningBroker implements Broker {
  readonly #config: BrokerConfig;
  readonly #core: BrokerCore;
  readonly #amqp: AmqpListener;
  readonly #admin: BrokerAdmin;
  readonly #policies: PolicyAdmin;
  readonly #changes: AdminChanges;
  readonly #server: Server;
  readonly #take = (socket: Socket): void => this.#amqp.accept(socket, socket, true);
  #port = 0;
  #closed: Promise<void> | undefined;

  constructor(config: BrokerConfig, core: BrokerCore) {
    const { logger, memory, alarms, flow, turn, slab, virtualHosts, context, directory, folder } = core;
    const { frameMaxBytes, channelMax, heartbeatSeconds, handshakeTimeoutMs } = config;
    const { maxMessageSizeBytes, consumerTimeoutMs, loopbackUsers } = config;
    this.#config = config;
    this.#core = core;
    this.#amqp = new AmqpListener(
      {
        serverProperties: serverProperties(config),
        frameMaxBytes,
        channelMax,
        heartbeatSeconds,
        handshakeTimeoutMs,
        maxMessageSizeBytes,
        consumerTimeoutMs,
        users: directory.users,
        saslMechanisms: createSaslMechanisms({ decodeTable }),
        loopbackUsers,
        virtualHosts,
        memory,
        alarms,
        flow,
        turn,
        slab,
        clock: systemClock,
        logger,
      },
      config.maxConnections,
    );
    const changes = new AdminChanges(context.durability);
    const store = folder?.store ?? null;
    this.#changes = changes;
    this.#admin = new BrokerAdmin({ virtualHosts, context, directory, store, listener: this.#amqp, changes, logger });
    this.#policies = new PolicyAdmin({ virtualHosts, users: directory.users, store, changes, logger });
    core.events.on('failed', (error: Error) => changes.failed(error));
    this.#server = createServer({ noDelay: true }, this.#take);
  }

  get url(): string {
    const [user] = this.#config.users;
    const [vhost] = this.#config.vhosts;
    const { users } = this.#core.directory;
    const opens = user !== undefined && users.authenticate(user.name, user.password) !== undefined;
    const credentials = opens ? `${encodeURIComponent(user.name)}:${encodeURIComponent(user.password)}@` : '';
    return `amqp://${credentials}${urlHost(this.host)}:${this.port}/${encodeURIComponent(vhost)}`;
  }

  get host(): string {
    return this.#config.host;
  }

  get port(): number {
    return this.#port;
  }

  get connectionCount(): number {
    return this.#amqp.connectionCount;
  }

  get memoryUsedBytes(): number {
    return this.#core.memory.usedBytes;
  }

  get connectionEnds(): ReadonlyMap<CloseReason, number> {
    return this.#amqp.ends;
  }

  get virtualHosts(): readonly string[] {
    return this.#admin.virtualHosts;
  }

  get users(): readonly BrokerUser[] {
    return this.#admin.users;
  }

  createVirtualHost(name: string): Promise<void> {
    return this.#admin.createVirtualHost(name);
  }

  deleteVirtualHost(name: string): Promise<void> {
    return this.#admin.deleteVirtualHost(name);
  }

  putUser(user: UserChange): Promise<void> {
    return this.#admin.putUser(user);
  }

  deleteUser(name: string): Promise<void> {
    return this.#admin.deleteUser(name);
  }

  get policies(): readonly BrokerPolicy[] {
    return this.#policies.policies;
  }

  get operatorPolicies(): readonly BrokerPolicy[] {
    return this.#policies.operatorPolicies;
  }

  putPolicy(policy: PolicyOptions): Promise<void> {
    return this.#policies.putPolicy(policy);
  }

  deletePolicy(vhost: string, name: string): Promise<void> {
    return this.#policies.deletePolicy(vhost, name);
  }

  putOperatorPolicy(policy: PolicyOptions): Promise<void> {
    return this.#policies.putOperatorPolicy(policy);
  }

  deleteOperatorPolicy(vhost: string, name: string): Promise<void> {
    return this.#policies.deleteOperatorPolicy(vhost, name);
  }

  virtualHostLimits(vhost: string): VirtualHostLimits {
    return this.#policies.virtualHostLimits(vhost);
  }

  setVirtualHostLimits(vhost: string, limits: Partial<VirtualHostLimits>): Promise<void> {
    return this.#policies.setVirtualHostLimits(vhost, limits);
  }

  userLimits(user: string): UserLimits {
    return this.#policies.userLimits(user);
  }

  setUserLimits(user: string, limits: Partial<UserLimits>): Promise<void> {
    return this.#policies.setUserLimits(user, limits);
  }

  async listen(): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: this.#config.host, port: this.#config.port, backlog: BACKLOG }, () => {
        server.off('error', reject);
        shareReads(server, this.#take);
        // A connection that can't be accepted (too many open files) is its client's loss, not the broker's end.
        server.on('error', (err) => this.#core.logger.error({ err }, 'a connection could not be accepted'));
        resolve();
      });
    });
    const address = server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : this.#config.port;
  }

  accept(stream: Duplex, peer: PeerAddresses = EMBEDDED_PEER): void {
    this.#amqp.accept(stream, peer, false);
  }

  on(event: 'error', listener: (error: Error) => void): this {
    this.#core.events.on(event, listener);
    return this;
  }

  off(event: 'error', listener: (error: Error) => void): this {
    this.#core.events.off(event, listener);
    return this;
  }

  close(): Promise<void> {
    this.#changes.close();
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // Streams in memory don't keep the process alive, nor do the broker's timers; but somebody awaits this.
    const stayAlive = setInterval(() => {}, MAX_INTERVAL_MS);
    try {
      await this.#amqp.close(this.#config.shutdownTimeoutMs);
      await stopped;
      // What changed from here on would make the last checkpoint one that is not the last.
      for (const virtualHost of this.#core.virtualHosts.values()) virtualHost.stop();
      await this.#core.folder?.close();
    } finally {
      clearInterval(stayAlive);
    }
  }
}

/** A SASL AMQPLAIN response is a field table without its length. */
function decodeTable(bytes: Buffer): ReturnType<typeof decodeFieldTable> {
  const table = Buffer.allocUnsafe(bytes.length + 4);
  table.writeUInt32BE(bytes.length, 0);
  bytes.copy(table, 4);
  return decodeFieldTable(table, 0, table.length);
}

/** Where a client on this machine finds it. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
