// The frame of every raw-byte test: a client that may do anything, and a bystander on another connection of the same
// broker, which must notice nothing: after the test it still publishes and gets its message.
import t, { type Test } from 'tap';
import type { Target } from './broker.ts';
import { basicConsume, FRAME_BODY, FRAME_HEADER, message } from './wire-bytes.ts';
import { WireClient } from './wire-client.ts';

export interface WireTest {
  readonly t: Test;
  /** Connected, nothing sent yet. */
  readonly client: WireClient;
  readonly target: Target;
}

/** A test with a client of its own. Tests of a file run side by side when the file sets `t.jobs`. */
export function wireTest(target: Target, title: string, run: (test: WireTest) => Promise<void>): void {
  t.test(title, async (t) => {
    const bystander = await Bystander.open(t, target);
    await run({ t, client: new WireClient(t, target), target });
    await bystander.expectUnharmed();
  });
}

/** As wireTest, with the handshake done and channel 1 open. */
export function channelTest(target: Target, title: string, run: (test: WireTest) => Promise<void>): void {
  wireTest(target, title, async (test) => {
    await test.client.open();
    await test.client.openChannel(1);
    await run(test);
  });
}

/** A connection that only wants to work: it consumes from a queue of its own. */
class Bystander {
  readonly #t: Test;
  readonly #client: WireClient;
  readonly #queue: string;

  private constructor(t: Test, client: WireClient, queue: string) {
    this.#t = t;
    this.#client = client;
    this.#queue = queue;
  }

  static async open(t: Test, target: Target): Promise<Bystander> {
    const client = await new WireClient(t, target).open();
    await client.openChannel(1);
    const queue = await client.declareQueue(1);
    client.send(basicConsume(1, queue));
    await client.expectMethod(1, 60, 21);
    return new Bystander(t, client, queue);
  }

  async expectUnharmed(): Promise<void> {
    this.#client.send(message(1, 'unharmed', { routingKey: this.#queue }));
    await this.#client.expectMethod(1, 60, 60);
    const header = await this.#client.nextFrame();
    const body = await this.#client.nextFrame();
    this.#t.same([header.type, body.type], [FRAME_HEADER, FRAME_BODY]);
    this.#t.equal(body.payload.toString(), 'unharmed', 'another connection noticed nothing');
  }
}
