// An actor that takes messages from the shared queues, and settles them in every way there is.
import type { ConfirmChannel, Message } from 'amqplib';
import type { Dice } from '../helper/random-client.ts';
import type { Entry, QueueLedger } from './ledger.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import type { Actor } from './publisher.ts';
import { ConfirmedPublisher, Source } from './publishing.ts';
import { between, diceOf } from './random.ts';
import { Reader, type Taken } from './reading.ts';
import { type Session, Signal } from './session.ts';
import { SHARED_QUEUES } from './topology.ts';

export class Consumer implements Actor {
  readonly name: string;
  readonly #model: Model;
  readonly #factory: MessageFactory;
  readonly #source: Source;
  #visits = 0;

  constructor(index: number, model: Model, factory: MessageFactory) {
    this.name = `consumer${index}`;
    this.#model = model;
    this.#factory = factory;
    this.#source = new Source(this.name, { sizes: 'small', transientOneIn: 0 }, factory);
  }

  async run(session: Session, seed: number): Promise<void> {
    const dice = diceOf(seed);
    const connection = await session.connect(this.name);
    while (!session.stopping) {
      const channel = await session.confirmChannel(connection, this.name);
      const ledger = this.#model.queue(dice.pick(SHARED_QUEUES));
      const publisher = new ConfirmedPublisher(this.#model, session, channel, this.#source);
      const reader = new Reader(this.#model, this.#factory, ledger, `${this.name}, channel ${++this.#visits}`);
      await new Visit(session, this.#model, channel, reader, publisher, dice).run();
    }
    await session.call(connection.close());
  }
}

/** One channel's time at one queue. */
class Visit {
  readonly #session: Session;
  readonly #model: Model;
  readonly #reader: Reader;
  readonly #channel: ConfirmChannel;
  readonly #ledger: QueueLedger;
  readonly #publisher: ConfirmedPublisher;
  readonly #dice: Dice;
  /** Unacknowledged, by delivery tag, in rising order. */
  readonly #taken = new Map<number, Taken>();
  /** Acknowledged, and not known to be on disk. */
  #unflushed: Entry[] = [];
  readonly #arrived = new Signal();

  constructor(
    session: Session,
    model: Model,
    channel: ConfirmChannel,
    reader: Reader,
    publisher: ConfirmedPublisher,
    dice: Dice,
  ) {
    this.#session = session;
    this.#model = model;
    this.#reader = reader;
    this.#channel = channel;
    this.#ledger = reader.ledger;
    this.#publisher = publisher;
    this.#dice = dice;
  }

  async run(): Promise<void> {
    const dice = this.#dice;
    const until = performance.now() + between(dice, 20, 800);
    if (dice.once(200)) await this.#purge();
    if (dice.once(6)) await this.#getSome(until);
    else await this.#consume(until);
  }

  async #consume(until: number): Promise<void> {
    const dice = this.#dice;
    const channel = this.#channel;
    await this.#session.call(channel.prefetch(dice.pick([0, 1, 10, 50, 200, 1000])));
    const isSlow = dice.once(2);
    const { consumerTag } = await this.#session.call(
      channel.consume(this.#ledger.name, (message) => {
        if (message === null) this.#model.findings.add('refused', `consumer of ${this.#ledger.name} was cancelled`);
        else this.#take(message);
      }),
    );
    while (!this.#session.stopping && performance.now() < until) {
      if (isSlow) await this.#session.pause(between(dice, 1, 20));
      else if (this.#taken.size === 0) await this.#session.call(this.#arrived.wait(50));
      this.#settleSome(isSlow ? 5 : 200);
      await this.#session.pause(0);
    }
    // Closing without a cancel leaves deliveries on their way, which come back like the others.
    if (dice.once(4)) await this.#leave();
    else {
      await this.#session.call(channel.cancel(consumerTag));
      await this.#finish();
    }
  }

  async #getSome(until: number): Promise<void> {
    while (!this.#session.stopping && performance.now() < until) {
      const message = await this.#session.call(this.#channel.get(this.#ledger.name));
      if (message === false) break;
      this.#take(message);
      if (this.#dice.once(10)) this.#settleSome(20);
    }
    await this.#finish();
  }

  #take(message: Message): void {
    const taken = this.#reader.take(message);
    if (taken !== undefined) this.#taken.set(message.fields.deliveryTag, taken);
    this.#arrived.fire();
    this.#session.notice('delivery');
  }

