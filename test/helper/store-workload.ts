// Random clients of a store: whatever a seed says they do, in steps of which each is one go. Limits are small, so that segments,
// pages, checkpoints and merges come all the time.
import type { Queue } from '../../lib/core/queue.ts';
import type { VirtualHost } from '../../lib/core/virtual-host.ts';
import { seededRandom } from './sim-disk.ts';
import { type Limits, VIRTUAL_HOSTS } from './store-life.ts';
import type { StoreWorld, Unsettled } from './store-world.ts';

const QUEUES = ['a', 'b', 'c', 'd'] as const;
const EXCHANGES = ['x', 'y'] as const;
const KEYS = ['k1', 'k2', 'k3'] as const;
const TYPES = ['direct', 'fanout', 'topic'] as const;

/** What a seed's run is like. */
export interface Profile extends Limits {
  /** Its name in `PROFILES`. */
  readonly kind: string;
  readonly steps: number;
  /** Most bytes of most bodies, and of few. */
  readonly bodyBytes: number;
  readonly largeBodyBytes: number;
  /** Most messages that are published in one step. */
  readonly burst: number;
  /** How much likelier publishes are than what takes messages away. */
  readonly publishing: number;
}

export class Dice {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  roll(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  pick<T>(things: readonly T[]): T {
    return things[this.roll(things.length)];
  }

  some<T>(things: readonly T[], share: number): T[] {
    return things.filter(() => this.chance(share));
  }
}

/** Small messages and small limits. */
export function profileOf(seed: number, steps = 50): Profile {
  const dice = new Dice(seed ^ 0x5eed);
  return {
    kind: 'small',
    steps,
    fsync: 'always',
    segmentBytes: dice.pick([1024, 2048, 4096, 8192]),
    budgetBytes: dice.pick([2048, 4096, 8192, 16384]),
    bodyBytes: dice.pick([40, 200, 600]),
    largeBodyBytes: dice.pick([3000, 3000, 9000]),
    burst: dice.pick([3, 6, 12]),
    publishing: dice.pick([3, 5, 8]),
  };
}

/** So little in each write that it can be torn at every byte. */
export function tinyMessages(seed: number, steps = 40): Profile {
  const base = { ...profileOf(seed, steps), kind: 'tiny', segmentBytes: 600, budgetBytes: 2048 };
  return { ...base, bodyBytes: 12, largeBodyBytes: 60, burst: 4 };
}

/** As `profileOf`, but what is confirmed may not have been synced. */
export function lazySync(seed: number, steps = 50): Profile {
  return { ...profileOf(seed, steps), kind: 'lazy', fsync: seed % 2 === 0 ? 'interval' : 'never' };
}

/** So many messages that what a queue keeps for its consumers is not all of them. */
export function manyMessages(seed: number, steps = 50): Profile {
  const dice = new Dice(seed ^ 0x3a27);
  const segmentBytes = dice.pick([16_384, 65_536]);
  const base = { kind: 'many', steps, fsync: 'always', segmentBytes, bodyBytes: 30, largeBodyBytes: 2000 } as const;
  return { ...base, budgetBytes: dice.pick([32_768, 131_072, 400_000]), burst: dice.pick([300, 900]), publishing: 3 };
}

/** So large bodies that a queue's part of a page is not read at once. */
export function largeMessages(seed: number, steps = 50): Profile {
  const dice = new Dice(seed ^ 0x1a29);
  const segmentBytes = dice.pick([200_000, 1_000_000]);
  const base = {
    kind: 'large',
    steps,
    fsync: 'always',
    segmentBytes,
    bodyBytes: 60_000,
    largeBodyBytes: 600_000,
  } as const;
  return { ...base, budgetBytes: dice.pick([500_000, 2_000_000, 5_000_000]), burst: 12, publishing: 8 };
}

export const PROFILES: Readonly<Record<string, (seed: number, steps?: number) => Profile>> = {
  small: profileOf,
  lazy: lazySync,
  many: manyMessages,
  large: largeMessages,
  tiny: tinyMessages,
};

type StepKind = (workload: Workload) => void | Promise<void>;

export class Workload {
  readonly world: StoreWorld;
  readonly dice: Dice;
  readonly #profile: Profile;
  readonly #kinds: StepKind[];
  /** What was done last, for somebody who looks for a defect. */
  readonly trace: string[] = [];

  constructor(world: StoreWorld, dice: Dice, profile: Profile) {
    this.world = world;
    this.dice = dice;
    this.#profile = profile;
    this.#kinds = Object.entries(kindsOf(profile)).flatMap(([name, [weight, kind]]) =>
      new Array<StepKind>(weight).fill((workload) => {
        workload.trace.push(name);
        return kind(workload);
      }),
    );
  }

