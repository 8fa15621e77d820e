// Taking messages as every actor does it: each is compared with what was published, and told to its queue's ledger.
import type { GetMessage, Message } from 'amqplib';
import { type Entry, type QueueLedger, Stream } from './ledger.ts';
import { readMarks } from './marks.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';

/** A delivery that waits to be settled. */
export interface Taken {
  readonly message: Message;
  readonly entry: Entry;
  readonly ledger: QueueLedger;
}

/** One channel's view of one queue. */
export class Reader {
  readonly #model: Model;
  readonly #factory: MessageFactory;
  readonly ledger: QueueLedger;
  readonly #stream: Stream;

  constructor(model: Model, factory: MessageFactory, ledger: QueueLedger, who: string) {
    this.#model = model;
    this.#factory = factory;
    this.ledger = ledger;
    this.#stream = new Stream(who);
  }

  /** @returns undefined for what should not have come, which is reported */
  take(message: Message): Taken | undefined {
    const { ledger } = this;
    // Told of one delivery: the message itself has no such header.
    const published = ledger.traits.isQuorum === true ? readMarks(message, false).published : message;
    const fault = this.#factory.faultOf(published);
    if (fault !== undefined) this.#model.findings.add('corrupt', `${ledger.name}: ${fault}`);
    const entry = ledger.delivered(String(message.properties.messageId), message.fields.redelivered, this.#stream);
    return entry === null ? undefined : { message, entry, ledger };
  }

  /** What basic.get gave on a queue that nobody else uses. */
  takeHead(message: GetMessage | false): Taken | undefined {
    this.ledger.checkHead(message === false ? null : String(message.properties.messageId));
    return message === false ? undefined : this.take(message);
  }
}