  #settleSome(most: number): void {
    for (let i = between(this.#dice, 1, most); i > 0 && this.#taken.size > 0; i--) this.#settleOne();
    if (this.#unflushed.length > this.#dice.roll(200)) this.#flush();
  }

  #settleOne(): void {
    const dice = this.#dice;
    const message = this.#pick(dice.once(3) ? dice.roll(50) : 0);
    if (message === undefined) return;
    const share = dice.roll(100);
    if (share < 65) this.#acknowledge(message, false);
    else if (share < 85) this.#acknowledge(message, true);
    else if (share < 88) this.#discard(message);
    else if (share < 97) this.#putBack(message, false);
    else this.#putBack(message, true);
  }

  /** The so-manieth of what is unacknowledged, or the last when there are fewer. */
  #pick(index: number): Message | undefined {
    let picked: Message | undefined;
    for (const { message } of this.#taken.values()) {
      picked = message;
      if (index-- === 0) break;
    }
    return picked;
  }

  #acknowledge(message: Message, multiple: boolean): void {
    for (const entry of this.#release(message, multiple)) this.#settled(entry);
    this.#channel.ack(message, multiple);
  }

  #discard(message: Message): void {
    for (const entry of this.#release(message, false)) this.#settled(entry);
    if (this.#dice.once(2)) this.#channel.reject(message, false);
    else this.#channel.nack(message, false, false);
  }

  #putBack(message: Message, multiple: boolean): void {
    for (const entry of this.#release(message, multiple)) this.#ledger.returned(entry);
    if (multiple || this.#dice.once(2)) this.#channel.nack(message, multiple, true);
    else this.#channel.reject(message, true);
  }

  #settled(entry: Entry): void {
    this.#ledger.acknowledged(entry);
    this.#unflushed.push(entry);
  }

  /** What a settlement of this message, or of all up to it, takes from this channel. */
  #release({ fields }: Message, multiple: boolean): Entry[] {
    const entries: Entry[] = [];
    for (const [tag, { entry }] of this.#taken) {
      if (tag > fields.deliveryTag) break;
      if (!multiple && tag !== fields.deliveryTag) continue;
      entries.push(entry);
      this.#taken.delete(tag);
    }
    return entries;
  }

  /** When this message is confirmed, what was acknowledged on this channel before it is on disk. */
  #flush(): void {
    const flushed = this.#unflushed;
    this.#unflushed = [];
    this.#publisher.flush((id) => {
      this.#ledger.flushed(flushed, id);
      this.#session.notice('flush');
    });
  }

  /** Ends without a delivery on its way. */
  async #finish(): Promise<void> {
    const way = this.#dice.pick(['recover', 'acknowledge', 'keep']);
    if (way === 'recover') {
      for (const { entry } of this.#taken.values()) this.#ledger.returned(entry);
      this.#taken.clear();
      await this.#session.call(this.#channel.recover());
    } else if (way === 'acknowledge') {
      const last = [...this.#taken.values()].at(-1);
      if (last !== undefined) this.#acknowledge(last.message, true);
    }
    if (this.#dice.once(2)) {
      this.#flush();
      await this.#publisher.settled();
    }
    await this.#leave();
  }

  async #leave(): Promise<void> {
    for (const { entry } of this.#taken.values()) this.#ledger.returned(entry);
    this.#taken.clear();
    this.#publisher.abandoned = true;
    await this.#session.call(this.#channel.close());
  }

  async #purge(): Promise<void> {
    this.#ledger.purgeSent();
    await this.#session.call(this.#channel.purgeQueue(this.#ledger.name));
    this.#ledger.purged();
    this.#session.notice('purge');
  }
}