  /**
   * Takes so many steps, or fewer when the process dies meanwhile.
   * @param mayFail the store may fail on the way: clients go on, since they are not told
   */
  async run(steps = this.#profile.steps, mayFail = false): Promise<void> {
    const { world, dice } = this;
    if (world.queues.length === 0) {
      world.act(() => {
        for (let left = 4; left > 0; left--) this.declare(world.virtualHost(VIRTUAL_HOSTS[0]));
      });
    }
    for (let step = 0; step < steps && !world.life.isDead; step++) {
      await dice.pick(this.#kinds)(this);
      if (dice.chance(0.1)) world.ask();
      for (let turns = dice.chance(0.4) ? dice.roll(10) : 0; turns > 0 && !world.life.isDead; turns--) {
        await world.life.turn();
        world.check();
      }
      if (!mayFail) assertHealthy(world);
    }
  }

  host(): VirtualHost {
    const { dice, world } = this;
    return world.virtualHost(dice.chance(0.75) ? VIRTUAL_HOSTS[0] : dice.pick([...world.life.virtualHosts.keys()]));
  }

  /** One of the queues, if there are any. */
  queue(): Queue | undefined {
    return this.dice.pick(this.world.queues);
  }

  publish(host: VirtualHost): void {
    const { dice } = this;
    const { bodyBytes, largeBodyBytes } = this.#profile;
    const exchanges = EXCHANGES.filter((name) => host.exchanges.has(name));
    const toExchange = exchanges.length > 0 && dice.chance(0.3);
    this.world.publish(host, {
      exchange: toExchange ? dice.pick(exchanges) : '',
      routingKey: dice.pick(toExchange ? KEYS : QUEUES),
      bodyBytes: dice.chance(0.04) ? dice.roll(largeBodyBytes) : dice.roll(bodyBytes),
      persistent: dice.chance(0.8),
      expiresAtMs: dice.chance(0.1) ? 1_800_000_000_000 + dice.roll(1000) : 0,
      priority: dice.chance(0.5) ? dice.roll(5) : 0,
      confirm: dice.chance(0.8),
    });
  }

  declare(host: VirtualHost): void {
    const { dice, world } = this;
    const name = dice.pick(QUEUES);
    if (host.queues.has(name)) return;
    const kind = dice.roll(8);
    const maxPriority = dice.chance(0.3) ? dice.pick([1, 3, 255]) : 0;
    world.declareQueue(host, name, { durable: kind !== 0, exclusive: kind === 1, autoDelete: kind === 2, maxPriority });
  }

  settle(deliveries: readonly Unsettled[]): void {
    const how = this.dice.pick(['acknowledge', 'acknowledge', 'acknowledge', 'reject', 'requeue'] as const);
    this.world.settle(deliveries, how);
  }
}

/** What may be done, and how often. */
function kindsOf({ publishing, burst }: Profile): Record<string, [weight: number, kind: StepKind]> {
  return {
    declare: [3, (w) => w.world.act(() => w.declare(w.host()))],
    publish: [
      publishing * 4,
      (w) =>
        w.world.act(() => {
          const host = w.host();
          for (let left = 1 + w.dice.roll(burst); left > 0; left--) w.publish(host);
        }),
    ],
    settle: [10, (w) => settleSome(w)],
    settleAll: [2, (w) => settleAll(w)],
    get: [6, (w) => onQueue(w, (queue) => w.world.get(queue, w.dice.chance(0.3)))],
    consume: [3, (w) => onQueue(w, (queue) => consume(w, queue))],
    cancel: [2, cancel],
    purge: [1, (w) => onQueue(w, (queue) => w.world.purge(queue))],
    drop: [6, (w) => onQueue(w, (queue) => dropPaged(w, queue))],
    remove: [1, (w) => removeQueue(w)],
    topology: [3, (w) => w.world.act(() => changeTopology(w))],
    administer: [2, (w) => w.world.act(() => administer(w))],
    transaction: [4, transaction],
    ask: [4, (w) => w.world.ask()],
    flush: [2, (w) => w.world.flush()],
    turns: [6, (w) => pass(w, w.dice.roll(12), 0)],
    idle: [2, (w) => pass(w, 3, 1500)],
  };
}

function onQueue(workload: Workload, run: (queue: Queue) => void): void {
  workload.world.act(() => {
    const queue = workload.queue();
    if (queue !== undefined) run(queue);
  });
}

function consume({ world, dice }: Workload, queue: Queue): void {
  if (queue.consumerCount < 2) world.consume(queue, dice.pick([1, 2, 5, 20]), dice.chance(0.2));
}

/** One message, some, or all that are on disk alone. */
function dropPaged({ world, dice }: Workload, queue: Queue): void {
  const share = dice.pick([0, 0.2, 0.7, 1]);
  world.dropPaged(queue, (positions) => {
    if (positions.length === 0) return [];
    return share === 0 ? [dice.pick(positions)] : dice.some(positions, share);
  });
}

function settleSome(workload: Workload): void {
  const { world, dice } = workload;
  world.act(() => {
    const chosen = dice.some(world.unsettled, dice.pick([0.2, 0.5, 1]));
    workload.settle(chosen);
    world.deliver(chosen.map(({ queue }) => queue));
  });
}

/** Takes everything that there is: what was big becomes empty. */
function settleAll(workload: Workload): void {
  const { world, dice } = workload;
  world.act(() => {
    const how = dice.chance(0.8) ? 'acknowledge' : 'requeue';
    const all = world.unsettled;
    world.settle(all, how);
    world.deliver(all.map(({ queue }) => queue));
  });
}

function cancel({ world, dice }: Workload): void {
  world.act(() => {
    const chosen = dice.pick(world.consumers);
    if (chosen === undefined) return;
    const { consumer, queue } = chosen;
    world.cancel(consumer, queue);
    if (dice.chance(0.3)) return;
    world.settle(
      world.unsettled.filter((delivery) => delivery.consumer === consumer),
      'requeue',
    );
    queue.deliver();
  });
}

function removeQueue({ world, dice }: Workload): void {
  world.act(() => {
    const chosen = dice.pick([...world.life.queues()]);
    if (chosen !== undefined) world.deleteQueue(...chosen);
  });
}

function changeTopology(workload: Workload): void {
  const { dice } = workload;
  const host = workload.host();
  const name = dice.pick(EXCHANGES);
  const base = { name, internal: false, arguments: new Map() };
  const exchange = host.exchanges.get(name);
  if (exchange === undefined) {
    host.declareExchange({ ...base, type: dice.pick(TYPES), durable: dice.chance(0.8), autoDelete: dice.chance(0.2) });
    return;
  }
  if (dice.chance(0.1)) return host.deleteExchange(name, false);
  const toExchange = dice.chance(0.2);
  const destination = toExchange ? dice.pick(EXCHANGES) : dice.pick(QUEUES);
  if (!(toExchange ? host.exchanges : host.queues).has(destination) || destination === name) return;
  const request = {
    source: name,
    destinationKind: toExchange ? ('exchange' as const) : ('queue' as const),
    destination,
    bindingKey: dice.pick(KEYS),
    arguments: new Map(),
  };
  // Exclusive queues have an owner that the world keeps for itself.
  if (!toExchange && host.queues.get(destination)?.settings.owner !== null) return;
  if (dice.chance(0.75)) host.bind(request, { ownedQueues: new Set() });
  else host.unbind(request, { ownedQueues: new Set() });
}

function administer({ world, dice }: Workload): void {
  if (dice.chance(0.3)) {
    // A policy goes with its virtual host; what belongs to none stays.
    const virtualHost = world.life.virtualHosts.has('third') ? 'third' : '';
    const named = { virtualHost, component: dice.pick(['policy', 'limits']), name: dice.pick(['p', 'q']) };
    world.putParameter(named, dice.chance(0.7) ? `{"n":${dice.roll(100)}}` : null);
  } else if (dice.chance(0.4)) world.toggleVirtualHost('third');
  else world.putUser(dice.pick(['ann', 'bob']), dice.chance(0.7) ? `{"n":${dice.roll(100)}}` : null);
}

/** Publishes and acknowledgements in one go, as at a commit; then, mostly, its answer is waited for. */
function transaction(workload: Workload): void {
  const { world, dice } = workload;
  world.act(() => {
    const host = workload.host();
    const chosen = dice.some(world.unsettled, 0.3);
    for (let left = dice.roll(5); left > 0; left--) workload.publish(host);
    world.settle(chosen, 'acknowledge');
    world.deliver(chosen.map(({ queue }) => queue));
  });
  if (dice.chance(0.7)) world.ask();
}

async function pass({ world }: Workload, turns: number, ms: number): Promise<void> {
  world.life.clock.advance(ms);
  for (let turn = 0; turn < turns && !world.life.isDead; turn++) await world.life.turn();
  world.check();
}

export function assertHealthy({ life }: StoreWorld): void {
  if (life.isDead) return;
  if (life.defects.length > 0) throw life.defects[0];
  if (life.failures.length > 0) throw new Error('the store failed', { cause: life.failures[0] });
}
