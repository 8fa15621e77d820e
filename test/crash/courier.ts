// An actor that has chains for itself: it publishes to their beginnings, takes messages from wherever they are by now, and
// acknowledges, rejects or gives them back.
import type { ConfirmChannel } from 'amqplib';
import type { Dice } from '../helper/random-client.ts';
import type { ChainLedger } from './chain-ledger.ts';
import { type ChainPlan, declareChain, declareDelay } from './chain-plans.ts';
import { ChainReader, type ChainTaken, patiently } from './chain-reading.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import type { Actor } from './publisher.ts';
import { ConfirmedPublisher, Source } from './publishing.ts';
import { between, diceOf } from './random.ts';
import type { Session } from './session.ts';
import type { Traveller } from './traveller.ts';

const MAX_MESSAGES = 1000;
const WINDOW = 300;

/** What becomes of what was taken, in percent; the rest is given back. */
const PLAIN = { acknowledged: 40, rejected: 25 };
const COUNTED = { acknowledged: 12, rejected: 8 };

/** A chain, and who publishes to it. */
interface Beat {
  readonly chain: ChainLedger;
  readonly source: Source;
}

export class Courier implements Actor {
  readonly name: string;
  readonly #model: Model;
  readonly #factory: MessageFactory;
  readonly #source: Source;
  readonly #beats: readonly Beat[];

