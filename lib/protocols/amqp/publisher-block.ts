// What keeps one connection from publishing. A resource alarm: from its first content header during the alarm on it is not
// read from, and clients that can are told (https://www.rabbitmq.com/docs/connection-blocked). The flow of publishes: likewise when it
// publishes what can't be kept up with, but without a word. Consumers go on.
import { CONNECTION_BLOCKED, CONNECTION_UNBLOCKED } from '../../../codec/generated/methods.ts';
import type { Alarms } from '../../core/alarms.ts';
import type { PublishFlow } from '../../core/publish-flow.ts';
import type { ChannelHost } from './channel-host.ts';
import { HELD_BY_ALARM, HELD_BY_FLOW, type Input } from './input.ts';

export class PublisherBlock {
  readonly #input: Input;
  readonly #alarms: Alarms;
  readonly #flow: PublishFlow;
  readonly #host: Pick<ChannelHost, 'send' | 'logger'>;
  readonly #tellsClient: boolean;
  readonly #unwatchAlarms: () => void;
  #unwatchFlow: () => void = () => {};
  #blocked = false;

  constructor(input: Input, host: Pick<ChannelHost, 'session' | 'send' | 'logger'>) {
    const { alarms, flow, wantsBlockedNotify } = host.session;
    this.#input = input;
    this.#alarms = alarms;
    this.#flow = flow;
    this.#host = host;
    this.#tellsClient = wantsBlockedNotify;
    this.#unwatchAlarms = alarms.watch((raised) => {
      if (!raised) this.#lift();
    });
  }

  /** A content header came, or too much of several bodies. */
  publishing(): void {
    if (this.#alarms.raised && !this.#blocked) this.#block();
  }

  /** What it published concerns the flow, which is congested. */
  awaitFlow(): void {
    if (!this.#flow.congested || this.#input.isHeldBy(HELD_BY_FLOW)) return;
    this.#input.hold(HELD_BY_FLOW);
    // Only while held: the flow changes often, and most connections don't publish just then.
    this.#unwatchFlow = this.#flow.watch((congested) => {
      if (!congested) this.#release();
    });
  }

  /** The connection ends: what the client still has to say is read, whatever the alarm. */
  end(): void {
    this.#unwatchAlarms();
    this.#release();
    this.#blocked = false;
    this.#input.release(HELD_BY_ALARM);
  }

  #release(): void {
    this.#unwatchFlow();
    this.#input.release(HELD_BY_FLOW);
  }

  /** The client is told once, with what is short now: not of another alarm that comes, nor of one of two that goes. */
  #block(): void {
    const { reason } = this.#alarms;
    this.#blocked = true;
    this.#input.hold(HELD_BY_ALARM);
    if (this.#tellsClient) this.#host.send(0, { id: CONNECTION_BLOCKED, reason });
    this.#host.logger.warn({ reason }, 'publisher blocked');
  }

  #lift(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#input.release(HELD_BY_ALARM);
    if (this.#tellsClient) this.#host.send(0, { id: CONNECTION_UNBLOCKED });
    this.#host.logger.info({}, 'publisher unblocked');
  }
}
