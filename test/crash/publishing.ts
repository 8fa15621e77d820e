// Publishing with confirms as every actor does it: noted before it leaves, noted again when it is confirmed.
import type { ConfirmChannel } from 'amqplib';
import type { Draft, MessageFactory, Profile } from './messages.ts';
import type { Model } from './model.ts';
import { type Session, Signal } from './session.ts';
import { FLUSH_QUEUE, type Route } from './topology.ts';

export interface Address {
  readonly exchange: string;
  readonly key: string;
  /** It comes back when no queue gets it. */
  readonly mandatory: boolean;
}

/** A numbered source of messages. Its numbers go on over all lives. */
export class Source {
  readonly name: string;
  readonly #factory: MessageFactory;
  #sequence = 0;

  constructor(name: string, profile: Profile, factory: MessageFactory) {
    this.name = name;
    this.#factory = factory;
    factory.register(name, profile);
  }

  next(): Draft {
    return this.#factory.make(this.name, this.#sequence++);
  }
}

/** One confirm channel, with what it has published and not had confirmed. */
export class ConfirmedPublisher {
  readonly #model: Model;
  readonly #session: Session;
  readonly #channel: ConfirmChannel;
  readonly #source: Source;
  readonly #moved = new Signal();
  #unconfirmed = 0;
  #isFull = false;
  /** The channel is closed on purpose: what is unconfirmed stays so. */
  abandoned = false;

  constructor(model: Model, session: Session, channel: ConfirmChannel, source: Source) {
    this.#model = model;
    this.#session = session;
    this.#channel = channel;
    this.#source = source;
    channel.on('drain', () => {
      this.#isFull = false;
      this.#moved.fire();
    });
  }

  /** @param then called with the message's id when it is confirmed */
  publish(route: Route, then: (id: string) => void = () => {}): void {
    this.#publish(route, this.#source.next(), then);
  }

  /** As `publish`: when this message is confirmed, what was acknowledged on the channel before it is on disk. */
  flush(then: (id: string) => void): void {
    let draft = this.#source.next();
    // The confirm of a transient one tells nothing of the disk.
    while (draft.transient) draft = this.#source.next();
    this.#publish({ exchange: '', key: FLUSH_QUEUE, queues: [FLUSH_QUEUE] }, draft, then);
  }

  /** Publishes what is noted already. */
  send({ exchange, key, mandatory }: Address, draft: Draft, confirmed: () => void): void {
    this.#unconfirmed++;
    const options = { ...draft.options, mandatory };
    const fits = this.#channel.publish(exchange, key, draft.content, options, (error: unknown) => {
      this.#unconfirmed--;
      this.#moved.fire();
      if (error === null || error === undefined) {
        confirmed();
        this.#session.notice('confirm');
      } else if (!this.abandoned && !this.#session.isDying) {
        this.#model.findings.add('refused', `${draft.id}: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
    if (!fits) this.#isFull = true;
  }

  #publish({ exchange, key, queues }: Route, draft: Draft, then: (id: string) => void): void {
    const publication = this.#model.published(draft, queues);
    // Mandatory wherever a queue should get it: what is returned has met a binding that is gone.
    this.send({ exchange, key, mandatory: queues.length > 0 }, draft, () => {
      this.#model.confirmed(publication);
      then(draft.id);
    });
  }

  /** Resolves when fewer than so many messages are unconfirmed, and the socket takes more. */
  async room(window: number): Promise<void> {
    while (this.#unconfirmed >= window || this.#isFull) await this.#session.call(this.#moved.wait());
  }

  /** Resolves when all is confirmed. */
  settled(): Promise<void> {
    return this.room(1);
  }
}
