// The composition root: the only file that wires implementations together.
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getHeapStatistics } from 'node:v8';
import { decodeFieldTable } from '../codec/field-table.ts';
import { builtInExchangeTypes, ExchangeTypeRegistry } from '../exchanges/exchange-type-registry.ts';
import { createSaslMechanisms } from './auth/sasl.ts';
import { UserStore } from './auth/users.ts';
import { systemClock } from './clock.ts';
import { type BrokerConfig, type BrokerOptions, resolveOptions } from './config.ts';
import { MemoryAccount } from './core/memory-account.ts';
import { RetentionSlab } from './core/retention-slab.ts';
import { TurnScheduler } from './core/turn.ts';
import { VirtualHost, type VirtualHostContext } from './core/virtual-host.ts';
import { createLogger, type Logger } from './log.ts';
import type { PeerAddresses } from './protocols/amqp/amqp-context.ts';
import { AmqpListener } from './protocols/amqp/amqp-listener.ts';
import type { CloseReason } from './protocols/amqp/close-reason.ts';
import { serverProperties } from './protocols/amqp/server-properties.ts';

/** A running broker. */
export interface Broker extends AsyncDisposable {
  /** `amqp://user:password@host:port/vhost`, of the first user and virtual host: what a client's connect takes. */
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
   * Stops listening and closes every connection with 320 CONNECTION_FORCED; after `shutdownTimeoutMs` those that did not
   * answer are cut. Resolves when all is over; further calls give the same promise.
   */
  close(): Promise<void>;
}

/**
 * Starts a broker and resolves when it listens.
 * @param options see the table of options; `port: 0` takes any free port
 * @throws {ConfigError} for an option that is unknown or has a bad value
 * @throws {Error} of the socket when it can't listen: `code` is EADDRINUSE, EACCES, EADDRNOTAVAIL...
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = new RunningBroker(resolveOptions(options));
  await broker.listen();
  return broker;
}

const MAX_INTERVAL_MS = 2 ** 31 - 1;

const EMBEDDED_PEER: PeerAddresses = {
  remoteAddress: '127.0.0.1',
  remotePort: 0,
  localAddress: '127.0.0.1',
  localPort: 0,
};

class RunningBroker implements Broker {
  readonly #config: BrokerConfig;
  readonly #memory: MemoryAccount;
  readonly #amqp: AmqpListener;
  readonly #server: Server;
  readonly #logger: Logger;
  #port = 0;
  #closed: Promise<void> | undefined;

  constructor(config: BrokerConfig) {
    const logger = config.logger ?? createLogger({ level: config.logLevel, format: config.logFormat });
    const memory = new MemoryAccount(config.memoryLimitBytes, getHeapStatistics().heap_size_limit);
    const turn = new TurnScheduler(systemClock);
    const slab = new RetentionSlab();
    const exchangeTypes = new ExchangeTypeRegistry([...builtInExchangeTypes, ...config.exchangeTypes]);
    const defect = (err: unknown): void => logger.error({ err }, 'a defect of the broker');
    const context: VirtualHostContext = { exchangeTypes, memory, turn, slab, defect };
    const virtualHosts = new Map(config.vhosts.map((name) => [name, new VirtualHost(name, context)]));
    const { frameMaxBytes, channelMax, heartbeatSeconds, handshakeTimeoutMs, maxMessageSizeBytes, loopbackUsers } =
      config;
    this.#config = config;
    this.#logger = logger;
    this.#memory = memory;
    this.#amqp = new AmqpListener(
      {
        serverProperties: serverProperties(config),
        frameMaxBytes,
        channelMax,
        heartbeatSeconds,
        handshakeTimeoutMs,
        maxMessageSizeBytes,
        users: new UserStore(config.users),
        saslMechanisms: createSaslMechanisms({ decodeTable }),
        loopbackUsers,
        virtualHosts,
        memory,
        turn,
        slab,
        clock: systemClock,
        logger,
      },
      config.maxConnections,
    );
    this.#server = createServer({ noDelay: true }, (socket: Socket) => this.#amqp.accept(socket, socket, true));
    memory.watch((raised) => {
      const fields = { usedBytes: memory.usedBytes, limitBytes: memory.limitBytes };
      if (raised) logger.warn(fields, 'memory alarm: publishers are blocked until consumers made room');
      else logger.info(fields, 'memory alarm cleared');
    });
  }

  get url(): string {
    const [user] = this.#config.users;
    const [vhost] = this.#config.vhosts;
    const credentials =
      user === undefined ? '' : `${encodeURIComponent(user.name)}:${encodeURIComponent(user.password)}@`;
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
    return this.#memory.usedBytes;
  }

  get connectionEnds(): ReadonlyMap<CloseReason, number> {
    return this.#amqp.ends;
  }

  async listen(): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: this.#config.host, port: this.#config.port }, () => {
        server.off('error', reject);
        // A connection that can't be accepted (too many open files) is its client's loss, not the broker's end.
        server.on('error', (err) => this.#logger.error({ err }, 'a connection could not be accepted'));
        resolve();
      });
    });
    const address = server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : this.#config.port;
  }

  accept(stream: Duplex, peer: PeerAddresses = EMBEDDED_PEER): void {
    this.#amqp.accept(stream, peer, false);
  }

  close(): Promise<void> {
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
    await this.#amqp.close(this.#config.shutdownTimeoutMs);
    await stopped;
    clearInterval(stayAlive);
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
