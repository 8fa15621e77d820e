// What the composition root gives to AMQP connections: settings and the parts of the broker that they speak to.
import type { FieldTable } from '../../../codec/field-table.ts';
import type { SaslMechanism } from '../../auth/sasl.ts';
import type { UserStore } from '../../auth/users.ts';
import type { Alarms } from '../../core/alarms.ts';
import type { MemoryAccount } from '../../core/memory-account.ts';
import type { Clock, Logger } from '../../core/ports.ts';
import type { PublishFlow } from '../../core/publish-flow.ts';
import type { RetentionSlab } from '../../core/retention-slab.ts';
import type { TurnScheduler } from '../../core/turn.ts';
import type { VirtualHost } from '../../core/virtual-host.ts';
import type { CloseReason } from './close-reason.ts';
import type { Connection } from './connection.ts';
import type { OutputPool } from './output-buffer.ts';

export interface AmqpContext {
  /** What connection.start tells of the server; see `serverProperties`. */
  readonly serverProperties: FieldTable;
  readonly frameMaxBytes: number;
  readonly channelMax: number;
  readonly heartbeatSeconds: number;
  readonly handshakeTimeoutMs: number;
  readonly maxMessageSizeBytes: number;
  /** Time that a delivery has to be acknowledged; 0 for no limit. A queue's own goes first. */
  readonly consumerTimeoutMs: number;
  readonly users: UserStore;
  /** By name, in the order in which they are offered. */
  readonly saslMechanisms: ReadonlyMap<string, SaslMechanism>;
  /** Users that may connect from this machine only. */
  readonly loopbackUsers: readonly string[];
  readonly virtualHosts: ReadonlyMap<string, VirtualHost>;
  readonly memory: MemoryAccount;
  /** While one is raised, publishers are blocked. */
  readonly alarms: Alarms;
  /** While it is congested, publishers are held back without a word. */
  readonly flow: PublishFlow;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The two ends of a connection's stream, as far as they are known. */
export interface PeerAddresses {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** What a connection tells the listener that made it. */
export interface ConnectionHost {
  readonly pool: OutputPool;
  /** connection.start, as a frame. */
  readonly startFrame: Buffer;
  /** Counts bytes that came from a client. */
  received(bytes: number): void;
  /** The connection is over; called once. */
  connectionEnded(connection: Connection, reason: CloseReason): void;
}
