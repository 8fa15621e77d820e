// The channels of a connection: found by number, opened, paused and resumed together, and given up together.
import { CHANNEL_OPEN, CHANNEL_OPEN_OK, decodeMethod, type Method } from '../../../codec/generated/methods.ts';
import type { RetentionSlab } from '../../core/retention-slab.ts';
import { AmqpError } from './amqp-error.ts';
import { Channel } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import { checkChannelLimit } from './limits.ts';

export class ChannelTable {
  readonly #host: ChannelHost;
  readonly #channels = new Map<number, Channel>();
  /** The channel of the last frame: most frames are for the same one. */
  #last: Channel | undefined;
  #firstToResume = 0;

  constructor(host: ChannelHost) {
    this.#host = host;
  }

  find(number: number): Channel | undefined {
    const last = this.#last;
    if (last !== undefined && last.number === number) return last;
    this.#last = this.#channels.get(number);
    return this.#last;
  }

  /** The channel that a content frame is for. @throws {AmqpError} UNEXPECTED_FRAME when it is not open */
  findForContent(number: number): Channel {
    const channel = this.find(number);
    if (channel !== undefined) return channel;
    throw new AmqpError('UNEXPECTED_FRAME', 'expected method frame, got non method frame instead', 0);
  }

  /** Takes a method frame of any channel but 0. */
  onMethod(number: number, buffer: Buffer, start: number, end: number): void {
    const channel = this.find(number);
    if (channel !== undefined) channel.onMethod(buffer, start, end);
    else this.#open(number, decodeMethod(buffer, start, end));
  }

  /**
   * Takes a method for a channel that is not open: it must be channel.open. As in RabbitMQ, channel-max limits how many are
   * open, not their numbers.
   */
  #open(number: number, method: Method): void {
    if (method.id !== CHANNEL_OPEN) throw new AmqpError('CHANNEL_ERROR', "expected 'channel.open'");
    const { channelMax, user } = this.#host.session;
    const count = this.#channels.size;
    if (count >= channelMax) {
      const text = `number of channels opened (${count}) has reached the negotiated channel_max (${channelMax})`;
      throw new AmqpError('NOT_ALLOWED', text, 0);
    }
    checkChannelLimit(user);
    this.#channels.set(number, new Channel(number, this.#host));
    user.inUse.channels++;
    this.#host.send(number, { id: CHANNEL_OPEN_OK });
  }

  remove(channel: Channel): void {
    if (this.#channels.delete(channel.number)) this.#host.session.user.inUse.channels--;
    if (this.#last === channel) this.#last = undefined;
  }

  /** The numbers of those that are open now. */
  numbers(): number[] {
    return [...this.#channels.keys()];
  }

  /** No consumer of any channel gets deliveries until `resume`. */
  pause(): void {
    for (const { deliveries } of this.#channels.values()) deliveries.pause();
  }

  /**
   * Another channel is the first each time, so that one with an endless backlog can't keep the others from theirs. When the
   * connection has no room again meanwhile, the rest stay paused.
   */
  resume(): void {
    const channels = [...this.#channels.values()];
    const first = this.#firstToResume++ % Math.max(1, channels.length);
    for (let i = 0; i < channels.length && !this.#host.congested; i++)
      channels[(first + i) % channels.length].deliveries.resume();
  }

  /** Called about once a second. */
  tick(now: number): void {
    for (const channel of this.#channels.values()) {
      try {
        channel.deliveries.tick(now);
      } catch (error) {
        this.#host.failed(channel, error);
      }
    }
  }

  /** Says what is due on every channel: confirms, and the consumers that went with their queues. */
  flush(): void {
    for (const { publisher, deliveries } of this.#channels.values()) {
      publisher.flushConfirms();
      deliveries.flushCancels();
    }
  }

  /** Ends all channels. No consumer of the connection gets what another one gives back. */
  endAll(): void {
    const channels = [...this.#channels.values()];
    if (channels.length > 0) this.#host.session.user.inUse.channels -= channels.length;
    this.#channels.clear();
    this.#last = undefined;
    for (const channel of channels) channel.endConsumers();
    for (const channel of channels) channel.endDeliveries();
  }

  /** Lets go of the received chunks that unacknowledged deliveries pin. */
  isolate(slab: RetentionSlab): void {
    for (const { deliveries } of this.#channels.values()) deliveries.isolate(slab);
  }
}
