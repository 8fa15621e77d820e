// An actor with an exchange and two queues of its own, used through one channel, one step after the other. So it knows exactly
// what is where, and can purge, delete, declare, bind and unbind all the time and still tell what must be there.
import type { ConfirmChannel } from 'amqplib';
import type { Dice } from '../helper/random-client.ts';
import type { Entry, QueueLedger, QueueTraits } from './ledger.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import type { Actor } from './publisher.ts';
import { ConfirmedPublisher, Source } from './publishing.ts';
import { between, diceOf } from './random.ts';
import { Reader, type Taken } from './reading.ts';
import type { Session } from './session.ts';

const KEYS = ['red', 'blue'];
const MAX_MESSAGES = 3000;

type Certainty = 'yes' | 'no' | 'maybe';

export class Owner implements Actor {
  readonly name: string;
  readonly #model: Model;
  readonly #factory: MessageFactory;
  readonly #source: Source;
  readonly #exchange: string;
  readonly #ledgers: readonly QueueLedger[];
  /** Whether a queue is bound with a key; by "queue key". */
  readonly #bindings = new Map<string, Certainty>();
  #exchangeDeclared = false;

  /** @param traits of its two queues */
  constructor(index: number, model: Model, factory: MessageFactory, traits: readonly QueueTraits[] = []) {
    this.name = `owner${index}`;
    this.#model = model;
    this.#factory = factory;
    this.#source = new Source(this.name, { sizes: 'mixed', transientOneIn: 10 }, factory);
    this.#exchange = `${this.name}.exchange`;
    this.#ledgers = ['a', 'b'].map((name, i) => model.addQueue(`${this.name}.${name}`, true, traits[i]));
  }

