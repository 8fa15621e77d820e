// The memory alarm as one connection feels it: from its first content header during the alarm on it is not read from, and
// clients that can are told. Consumers go on. See https://www.rabbitmq.com/docs/connection-blocked
import { CONNECTION_BLOCKED, CONNECTION_UNBLOCKED } from '../../../codec/generated/methods.ts';
import type { MemoryAccount } from '../../core/memory-account.ts';
import type { ChannelHost } from './channel-host.ts';
import { HELD_BY_ALARM, type Input } from './input.ts';

const REASON = 'low on memory';

export class PublisherBlock {
  readonly #input: Input;
  readonly #memory: MemoryAccount;
  readonly #host: ChannelHost;
  readonly #tellsClient: boolean;
  readonly #unwatch: () => void;
  #blocked = false;

  constructor(input: Input, host: ChannelHost) {
    this.#input = input;
    this.#memory = host.session.memory;
    this.#host = host;
    this.#tellsClient = host.session.wantsBlockedNotify;
    this.#unwatch = host.session.memory.watch((raised) => {
      if (!raised) this.#lift();
    });
  }

  /** A content header came, or too much of several bodies. */
  publishing(): void {
    if (!this.#memory.raised || this.#blocked) return;
    this.#blocked = true;
    this.#input.hold(HELD_BY_ALARM);
    if (this.#tellsClient) this.#host.send(0, { id: CONNECTION_BLOCKED, reason: REASON });
    this.#host.logger.warn({ reason: REASON }, 'publisher blocked');
  }

  /** The connection ends: what the client still has to say is read, whatever the alarm. */
  end(): void {
    this.#unwatch();
    this.#blocked = false;
    this.#input.release(HELD_BY_ALARM);
  }

  #lift(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#input.release(HELD_BY_ALARM);
    if (this.#tellsClient) this.#host.send(0, { id: CONNECTION_UNBLOCKED });
    this.#host.logger.info({}, 'publisher unblocked');
  }
}
