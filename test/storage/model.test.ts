// Whatever is done to queues, and however often the broker is stopped or killed in between: they hold what a plain list in memory
// holds, in its order, with the same marks of redelivery.
import fc from 'fast-check';
import t from 'tap';
import type { Delivery, Queue } from '../../lib/core/queue.ts';
import { sequenceOf, table } from '../core/helper.ts';
import { SimulatedDisk, seededRandom } from '../helper/sim-disk.ts';
import { arrive } from '../helper/store-content.ts';
import { StoreHistory } from '../helper/store-history.ts';
import { type Limits, StoreLife } from '../helper/store-life.ts';

const SCALE = Number(process.env.STORE_SCALE ?? 1);
t.setTimeout(SCALE * 110_000);

const NAMES = ['a', 'b', 'quorum'] as const;
type Name = (typeof NAMES)[number];

interface Listed {
  readonly id: number;
  readonly persistent: boolean;
  /** Messages stand in the order of these. */
  place: number;
  wasDelivered: boolean;
  /** How often it came back, where the queue tells of it. */
  returns: number;
}

interface Held {
  readonly name: Name;
  readonly queue: Queue;
  readonly delivery: Delivery;
  readonly listed: Listed;
}

/** Queues as lists, beside the real ones. */
class Pair {
  readonly #limits: Limits;
  readonly #history = new StoreHistory();
  #disk: SimulatedDisk;
  #life: StoreLife;
  readonly #ready: Record<Name, Listed[]> = { a: [], b: [], quorum: [] };
  #held: Held[] = [];
  #places = 0;

  private constructor(disk: SimulatedDisk, limits: Limits, life: StoreLife) {
    this.#disk = disk;
    this.#limits = limits;
    this.#life = life;
  }

  static async open(seed: number, limits: Limits): Promise<Pair> {
    const disk = new SimulatedDisk({ random: seededRandom(seed) });
    const life = await StoreLife.open(disk, limits);
    const host = life.virtualHosts.get('/');
    for (const name of NAMES) {
      const args = table(name === 'quorum' ? { 'x-queue-type': name } : {});
      host?.declareQueue({ name, durable: true, autoDelete: false, owner: null, arguments: args });
    }
    return new Pair(disk, limits, life);
  }

  publish(name: Name, count: number, isPersistent: boolean, bodyBytes: number): void {
    const host = this.#life.virtualHosts.get('/');
    if (host === undefined) throw new Error('no virtual host');
    // A quorum queue makes messages persistent.
    const persistent = isPersistent || name === 'quorum';
    for (let i = 0; i < count; i++) {
      const content = this.#history.newContent({
        exchange: '',
        routingKey: name,
        bodyBytes,
        persistent,
        expiresAtMs: 0,
      });
      this.#queue(name).publish(arrive(content, host), null);
      this.#ready[name].push({ id: content.id, persistent, place: this.#places++, wasDelivered: false, returns: 0 });
    }
  }

  /** Takes messages, and compares each with the first of the list. */
  async take(name: Name, count: number): Promise<void> {
    const queue = this.#queue(name);
    for (let i = 0; i < count; i++) {
      const answers: (Delivery | null)[] = [];
      queue.get(false, (delivery) => answers.push(delivery));
      await this.#life.until(() => answers.length > 0, 'an answer to get');
      this.#healthy();
      const [delivery] = answers;
      const listed = this.#ready[name].shift();
      const found = delivery == null ? null : this.#history.recognize(delivery.message);
      if (found !== (listed?.id ?? null)) throw new Error(`${name}: got ${found}, and not ${listed?.id}`);
      if (delivery == null || listed === undefined) return;
      if (delivery.redelivered !== listed.wasDelivered) throw new Error(`${name}: ${found} is marked wrongly`);
      this.#same(delivery.deliveryCount, listed.returns, `${name}: returns of ${found}`);
      listed.wasDelivered = true;
      this.#held.push({ name, queue, delivery, listed });
    }
  }

  /** Settles every so manieth of what was taken. */
  settle(each: number, how: 'acknowledge' | 'reject' | 'requeue'): void {
    const chosen = this.#held.filter((_, i) => i % each === 0);
    this.#held = this.#held.filter((_, i) => i % each !== 0);
    for (const { queue, delivery } of chosen) queue[how](delivery.message, delivery.position);
    if (how !== 'requeue') return;
    for (const { name, listed } of chosen) {
      if (name !== 'quorum') continue;
      listed.place = this.#places++;
      listed.returns++;
    }
    this.#giveBack(chosen);
  }

  purge(name: Name): void {
    this.#same(this.#queue(name).purge(), this.#ready[name].length, 'purged');
    this.#ready[name] = [];
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#life.turn();
    this.check();
  }

  /** Stops the broker in good order, or kills it when all is durable, and starts it again. */
  async restart(isKilled: boolean): Promise<void> {
    if (isKilled) {
      let isDurable = false;
      this.#life.store.whenDurable(() => {
        isDurable = true;
      });
      await this.#life.until(() => isDurable, 'all is durable');
      await this.#life.kill();
    } else {
      await this.#life.close();
    }
    this.#healthy();
    this.#disk = this.#disk.crash({ mode: 'keep' });
    this.#life = await StoreLife.open(this.#disk, this.#limits);
    this.#giveBack(this.#held);
    this.#held = [];
    for (const name of NAMES) {
      this.#ready[name] = this.#ready[name].filter(({ persistent }) => persistent);
      // What was delivered right before a crash is not known: all that is left may have been.
      if (isKilled) for (const listed of this.#ready[name]) listed.wasDelivered = true;
    }
    if (!isKilled && this.#life.warnings.length > 0)
      throw new Error(`something was to be repaired: ${this.#life.warnings}`);
    this.check();
  }

  /** Takes all that there is. */
  async drain(): Promise<void> {
    for (const name of NAMES) await this.take(name, this.#ready[name].length + 1);
    this.check();
  }

  check(): void {
    this.#healthy();
    for (const name of NAMES) {
      this.#same(this.#queue(name).messageCount, this.#ready[name].length, `ready in ${name}`);
      const held = this.#held.filter((one) => one.name === name).length;
      this.#same(this.#queue(name).unacknowledgedCount, held, `unacknowledged in ${name}`);
    }
  }

  async end(): Promise<void> {
    await this.#life.kill();
  }

  /** Back to their places. */
  #giveBack(chosen: readonly Held[]): void {
    for (const { name, listed } of chosen) this.#ready[name].push(listed);
    for (const name of NAMES) this.#ready[name].sort((a, b) => a.place - b.place);
  }

  #queue(name: Name): Queue {
    const queue = this.#life.virtualHosts.get('/')?.queues.get(name);
    if (queue === undefined) throw new Error(`queue ${name} is gone`);
    return queue;
  }

  #same(found: number, expected: number, what: string): void {
    if (found !== expected) throw new Error(`${what}: ${found}, and not ${expected}`);
  }

  #healthy(): void {
    const { defects, failures } = this.#life;
    if (defects.length > 0) throw defects[0];
    if (failures.length > 0) throw new Error('the store failed', { cause: failures[0] });
  }
}