  async run(session: Session, seed: number): Promise<void> {
    const dice = diceOf(seed);
    const connection = await session.connect(this.name);
    const channel = await session.confirmChannel(connection, this.name);
    const publisher = new ConfirmedPublisher(this.#model, session, channel, this.#source);
    if (this.#exchangeDeclared) await session.call(channel.checkExchange(this.#exchange));
    await session.call(channel.assertExchange(this.#exchange, 'direct', { durable: true }));
    this.#exchangeDeclared = true;
    await this.#settleBindings(session, channel);
    const taken: Taken[] = [];
    const readers = new Map(
      this.#ledgers.map((ledger) => [ledger, new Reader(this.#model, this.#factory, ledger, this.name)]),
    );

    const steps: Readonly<Record<string, (ledger: QueueLedger) => Promise<void> | void>> = {
      publish: (ledger) => this.#publishSome(publisher, dice, ledger),
      get: async (ledger) => {
        const one = readers.get(ledger)?.takeHead(await session.call(channel.get(ledger.name)));
        if (one !== undefined) taken.push(one);
      },
      settle: () => {
        const settled = taken.splice(dice.roll(taken.length + 1), 1 + dice.roll(3));
        for (const { message, entry, ledger } of settled) {
          const requeue = dice.once(4);
          if (requeue) channel.nack(message, false, true);
          else channel.ack(message);
          if (requeue) ledger.returned(entry);
          else this.#acknowledged(publisher, ledger, entry, dice.once(5));
        }
      },
      purge: async (ledger) => {
        if (dice.once(2)) await publisher.settled();
        const { least, most } = ledger.readyRange();
        ledger.purgeSent();
        const { messageCount } = await session.call(channel.purgeQueue(ledger.name));
        if (messageCount < least || messageCount > most) {
          const text = `${ledger.name}: purge-ok tells of ${messageCount} messages; there were ${least} to ${most}`;
          this.#model.findings.add('miscounted', text);
        }
        ledger.purged();
        session.notice('purge');
      },
      count: async (ledger) => {
        await publisher.settled();
        const { messageCount } = await session.call(channel.checkQueue(ledger.name));
        ledger.checkCount(messageCount, 'a passive declaration');
      },
      delete: async (ledger) => {
        ledger.deleteSent();
        await session.call(channel.deleteQueue(ledger.name));
        this.#unbound(ledger);
        ledger.deleted();
        taken.splice(0, taken.length, ...taken.filter((one) => one.ledger !== ledger));
        session.notice('topology');
      },
      bind: (ledger) => this.#bind(session, channel, ledger, dice.pick(KEYS), true),
      unbind: (ledger) => this.#bind(session, channel, ledger, dice.pick(KEYS), false),
    };
    const usual = ['publish', 'publish', 'publish', 'get', 'get', 'settle', 'settle'];
    const rare = ['count', 'count', 'purge', 'delete', 'bind', 'bind', 'unbind'];
    while (!session.stopping) {
      const ledger = dice.pick(this.#ledgers);
      if (ledger.existence === 'no') await this.#declare(session, channel, ledger);
      else await steps[dice.pick(dice.once(8) ? rare : usual)]?.(ledger);
      await publisher.room(200);
      // One more step in the same turn, mostly: a kill should find several in one record of the log.
      if (dice.once(5)) await session.pause(dice.roll(3));
    }
    await publisher.settled();
    for (const { ledger, entry } of taken) ledger.returned(entry);
    await session.call(connection.close());
  }

  #publishSome(publisher: ConfirmedPublisher, dice: Dice, { name, size }: QueueLedger): void {
    if (size > MAX_MESSAGES) return;
    for (let i = between(dice, 1, 10); i > 0; i--) {
      const key = dice.pick(KEYS);
      const bound = this.#ledgers.filter((ledger) => this.#bindings.get(`${ledger.name} ${key}`) === 'yes');
      if (dice.once(2)) publisher.publish({ exchange: '', key: name, queues: [name] });
      else publisher.publish({ exchange: this.#exchange, key, queues: bound.map((ledger) => ledger.name) });
    }
  }

  #acknowledged(publisher: ConfirmedPublisher, ledger: QueueLedger, entry: Entry, flush: boolean): void {
    ledger.acknowledged(entry);
    if (!flush) return;
    publisher.flush((id) => ledger.flushed([entry], id));
  }

  async #declare(session: Session, channel: ConfirmChannel, ledger: QueueLedger): Promise<void> {
    ledger.existence = 'maybe';
    const { maxPriority, isQuorum = false } = ledger.traits;
    const type = isQuorum ? { 'x-queue-type': 'quorum' } : {};
    const options = { durable: true, maxPriority, arguments: type };
    const { messageCount } = await session.call(channel.assertQueue(ledger.name, options));
    ledger.existence = 'yes';
    if (messageCount !== 0) {
      this.#model.findings.add('miscounted', `${ledger.name}: declared anew, and holds ${messageCount} messages`);
    }
    session.notice('topology');
  }

  async #bind(
    session: Session,
    channel: ConfirmChannel,
    { name }: QueueLedger,
    key: string,
    bind: boolean,
  ): Promise<void> {
    this.#bindings.set(`${name} ${key}`, 'maybe');
    if (bind) await session.call(channel.bindQueue(name, this.#exchange, key));
    else await session.call(channel.unbindQueue(name, this.#exchange, key));
    this.#bindings.set(`${name} ${key}`, bind ? 'yes' : 'no');
    session.notice('topology');
  }

  /** Bindings that a crash left open are made certain, and those of a queue that went with it are gone. */
  async #settleBindings(session: Session, channel: ConfirmChannel): Promise<void> {
    for (const ledger of this.#ledgers) {
      if (ledger.existence !== 'yes') this.#unbound(ledger);
      for (const key of KEYS) {
        if (this.#bindings.get(`${ledger.name} ${key}`) !== 'maybe') continue;
        await this.#bind(session, channel, ledger, key, false);
      }
    }
  }

  #unbound({ name }: QueueLedger): void {
    for (const key of KEYS) this.#bindings.set(`${name} ${key}`, 'no');
  }
}
