// Taking messages out of a chain: each is compared with what was published, and told to the chain's ledger.
import type { Message } from 'amqplib';
import { type ChainLedger, LATENESS_MS } from './chain-ledger.ts';
import { readMarks } from './marks.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import type { Session } from './session.ts';
import type { Traveller } from './traveller.ts';

/** A delivery that waits to be settled. */
export interface ChainTaken {
  readonly message: Message;
  readonly traveller: Traveller;
  readonly chain: ChainLedger;
}

export class ChainReader {
  readonly #model: Model;
  readonly #factory: MessageFactory;
  readonly #who: string;

  constructor(model: Model, factory: MessageFactory, who: string) {
    this.#model = model;
    this.#factory = factory;
    this.#who = who;
  }

  /**
   * @param decidedMs the client let the broker deliver it then, not earlier
   * @returns undefined for what should not have come, which is reported
   */
  take(chain: ChainLedger, stage: number, message: Message, decidedMs: number): ChainTaken | undefined {
    const { deaths, count, published, fault } = readMarks(message, chain.stages[0].isExchange);
    const id = String(message.properties.messageId);
    const wrong = fault === undefined ? this.#factory.faultOf(published) : `${id}: ${fault}`;
    if (wrong !== undefined) this.#model.findings.add('corrupt', `${chain.stages[stage].name}: ${wrong}`);
    const traveller = chain.delivered({
      id,
      stage,
      redelivered: message.fields.redelivered,
      deaths,
      count,
      who: this.#who,
      decidedMs,
      nowMs: Date.now(),
    });
    return traveller === null ? undefined : { message, traveller, chain };
  }
}

/** Asks again and again, until `sinceMs` is too long ago; then it is false. */
export async function patiently(
  session: Session,
  sinceMs: number,
  isDone: () => boolean | Promise<boolean>,
): Promise<boolean> {
  while (!(await isDone())) {
    if (Date.now() > sinceMs + LATENESS_MS) return false;
    await session.pause(5);
  }
  return true;
}