type Step = (pair: Pair) => void | Promise<void>;

function step<Argument>(
  name: string,
  argument: fc.Arbitrary<Argument>,
  run: (pair: Pair, argument: Argument) => void | Promise<void>,
): fc.Arbitrary<Step> {
  return argument.map((value) => {
    const made: Step = (pair) => run(pair, value);
    return Object.assign(made, { [fc.toStringMethod]: () => `${name} ${fc.stringify(value)}` });
  });
}

const name = fc.constantFrom(...NAMES);
const count = fc.integer({ min: 1, max: 40 });
const how = fc.constantFrom('acknowledge', 'reject', 'requeue');
const persistent = fc.boolean().map((isTransient) => !isTransient);

const steps = fc.oneof(
  { weight: 6, arbitrary: step('publish', fc.tuple(name, count, persistent, fc.nat(300)), (p, a) => p.publish(...a)) },
  { weight: 4, arbitrary: step('take', fc.tuple(name, count), (pair, args) => pair.take(...args)) },
  { weight: 4, arbitrary: step('settle', fc.tuple(fc.integer({ min: 1, max: 3 }), how), (p, a) => p.settle(...a)) },
  { weight: 1, arbitrary: step('purge', name, (pair, which) => pair.purge(which)) },
  { weight: 3, arbitrary: step('turns', fc.nat(20), (pair, turns) => pair.turns(turns)) },
  { weight: 2, arbitrary: step('restart', fc.boolean(), (pair, isKilled) => pair.restart(isKilled)) },
);

const limits = fc.record({
  segmentBytes: fc.constantFrom(1024, 4096, 16_384),
  budgetBytes: fc.constantFrom(2048, 8192, 65_536),
  fsync: fc.constantFrom('always', 'interval', 'never'),
});

t.test('what came back and was purged before that was written leaves no mark to another message', async (t) => {
  const pair = await Pair.open(0, { segmentBytes: 1024, budgetBytes: 2048, fsync: 'always' });
  pair.publish('quorum', 1, true, 0);
  await pair.take('quorum', 1);
  pair.settle(1, 'requeue');
  pair.purge('quorum');
  await pair.restart(true);
  pair.publish('quorum', 1, true, 0);
  await pair.drain();
  await pair.end();
  t.pass();
});

t.test('queues are lists, whatever happens to the broker', async (t) => {
  const property = fc.asyncProperty(fc.nat(), limits, sequenceOf(steps), async (seed, limits, sequence) => {
    const pair = await Pair.open(seed, limits);
    for (const run of sequence) {
      await run(pair);
      pair.check();
    }
    await pair.restart(false);
    await pair.drain();
    await pair.end();
  });
  await fc.assert(property, { numRuns: 120 * SCALE });
  t.pass();
});
