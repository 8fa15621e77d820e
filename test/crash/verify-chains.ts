// Takes everything out of every queue of the chains, each chain from its first queue on, while nobody else is at work, and compares it
// with the model. What is held by a client goes nowhere, so what is in two places is found twice.
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { Dice } from '../helper/random-client.ts';
import { type ChainLedger, LATENESS_MS } from './chain-ledger.ts';
import { ChainReader, type ChainTaken, patiently } from './chain-reading.ts';
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import { ConfirmedPublisher, type Source } from './publishing.ts';
import type { Session } from './session.ts';

export interface ChainVerification {
  readonly session: Session;
  readonly model: Model;
  readonly factory: MessageFactory;
  readonly source: Source;
  readonly dice: Dice;
  /** Wait until the time of all messages has come: then nothing is held back, and what has expired is gone. */
  readonly wait: boolean;
}

export async function verifyChains(verification: ChainVerification): Promise<void> {
  const { session, model, wait } = verification;
  const chains = model.chains.filter(({ isDeclared }) => isDeclared);
  const connection = await session.connect('verify chains');
  const watcher = await session.channel(connection, 'verify chains');
  const dueMs = Math.max(0, ...chains.map((chain) => chain.lastDue()));
  if (wait && dueMs > Date.now()) await session.call(delay(dueMs - Date.now()));
  for (const chain of chains) {
    if (wait) {
      for (const { name, ttlMs } of chain.stages) {
        if (ttlMs === Number.POSITIVE_INFINITY) continue;
        let left = 0;
        const isEmpty = await patiently(session, Date.now(), async () => {
          left = (await session.call(watcher.checkQueue(name))).messageCount;
          return left === 0;
        });
        if (!isEmpty) chain.stalled(`${left} messages that must have expired are in ${name} still`);
      }
    }
    await new ChainDrain(verification, connection, chain).run();
  }
  await session.call(connection.close());
}

class ChainDrain {
  readonly #parts: ChainVerification;
  readonly #connection: ChannelModel;
  readonly #chain: ChainLedger;
  readonly #reader: ChainReader;
  readonly #taken: ChainTaken[] = [];

  constructor(parts: ChainVerification, connection: ChannelModel, chain: ChainLedger) {
    this.#parts = parts;
    this.#connection = connection;
    this.#chain = chain;
    this.#reader = new ChainReader(parts.model, parts.factory, 'verify');
  }

  async run(): Promise<void> {
    const { session, model, dice, wait } = this.#parts;
    const chain = this.#chain;
    const channel = await session.confirmChannel(this.#connection, 'verify chain');
    const sinceMs = Date.now();
    const dueMs = chain.lastDue();
    await this.#drain(channel);
    if (wait) {
      await patiently(session, dueMs, async () => {
        if (!chain.awaits()) return true;
        await this.#drain(channel);
        return false;
      });
    }
    chain.reconcile(new Set(this.#taken.map(({ traveller }) => traveller)), wait ? Infinity : sinceMs);
    model.figures.drainedMessages += this.#taken.length;
    if (dice.once(3)) {
      for (const { traveller } of this.#taken) chain.returned(traveller);
    } else {
      for (const { message, traveller } of this.#taken) {
        chain.acknowledged(traveller);
        channel.ack(message);
      }
    }
    // All that is not acknowledged comes back.
    await session.call(channel.close());
    await this.#flush();
  }

  async #drain(channel: ConfirmChannel): Promise<void> {
    for (const [stage, { name, isExchange }] of this.#chain.stages.entries()) {
      if (isExchange) continue;
      if (this.#parts.dice.once(4)) await this.#getAll(channel, stage, name);
      else await this.#consumeAll(channel, stage, name);
    }
  }

  async #getAll(channel: ConfirmChannel, stage: number, name: string): Promise<void> {
    const { session } = this.#parts;
    for (;;) {
      const askedMs = Date.now();
      const message = await session.call(channel.get(name));
      if (message === false) return;
      this.#take(this.#reader.take(this.#chain, stage, message, askedMs));
    }
  }

  async #consumeAll(channel: ConfirmChannel, stage: number, name: string): Promise<void> {
    const { session } = this.#parts;
    const askedMs = Date.now();
    let count = 0;
    const { consumerTag } = await session.call(
      channel.consume(name, (message) => {
        if (message === null) return;
        count++;
        this.#take(this.#reader.take(this.#chain, stage, message, askedMs));
      }),
    );
    let before = -1;
    let movedMs = Date.now();
    for (;;) {
      // What was delivered before the answer comes before it.
      const { messageCount } = await session.call(channel.checkQueue(name));
      if (messageCount === 0) break;
      if (count !== before) movedMs = Date.now();
      before = count;
      if (Date.now() > movedMs + LATENESS_MS) {
        this.#chain.stalled(`${name} tells of ${messageCount} messages, ${count} came, and no more`);
        break;
      }
      await session.pause(5);
    }
    await session.call(channel.cancel(consumerTag));
  }

  #take(taken: ChainTaken | undefined): void {
    if (taken !== undefined) this.#taken.push(taken);
  }

  /** When something that is published now is confirmed, what came of the messages is on disk. */
  async #flush(): Promise<void> {
    const { session, model, source } = this.#parts;
    const chain = this.#chain;
    const channel = await session.confirmChannel(this.#connection, 'verify chain');
    const publisher = new ConfirmedPublisher(model, session, channel, source);
    const snapshot = chain.snapshot(this.#taken.map(({ traveller }) => traveller));
    publisher.flush((id) => chain.flushed(snapshot, id));
    await publisher.settled();
    await session.call(channel.close());
  }
}
