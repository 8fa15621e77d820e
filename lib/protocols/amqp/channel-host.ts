// What a channel asks of its connection. The connection implements it; the channel knows no more of it than this.
import type { Method } from '../../../codec/generated/methods.ts';
import type { User } from '../../auth/users.ts';
import type { Alarms } from '../../core/alarms.ts';
import type { MemoryAccount } from '../../core/memory-account.ts';
import type { Clock, Logger, Owner } from '../../core/ports.ts';
import type { PublishFlow } from '../../core/publish-flow.ts';
import type { VirtualHost } from '../../core/virtual-host.ts';
import type { Channel } from './channel.ts';
import type { OutputBuffer } from './output-buffer.ts';
import type { PartialBodies } from './partial-bodies.ts';
import type { Waits } from './waits.ts';

/** What the handshake agreed on, and what it opened. */
export interface Session {
  readonly user: User;
  readonly virtualHost: VirtualHost;
  /** The largest frame that the client takes, in bytes. */
  readonly frameMax: number;
  readonly channelMax: number;
  /** 0 is off. */
  readonly heartbeatSeconds: number;
  /** The client wants basic.cancel when a queue goes. */
  readonly wantsCancelNotify: boolean;
  /** The client wants connection.blocked and connection.unblocked. */
  readonly wantsBlockedNotify: boolean;
  readonly maxMessageSizeBytes: number;
  /** Time that a delivery has to be acknowledged, where its queue doesn't say; 0 for no limit. */
  readonly consumerTimeoutMs: number;
  readonly memory: MemoryAccount;
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly flow: PublishFlow;
}

export interface ChannelHost extends Owner {
  readonly session: Session;
  readonly output: OutputBuffer;
  readonly partialBodies: PartialBodies;
  readonly waits: Waits;
  readonly logger: Logger;
  /** The client reads too slowly, or got its share of this turn: consumers wait. */
  readonly congested: boolean;
  /** Writes a method frame. */
  send(channel: number, method: Method): void;
  /** Something was written to `output`: it is flushed at the end of the turn. */
  wrote(): void;
  /** A channel has something to say at the end of the turn; see `Channel.endTurn`. */
  atEndOfTurn(channel: Channel): void;
  /** The client publishes: during an alarm it is not read from after this frame. */
  publishing(): void;
  /** What the client published can't be kept up with: it is not read from after this frame, until the flow lets go. */
  awaitFlow(): void;
  /** The channel is over: its number is free. */
  channelClosed(channel: Channel): void;
  /** What a channel did outside the handling of a frame threw: closes what is to be closed. */
  failed(channel: Channel, error: unknown): void;
}
