// An actor in tx mode: each commit takes messages off its own queues and publishes others to several queues, all or nothing.
import type { Channel } from 'amqplib';
import { call } from '../helper/messages.ts';
import type { Dice } from '../helper/random-client.ts';
import type { Commit } from './commit.ts';
import type { QueueLedger } from './ledger.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import type { Actor } from './publisher.ts';
import { Source } from './publishing.ts';
import { between, diceOf } from './random.ts';
import { Reader, type Taken } from './reading.ts';
import type { Session } from './session.ts';
import { SHARED_QUEUES } from './topology.ts';

const MAX_MESSAGES = 1500;

export class Transactor implements Actor {
  readonly name: string;
  readonly #model: Model;
  readonly #factory: MessageFactory;
  readonly #source: Source;
  readonly #ledgers: readonly QueueLedger[];
  #commits = 0;

  constructor(index: number, model: Model, factory: MessageFactory) {
    this.name = `transactor${index}`;
    this.#model = model;
    this.#factory = factory;
    this.#source = new Source(this.name, { sizes: 'mixed', transientOneIn: 0 }, factory);
    this.#ledgers = ['a', 'b'].map((name) => model.addQueue(`${this.name}.${name}`, true));
  }

  async run(session: Session, seed: number): Promise<void> {
    const dice = diceOf(seed);
    const connection = await session.connect(this.name);
    for (const ledger of this.#ledgers)
      await this.#declare(session, await session.channel(connection, this.name), ledger);
    while (!session.stopping) {
      const channel = await session.channel(connection, this.name);
      await this.#work(session, channel, dice, performance.now() + between(dice, 50, 2000));
    }
    await session.call(connection.close());
  }

  async #declare(session: Session, channel: Channel, ledger: QueueLedger): Promise<void> {
    if (ledger.existence === 'no') {
      ledger.existence = 'maybe';
      await session.call(channel.assertQueue(ledger.name, { durable: true }));
      ledger.existence = 'yes';
    }
    await session.call(channel.close());
  }

  async #work(session: Session, channel: Channel, dice: Dice, until: number): Promise<void> {
    await session.call(call(channel, 'TxSelect'));
    const readers = this.#ledgers.map((ledger) => new Reader(this.#model, this.#factory, ledger, this.name));
    /** Unacknowledged on this channel. */
    let taken: Taken[] = [];
    while (!session.stopping && performance.now() < until) {
      const open = this.#model.begin(`commit ${++this.#commits} of ${this.name}`);
      for (let i = dice.roll(6); i > 0; i--) {
        const reader = dice.pick(readers);
        const one = reader.takeHead(await session.call(channel.get(reader.ledger.name)));
        if (one !== undefined) taken.push(one);
      }
      this.#publishSome(channel, dice, open);
      const acknowledged = taken.filter(() => !dice.once(4));
      for (const { message, entry, ledger } of acknowledged) {
        open.acknowledges({ ledger, entry });
        if (dice.once(8)) channel.reject(message, false);
        else channel.ack(message);
      }
      if (dice.once(10)) {
        // What was acknowledged is unacknowledged again, and stays with this channel.
        await session.call(call(channel, 'TxRollback'));
        this.#model.rolledBack(open);
      } else if (dice.once(20)) {
        // Closing the channel drops the transaction like a rollback, and gives back what the channel held.
        this.#model.rolledBack(open);
        break;
      } else {
        open.sent();
        const committed = session.call(call(channel, 'TxCommit'));
        session.notice('commit sent');
        await committed;
        this.#model.committed(open);
        session.notice('commit');
        taken = taken.filter((one) => !acknowledged.includes(one));
      }
      if (dice.once(10)) await session.pause(dice.roll(5));
    }
    for (const { ledger, entry } of taken) ledger.returned(entry);
    await session.call(channel.close());
  }

  #publishSome(channel: Channel, dice: Dice, commit: Commit): void {
    for (const { name, size } of this.#ledgers) {
      if (size > MAX_MESSAGES) continue;
      for (let i = dice.roll(4); i > 0; i--) this.#publish(channel, name, commit);
    }
    const shared = dice.pick(SHARED_QUEUES);
    if (dice.once(2) && this.#model.queue(shared).size < MAX_MESSAGES) this.#publish(channel, shared, commit);
  }

  #publish(channel: Channel, queue: string, commit: Commit): void {
    const draft = this.#source.next();
    this.#model.published(draft, [queue], commit);
    channel.publish('', queue, draft.content, draft.options);
  }
}
