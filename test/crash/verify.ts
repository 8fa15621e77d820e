// Takes everything out of every queue while nobody else is at work, and compares it with the model. Then it acknowledges it, or
// gives it back.
import type { ConfirmChannel, GetMessage, Message } from 'amqplib';
import type { Dice } from '../helper/random-client.ts';
import type { Entry, QueueLedger } from './ledger.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import { ConfirmedPublisher, type Source } from './publishing.ts';
import { Reader } from './reading.ts';
import { type Session, Signal } from './session.ts';

/** Nothing came for so long though messages are left: nothing will. */
const STALL_MS = 15_000;
/** Small queues are emptied with basic.get, sometimes. */
const FEW = 100;

export async function verify(
  session: Session,
  model: Model,
  factory: MessageFactory,
  source: Source,
  dice: Dice,
): Promise<void> {
  const connection = await session.connect('verify');
  session.notice('drain');
  model.figures.drains++;
  for (const ledger of model.ledgers) {
    if (ledger.existence !== 'yes') continue;
    const channel = await session.confirmChannel(connection, 'verify');
    const publisher = new ConfirmedPublisher(model, session, channel, source);
    const drain = new Drain(session, model, channel, new Reader(model, factory, ledger, 'verify'));
    // What is given back must be there again the next time, in the same order.
    const giveBack = dice.once(3);
    await (dice.once(3) ? drain.withGets() : drain.withConsumer(giveBack ? 0 : dice.pick([20, 300, 0]), !giveBack));
    model.figures.drainedMessages += drain.drained.length;
    if (giveBack) {
      for (const entry of drain.drained) ledger.returned(entry);
    } else {
      drain.acknowledgeAll();
      publisher.flush((id) => ledger.flushed(drain.drained, id));
      await publisher.settled();
    }
    await session.call(channel.close());
  }
  await session.call(connection.close());
}

class Drain {
  readonly #session: Session;
  readonly #model: Model;
  readonly #reader: Reader;
  readonly #channel: ConfirmChannel;
  readonly #ledger: QueueLedger;
  readonly #arrived = new Signal();
  /** In the order of the queue. */
  readonly drained: Entry[] = [];
  /** Deliveries, among them those that should not have been. */
  #count = 0;
  #unacknowledged: Message | undefined;
  /** How many of `drained` are acknowledged. */
  #acknowledged = 0;

  constructor(session: Session, model: Model, channel: ConfirmChannel, reader: Reader) {
    this.#session = session;
    this.#model = model;
    this.#reader = reader;
    this.#channel = channel;
    this.#ledger = reader.ledger;
  }

  async withConsumer(prefetch: number, acknowledge: boolean): Promise<void> {
    const channel = this.#channel;
    const declared = await this.#declared();
    await this.#session.call(channel.prefetch(prefetch));
    const { consumerTag } = await this.#session.call(
      channel.consume(this.#ledger.name, (message) => {
        if (message !== null) this.#take(message);
      }),
    );
    while (this.#count < declared) {
      const before = this.#count;
      // The first ones may be here already, and nothing else comes before they are settled.
      if (acknowledge) this.acknowledgeAll();
      await this.#session.call(this.#arrived.wait(STALL_MS));
      if (this.#count === before) break;
    }
    if (this.#count < declared) {
      this.#model.findings.add('stalled', `${this.#ledger.name}: ${this.#count} of ${declared} messages came, no more`);
    }
    await this.#session.call(channel.cancel(consumerTag));
    await this.#end(declared);
  }

  async withGets(): Promise<void> {
    const declared = await this.#declared();
    if (declared > FEW) return this.withConsumer(0, false);
    await this.#end(declared);
  }

  /** Acknowledges what came so far. */
  acknowledgeAll(): void {
    if (this.#unacknowledged === undefined) return;
    this.#channel.ack(this.#unacknowledged, true);
    this.#unacknowledged = undefined;
    for (const entry of this.drained.slice(this.#acknowledged)) this.#ledger.acknowledged(entry);
    this.#acknowledged = this.drained.length;
  }

  async #declared(): Promise<number> {
    const { messageCount } = await this.#session.call(this.#channel.checkQueue(this.#ledger.name));
    return messageCount;
  }

  /** Takes what is left, which is nothing after a consumer, and compares. */
  async #end(declared: number): Promise<void> {
    const next = (): Promise<GetMessage | false> => this.#session.call(this.#channel.get(this.#ledger.name));
    for (let message = await next(); message !== false; message = await next()) this.#take(message);
    this.#ledger.reconcile(this.drained, declared);
  }

  #take(message: Message): void {
    this.#count++;
    const taken = this.#reader.take(message);
    if (taken !== undefined) this.drained.push(taken.entry);
    this.#unacknowledged = message;
    this.#arrived.fire();
  }
}