  constructor(index: number, plans: readonly ChainPlan[], model: Model, factory: MessageFactory) {
    this.name = `courier${index}`;
    this.#model = model;
    this.#factory = factory;
    this.#source = new Source(this.name, { sizes: 'small', transientOneIn: 0 }, factory);
    this.#beats = plans.map((plan) => ({
      chain: model.addChain(plan),
      source: new Source(plan.name, plan.profile, factory),
    }));
  }

  async run(session: Session, seed: number): Promise<void> {
    const dice = diceOf(seed);
    const connection = await session.connect(this.name);
    const channel = await session.confirmChannel(connection, this.name);
    for (const { chain } of this.#beats) {
      if (chain.isDeclared) await this.#find(session, channel, chain);
      await declareChain(session, channel, chain.plan);
      chain.isDeclared = true;
    }
    const publisher = new ConfirmedPublisher(this.#model, session, channel, this.#source);
    const reader = new ChainReader(this.#model, this.#factory, this.name);
    const tour = new Tour(session, channel, publisher, reader, dice);
    // First a backlog, so that messages wait on disk for their time.
    for (const beat of this.#beats) await tour.publish(beat, between(dice, 20, 120));
    while (!session.stopping) await tour.step(dice.pick(this.#beats));
    tour.flush();
    await publisher.settled();
    tour.leave();
    await session.call(connection.close());
  }

  /** What was declared in another life of the broker must be there. */
  async #find(session: Session, channel: ConfirmChannel, { stages }: ChainLedger): Promise<void> {
    for (const { name, isExchange } of stages) if (!isExchange) await session.call(channel.checkQueue(name));
  }
}

/** One life of the broker, as a courier spends it. */
class Tour {
  readonly #session: Session;
  readonly #channel: ConfirmChannel;
  readonly #publisher: ConfirmedPublisher;
  readonly #reader: ChainReader;
  readonly #dice: Dice;
  #taken: ChainTaken[] = [];
  /** Settled, or seen somewhere, and not known to be on disk. */
  readonly #unflushed = new Map<ChainLedger, Set<Traveller>>();

  constructor(
    session: Session,
    channel: ConfirmChannel,
    publisher: ConfirmedPublisher,
    reader: ChainReader,
    dice: Dice,
  ) {
    this.#session = session;
    this.#channel = channel;
    this.#publisher = publisher;
    this.#reader = reader;
    this.#dice = dice;
  }

  async step(beat: Beat): Promise<void> {
    const dice = this.#dice;
    const { chain } = beat;
    const share = dice.roll(100);
    if (share < 25) await this.publish(beat, between(dice, 1, 30));
    else if (share < 65) await this.#getSome(chain);
    else if (share < 75) await this.#consume(chain);
    else if (share < 87) this.#settleSome(between(dice, 1, 20));
    else if (share < 97) this.flush();
    else if (chain.stages[0].isExchange) await this.#removeDelay(chain);
    else await this.#count(chain);
    await this.#session.pause(dice.roll(5));
  }

  async publish({ chain, source }: Beat, count: number): Promise<void> {
    const [{ name, isExchange, isLimited, ttlMs }] = chain.stages;
    const goesOnAtOnce = isLimited || ttlMs === 0;
    for (let i = count; i > 0 && chain.size < MAX_MESSAGES; i--) {
      await this.#publisher.room(WINDOW);
      const draft = source.next();
      const traveller = chain.published(draft);
      // Whether anybody gets what is held back is not known yet.
      const mandatory = !isExchange || draft.delayMs === 0;
      const address = isExchange ? { exchange: name, key: 'key', mandatory } : { exchange: '', key: name, mandatory };
      this.#publisher.send(address, draft, () => {
        chain.confirm(traveller);
        if (goesOnAtOnce) this.#session.notice('letter confirmed');
      });
    }
  }

  /** When this message is confirmed, all that was seen and settled here before is on disk. */
  flush(): void {
    const snapshots = Array.from(this.#unflushed, ([chain, those]) => ({ chain, snapshot: chain.snapshot(those) }));
    this.#unflushed.clear();
    this.#publisher.flush((id) => {
      for (const { chain, snapshot } of snapshots) chain.flushed(snapshot, id);
      this.#session.notice('flush');
    });
  }

  /** The connection is about to be closed, and gives back what is not settled. */
  leave(): void {
    for (const { chain, traveller } of this.#taken) chain.returned(traveller);
    this.#taken = [];
  }

  async #getSome(chain: ChainLedger): Promise<void> {
    const { stage, name } = this.#pickQueue(chain);
    // So that the same message comes back again and again.
    const atOnce = chain.stages[stage].isQuorum && this.#dice.once(2);
    for (let i = between(this.#dice, 1, 15); i > 0 && !this.#session.stopping; i--) {
      const askedMs = Date.now();
      const message = await this.#session.call(this.#channel.get(name));
      if (message === false) break;
      const taken = this.#reader.take(chain, stage, message, askedMs);
      this.#note(taken);
      if (taken === undefined) continue;
      if (atOnce) this.#settle(taken);
      else this.#taken.push(taken);
    }
    if (this.#dice.once(2)) this.#settleSome(this.#taken.length);
  }

  /** Consumes for a short time with a prefetch, so that it is known what the broker could deliver when. */
  async #consume(chain: ChainLedger): Promise<void> {
    const dice = this.#dice;
    const { stage, name } = this.#pickQueue(chain);
    const prefetch = dice.pick([1, 10, 50]);
    await this.#session.call(this.#channel.prefetch(prefetch));
    // When each place for one more delivery became free.
    const freeMs = new Array<number>(prefetch).fill(Date.now());
    let count = 0;
    const open: ChainTaken[] = [];
    const { consumerTag } = await this.#session.call(
      this.#channel.consume(name, (message) => {
        if (message === null) return;
        const taken = this.#reader.take(chain, stage, message, freeMs[count++] ?? 0);
        if (taken !== undefined) open.push(taken);
        this.#note(taken);
      }),
    );
    // What is held back should be met as soon as it comes.
    const until = performance.now() + (chain.stages[0].isExchange ? between(dice, 50, 300) : between(dice, 5, 60));
    while (!this.#session.stopping && performance.now() < until) {
      await this.#session.pause(between(dice, 1, 5));
      for (const taken of open.splice(0, dice.roll(20))) {
        freeMs.push(Date.now());
        this.#settle(taken);
      }
    }
    await this.#session.call(this.#channel.cancel(consumerTag));
    this.#taken.push(...open);
  }

  /** A queue with a limit tells of no more messages, but for the time that it takes to read its first ones from disk. */
  async #count(chain: ChainLedger): Promise<void> {
    for (const { name, maxLength } of chain.stages) {
      if (maxLength === Infinity) continue;
      let left = 0;
      const isInLimits = await patiently(this.#session, Date.now(), async () => {
        left = (await this.#session.call(this.#channel.checkQueue(name))).messageCount;
        return left <= maxLength;
      });
      if (!isInLimits) chain.miscounted(`${name} tells of ${left} messages, and has room for ${maxLength}`);
    }
  }

  async #removeDelay(chain: ChainLedger): Promise<void> {
    await this.#publisher.settled();
    chain.removalSent();
    await this.#session.call(this.#channel.deleteExchange(chain.stages[0].name));
    chain.removed();
    this.#session.notice('topology');
    await declareDelay(this.#session, this.#channel, chain.stages);
  }

  #pickQueue({ stages }: ChainLedger): { readonly stage: number; readonly name: string } {
    const first = stages[0].isExchange ? 1 : 0;
    // Where most is.
    const stage = this.#dice.once(2) ? first : between(this.#dice, first, stages.length - 1);
    return { stage, name: stages[stage].name };
  }

  #note(taken: ChainTaken | undefined): void {
    if (taken === undefined) return;
    this.#touched(taken);
    this.#session.notice(taken.traveller.at.stage > 0 ? 'dead letter' : 'delivery');
  }

  #settleSome(most: number): void {
    const settled = this.#taken.splice(this.#dice.roll(this.#taken.length + 1), most);
    for (const taken of settled) this.#settle(taken);
  }

  #settle(taken: ChainTaken): void {
    const dice = this.#dice;
    const { message, traveller, chain } = taken;
    // Where it is counted how often messages come back, most do.
    const { acknowledged, rejected } = chain.stages[traveller.at.stage].isQuorum ? COUNTED : PLAIN;
    const share = dice.roll(100);
    if (share < acknowledged) {
      chain.acknowledged(traveller);
      this.#channel.ack(message);
    } else if (share < acknowledged + rejected) {
      chain.rejected(traveller);
      if (dice.once(2)) this.#channel.reject(message, false);
      else this.#channel.nack(message, false, false);
      this.#session.notice('rejection');
    } else {
      chain.returned(traveller);
      if (dice.once(2)) this.#channel.reject(message, true);
      else this.#channel.nack(message, false, true);
    }
    this.#touched(taken);
  }

  #touched({ chain, traveller }: ChainTaken): void {
    const those = this.#unflushed.get(chain);
    if (those === undefined) this.#unflushed.set(chain, new Set([traveller]));
    else those.add(traveller);
  }
}
