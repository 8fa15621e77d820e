// An actor that publishes to the shared queues as fast as its window allows.
import type { MessageFactory } from './messages.ts';
import type { Model } from './model.ts';
import { ConfirmedPublisher, Source } from './publishing.ts';
import { between, diceOf } from './random.ts';
import type { Session } from './session.ts';
import { ROUTES } from './topology.ts';

/** What takes part in the experiment. An actor lives longer than the broker: it runs once in each of its lives. */
export interface Actor {
  readonly name: string;
  run(session: Session, seed: number): Promise<void>;
}

/** Beyond these a queue is not published to: a backlog has to fit in the time that a drain may take. */
const MAX_BACKLOG_BYTES = 24_000_000;
const MAX_BACKLOG_MESSAGES = 8000;
/** Published before others have their turn. */
const BATCH = 20;

export class Publisher implements Actor {
  readonly name: string;
  readonly #model: Model;
  readonly #source: Source;

  constructor(index: number, model: Model, factory: MessageFactory) {
    this.name = `publisher${index}`;
    this.#model = model;
    this.#source = new Source(this.name, { sizes: 'mixed', transientOneIn: index === 0 ? 0 : 7 }, factory);
  }

  async run(session: Session, seed: number): Promise<void> {
    const dice = diceOf(seed);
    const connection = await session.connect(this.name);
    const channel = await session.confirmChannel(connection, this.name);
    const publisher = new ConfirmedPublisher(this.#model, session, channel, this.#source);
    const window = dice.pick([1, 10, 100, 1000]);
    const pauseMs = dice.once(4) ? between(dice, 1, 10) : 0;
    while (!session.stopping) {
      for (let i = 0; i < BATCH; i++) {
        await publisher.room(window);
        const route = dice.pick(ROUTES);
        if (route.queues.every((queue) => this.#hasRoom(queue))) publisher.publish(route);
      }
      // A turn of the event loop at least: confirms, and the kill, come in between.
      await session.pause(pauseMs);
    }
    await publisher.settled();
    await session.call(connection.close());
  }

  #hasRoom(queue: string): boolean {
    const { bytes, size } = this.#model.queue(queue);
    return bytes < MAX_BACKLOG_BYTES && size < MAX_BACKLOG_MESSAGES;
  }
}
