// The clients of one life of the broker. Errors are expected from the moment on at which the broker is told to die, and not before.
import { setTimeout as delay } from 'node:timers/promises';
import { type Channel, type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { Findings } from './findings.ts';

/** Something after which a kill may be planned. */
export type Moment =
  | 'started'
  | 'confirm'
  | 'delivery'
  | 'commit sent'
  | 'commit'
  | 'flush'
  | 'topology'
  | 'purge'
  | 'rejection'
  | 'dead letter'
  | 'letter confirmed'
  | 'drain'
  | 'file';

/** What pending calls end with when the broker is gone. */
export class LifeIsOver extends Error {}

export class Session {
  readonly #port: number;
  readonly #findings: Findings;
  readonly #notice: (moment: Moment) => void;
  readonly #open = new Set<Promise<unknown>>();
  readonly #pending = new Set<(error: Error) => void>();
  /** Actors finish what they are at, and close their connections. */
  stopping = false;
  /** The broker was told to die. */
  #dying = false;
  #over = false;

  constructor(port: number, findings: Findings, notice: (moment: Moment) => void) {
    this.#port = port;
    this.#findings = findings;
    this.#notice = notice;
  }

  /** Something happened after which the broker may be killed. */
  notice(moment: Moment): void {
    this.#notice(moment);
  }

  get isDying(): boolean {
    return this.#dying;
  }

  async connect(who: string): Promise<ChannelModel> {
    const url = `amqp://guest:guest@127.0.0.1:${this.#port}?heartbeat=0`;
    const opening = connect(url, { noDelay: true });
    const settled = opening.then(
      (connection) => isClosed(connection) || new Promise((resolve) => connection.once('close', resolve)),
      () => undefined,
    );
    this.#open.add(settled);
    void settled.then(() => this.#open.delete(settled));
    const connection = await opening;
    connection.on('error', (error) => this.#unexpected(`${who}: connection: ${error.message}`));
    connection.on('close', (error) => {
      if (error !== undefined) this.#unexpected(`${who}: connection closed: ${error.message}`);
    });
    return connection;
  }

  async channel(connection: ChannelModel, who: string): Promise<Channel> {
    return this.#watch(await this.call(connection.createChannel()), who);
  }

  async confirmChannel(connection: ChannelModel, who: string): Promise<ConfirmChannel> {
    return this.#watch(await this.call(connection.createConfirmChannel()), who);
  }

  /** The same result, or `LifeIsOver` when the broker dies before it: amqplib never ends some of its promises then. */
  call<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      // Even then somebody has to listen to the promise, which amqplib rejects when its channel is closed.
      if (this.#over) reject(new LifeIsOver());
      else this.#pending.add(reject);
      const settled = (): boolean => this.#pending.delete(reject);
      promise.then(
        (value) => settled() && resolve(value),
        (error: unknown) => settled() && reject(error),
      );
    });
  }

  /** Time that a slow client takes. */
  pause(ms: number): Promise<void> {
    return this.call(delay(ms));
  }

  /** Runs a client to its end; what it throws is a finding unless the broker is dying. */
  async attempt(who: string, task: Promise<void>): Promise<void> {
    try {
      await task;
    } catch (error) {
      if (error instanceof LifeIsOver) return;
      this.#unexpected(`${who}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  /** From here on connections may break. */
  brokerDies(): void {
    this.#dying = true;
  }

  /** Resolves when every connection is closed and all that came on them was read; from then on no client does anything. */
  async ended(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
    this.#over = true;
    for (const reject of this.#pending) reject(new LifeIsOver());
    this.#pending.clear();
  }

  #watch<T extends Channel>(channel: T, who: string): T {
    channel.on('error', (error) => this.#unexpected(`${who}: channel: ${error.message}`));
    channel.on('return', (message) => this.#unexpected(`${who}: ${message.properties.messageId} was returned`));
    return channel;
  }

  #unexpected(text: string): void {
    if (!this.#dying) this.#findings.add('refused', text);
  }
}

/** A broker that stops may close a connection in the same bytes that opened it: then its 'close' came before anybody could listen. */
function isClosed({ connection }: ChannelModel): boolean {
  // amqplib's own flag, which its types leave out.
  return (connection as unknown as { readonly expectSocketClose: boolean }).expectSocketClose;
}

/** Wakes one waiter. */
export class Signal {
  #wake: (() => void) | undefined;

  fire(): void {
    this.#wake?.();
  }

  /** Resolves when fired, or after so many ms when given. */
  async wait(ms?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (ms !== undefined) timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
