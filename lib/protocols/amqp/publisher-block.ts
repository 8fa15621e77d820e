// The memory alarm as one connection feels it: from its first publish during the alarm on it is not read from, and clients
// that can are told. Consumers go on. See https://www.rabbitmq.com/docs/connection-blocked
import type { Duplex } from 'node:stream';
import { CONNECTION_BLOCKED, CONNECTION_UNBLOCKED } from '../../../codec/generated/methods.ts';
import type { MemoryAccount } from '../../core/memory-account.ts';
import type { ChannelHost } from './channel-host.ts';

const REASON = 'low on memory';

export class PublisherBlock {
  readonly #stream: Duplex;
  readonly #memory: MemoryAccount;
  readonly #host: ChannelHost;
  readonly #tellsClient: boolean;
  readonly #unwatch: () => void;
  #blocked = false;

  constructor(stream: Duplex, host: ChannelHost) {
    this.#stream = stream;
    this.#memory = host.session.memory;
    this.#host = host;
    this.#tellsClient = host.session.wantsBlockedNotify;
    this.#unwatch = host.session.memory.watch((raised) => {
      if (!raised) this.#lift();
    });
  }

  /** True while the connection is not read from. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** A publish begins. */
  publishing(): void {
    if (!this.#memory.raised || this.#blocked) return;
    this.#blocked = true;
    this.#stream.pause();
    if (this.#tellsClient) this.#host.send(0, { id: CONNECTION_BLOCKED, reason: REASON });
    this.#host.logger.warn({ reason: REASON }, 'publisher blocked');
  }

  /** The connection ends: what the client still has to say is read, whatever the alarm. */
  end(): void {
    this.#unwatch();
    if (this.#blocked) this.#stream.resume();
    this.#blocked = false;
  }

  #lift(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#stream.resume();
    if (this.#tellsClient) this.#host.send(0, { id: CONNECTION_UNBLOCKED });
    this.#host.logger.info({}, 'publisher unblocked');
  }
}
