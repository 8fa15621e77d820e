// The AMQP side of a broker: makes connections of streams, ticks them, and ends them all.
import type { Duplex } from 'node:stream';
import type { Timer } from '../../core/ports.ts';
import type { AmqpContext, ConnectionHost, PeerAddresses } from './amqp-context.ts';
import type { Session } from './channel-host.ts';
import type { CloseReason } from './close-reason.ts';
import { Connection } from './connection.ts';
import { startFrame } from './handshake.ts';
import { OutputPool } from './output-buffer.ts';

const TICK_MS = 1000;
const SHUTDOWN_TEXT = "broker forced connection closure with reason 'shutdown'";
/** After so many received bytes it is seen to that unacknowledged deliveries don't pin the chunks that they came in. */
const ISOLATE_BYTES = 16 * 1024 * 1024;

export class AmqpListener implements ConnectionHost {
  readonly pool = new OutputPool();
  readonly startFrame: Buffer;
  readonly #context: AmqpContext;
  readonly #maxConnections: number;
  readonly #connections = new Set<Connection>();
  readonly #ends = new Map<CloseReason, number>();
  #ticker: Timer | undefined;
  #receivedBytes = 0;
  #whenEmpty: (() => void) | undefined;
  #closing = false;

  /** @param maxConnections 0 for no limit */
  constructor(context: AmqpContext, maxConnections: number) {
    this.startFrame = startFrame(context);
    this.#context = context;
    this.#maxConnections = maxConnections;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** How many connections ended for each reason so far. */
  get ends(): ReadonlyMap<CloseReason, number> {
    return this.#ends;
  }

  /**
   * Serves AMQP on a stream.
   * @param reusableWrites the stream is done with a written buffer once its `writableLength` is zero, as a TCP socket is
   */
  accept(stream: Duplex, peer: PeerAddresses, reusableWrites: boolean): void {
    const connection = new Connection(stream, peer, reusableWrites, this.#context, this);
    this.#connections.add(connection);
    if (this.#closing) {
      connection.end('shutdown');
      return;
    }
    if (this.#maxConnections > 0 && this.#connections.size > this.#maxConnections) {
      connection.end('too-many-connections');
      return;
    }
    this.#ticker ??= this.#context.clock.every(TICK_MS, () => this.#tick());
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes < ISOLATE_BYTES) return;
    this.#receivedBytes = 0;
    for (const connection of this.#connections) connection.isolate(this.#context.slab);
  }

  connectionEnded(connection: Connection, reason: CloseReason): void {
    this.#connections.delete(connection);
    this.#ends.set(reason, (this.#ends.get(reason) ?? 0) + 1);
    if (this.#connections.size > 0) return;
    this.#ticker?.cancel();
    this.#ticker = undefined;
    this.#whenEmpty?.();
  }

  /**
   * Closes the open connections that are meant with 320 CONNECTION_FORCED, as RabbitMQ does when a user or a virtual host is deleted.
   * Those in the handshake are let be: it refuses them when they come to open a virtual host.
   */
  closeConnections(isMeant: (session: Session) => boolean, text: string): void {
    for (const connection of [...this.#connections]) {
      const session = sessionOf(connection);
      if (session === undefined || !isMeant(session)) continue;
      this.#guard(connection, () => connection.forceClose('forced', text));
    }
  }

  /** Closes all connections with 320 CONNECTION_FORCED; those that have not answered after `timeoutMs` are cut. */
  async close(timeoutMs: number): Promise<void> {
    this.#closing = true;
    if (this.#connections.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    for (const connection of [...this.#connections]) {
      this.#guard(connection, () => connection.forceClose('shutdown', SHUTDOWN_TEXT));
    }
    const timer = this.#context.clock.after(timeoutMs, () => {
      for (const connection of [...this.#connections]) connection.end('shutdown');
    });
    if (this.#connections.size > 0) await empty;
    timer.cancel();
  }

  #tick(): void {
    const now = this.#context.clock.now();
    for (const connection of this.#connections) this.#guard(connection, () => connection.tick(now));
  }

  /** A defect in one connection's work harms no other. */
  #guard(connection: Connection, work: () => void): void {
    try {
      work();
    } catch (error) {
      connection.logger.error({ err: error }, 'a defect of the broker: the connection is cut');
      connection.end('internal-error');
    }
  }
}

/** What a connection has opened; undefined in the handshake. */
function sessionOf(connection: Connection): Session | undefined {
  try {
    return connection.session;
  } catch {
    // There is no other way to ask whether the handshake is over.
    return undefined;
  }
}
