// Queues without sockets: what a message costs between the channel that publishes it and the one that delivers it.
import type { FieldTable } from '../../../codec/field-table.ts';
import { encodeProperties } from '../../../codec/properties.ts';
import { encodeShortString, shortStringSize } from '../../../codec/strings.ts';
import { ExchangeTypeRegistry } from '../../../exchanges/exchange-type-registry.ts';
import { Consumer } from '../../../lib/core/consumer.ts';
import { MemoryAccount } from '../../../lib/core/memory-account.ts';
import { Message } from '../../../lib/core/message.ts';
import type { Clock, DeliverySink, Timer } from '../../../lib/core/ports.ts';
import type { MessageTarget, Queue } from '../../../lib/core/queue.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import type { Route } from '../../../lib/core/route.ts';
import { TurnScheduler } from '../../../lib/core/turn.ts';
import { VirtualHost } from '../../../lib/core/virtual-host.ts';
import type { Benchmark } from './suite.ts';

const NO_ARGUMENTS: FieldTable = new Map();
const MESSAGES = 10_000;
const BODY_BYTES = 100;
/** So many messages come in one turn of the event loop, from one chunk. */
const TURN_MESSAGES = 400;

/** Time stands still; a turn ends when the benchmark says so. */
class ManualClock implements Clock {
  #tasks: (() => void)[] = [];

  now(): number {
    return 0;
  }

  epochMs(): number {
    return 1_700_000_000_000;
  }

  after(): Timer {
    return { cancel: () => {} };
  }

  every(): Timer {
    return { cancel: () => {} };
  }

  endOfTurn(task: () => void): void {
    this.#tasks.push(task);
  }

  endTurn(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task();
  }
}

/** Takes messages, and acknowledges them when it is told. */
class AckingSink implements DeliverySink {
  count = 0;
  readonly #queue: Queue;
  #messages: Message[] = [];
  #positions: number[] = [];
  #consumers: Consumer[] = [];

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  deliver(consumer: Consumer, message: Message, position: number): void {
    this.count++;
    if (consumer.noAck) return;
    this.#messages.push(message);
    this.#positions.push(position);
    this.#consumers.push(consumer);
  }

  consumerCancelled(): void {
    throw new Error('the queue is gone');
  }

  /** Settles what it has, the way that is asked for, then lets the queue deliver. */
  settle(how: 'acknowledge' | 'requeue'): void {
    const [messages, positions, consumers] = [this.#messages, this.#positions, this.#consumers];
    this.#messages = [];
    this.#positions = [];
    this.#consumers = [];
    for (let i = 0; i < messages.length; i++) {
      this.#queue[how](messages[i], positions[i]);
      consumers[i].settle();
    }
    this.#queue.deliver();
  }
}

/** A virtual host in memory, with one queue. */
class World {
  readonly clock = new ManualClock();
  readonly virtualHost: VirtualHost;
  readonly queue: Queue;
  readonly sink: AckingSink;
  readonly #route: Route;
  readonly #targets: readonly MessageTarget[];
  readonly #chunk: Buffer;
  /** Of the messages in the chunk, which differ in priority. */
  readonly #properties: Buffer[];

  constructor(args: FieldTable = NO_ARGUMENTS, priorities = 1) {
    this.virtualHost = new VirtualHost('/', {
      exchangeTypes: new ExchangeTypeRegistry(),
      memory: new MemoryAccount(2 ** 40, 2 ** 40),
      turn: new TurnScheduler(this.clock),
      slab: new RetentionSlab(),
      clock: this.clock,
      durability: { sequence: 0, whenDurable: (done) => done() },
      store: null,
      defect: (error) => {
        throw error;
      },
    });
    const settings = { name: 'q', durable: false, autoDelete: false, owner: null, arguments: args };
    this.queue = this.virtualHost.declareQueue(settings);
    this.sink = new AckingSink(this.queue);
    const key = Buffer.alloc(1 + shortStringSize('q'));
    encodeShortString('q', key, 1);
    this.#route = this.virtualHost.findRoute(key, 0, key.length);
    this.#properties = Array.from({ length: priorities }, (_, i) => encodeProperties({ priority: i }));
    this.#chunk = Buffer.alloc(65_536, 'x');
    for (const [i, properties] of this.#properties.entries()) this.#chunk.set(properties, i * 16);
    this.#targets = this.virtualHost.route(this.#message(0), []);
  }

  consume(noAck: boolean, prefetch: number): Consumer {
    const options = { tag: 'c', noAck, exclusive: false, priority: 0, prefetch, arguments: NO_ARGUMENTS };
    const consumer = new Consumer({ ...options, sink: this.sink });
    this.queue.addConsumer(consumer);
    return consumer;
  }

  /** Publishes so many messages, all of which stand in one chunk. */
  publish(count: number): void {
    for (let i = 0; i < count; i++) this.virtualHost.publish(this.#targets, this.#message(i), null);
  }

  #message(i: number): Message {
    const priority = (i * 7) % this.#properties.length;
    const chunk = this.#chunk;
    const start = priority * 16;
    const end = start + this.#properties[priority].length;
    return new Message(this.#route, chunk, start, end, chunk, 1024 + (i % 512) * BODY_BYTES, BODY_BYTES, null);
  }
}

/** Published to a consumer that waits, delivered, and acknowledged at the end of each turn. */
function passing(name: string, noAck: boolean, args?: FieldTable): Benchmark {
  return {
    name: `${name}: publish, deliver${noAck ? '' : ', ack'}`,
    operations: MESSAGES,
    prepare: () => {
      const world = new World(args);
      world.consume(noAck, 500);
      return () => {
        for (let i = 0; i < MESSAGES; i += TURN_MESSAGES) {
          world.publish(TURN_MESSAGES);
          world.sink.settle('acknowledge');
          world.clock.endTurn();
        }
        return checked(world, MESSAGES);
      };
    },
  };
}

interface Backlog {
  readonly messages: number;
  readonly args?: FieldTable;
  readonly priorities?: number;
  /** What becomes of the messages after they were filled in. */
  readonly drain: (world: World) => void;
}

/** Filled turn by turn, then emptied. */
function backlog(name: string, { messages, args, priorities, drain }: Backlog): Benchmark {
  return {
    name,
    operations: messages,
    prepare: () => {
      const world = new World(args, priorities);
      return () => {
        for (let i = 0; i < messages; i += TURN_MESSAGES) {
          world.publish(Math.min(TURN_MESSAGES, messages - i));
          world.clock.endTurn();
        }
        if (world.queue.messageCount !== messages) throw new Error(`${world.queue.messageCount} are ready`);
        drain(world);
        return checked(world, messages);
      };
    },
  };
}

/** All is delivered, more than once where it came back, and nothing is left. */
function checked({ queue, sink }: World, least: number): number {
  const left = queue.messageCount + queue.unacknowledgedCount;
  if (left !== 0 || sink.count < least) throw new Error(`${left} are left of ${least}, ${sink.count} were delivered`);
  const { count } = sink;
  sink.count = 0;
  return count;
}

function drainNoAck(world: World): void {
  world.queue.removeConsumer(world.consume(true, 0));
}

/** So many at a time. */
function drainAcked(prefetch: number): (world: World) => void {
  return (world) => {
    const consumer = world.consume(false, prefetch);
    while (world.queue.messageCount + world.queue.unacknowledgedCount > 0) world.sink.settle('acknowledge');
    world.queue.removeConsumer(consumer);
    world.clock.endTurn();
  };
}

/** All are delivered and given back, which puts them where they were; then all are delivered again. */
function drainAfterRequeue(world: World): void {
  const consumer = world.consume(false, 0);
  world.queue.removeConsumer(consumer);
  world.sink.settle('requeue');
  world.clock.endTurn();
  drainNoAck(world);
}

function integers(fields: Record<string, number>): FieldTable {
  return new Map(Object.entries(fields).map(([key, value]) => [key, { type: 'I', value }]));
}

export function queueBenchmarks(): Benchmark[] {
  const many = [10_000, 100_000, 1_000_000];
  const named = (count: number): string => count.toLocaleString('en');
  return [
    passing('classic queue, no-ack', true),
    passing('classic queue, prefetch 500', false),
    passing('classic queue with a limit on its length', false, integers({ 'x-max-length': 1_000_000 })),
    passing('classic queue with a message TTL', false, integers({ 'x-message-ttl': 60_000 })),
    passing('priority queue, prefetch 500', false, integers({ 'x-max-priority': 10 })),
    ...many.map((count) => backlog(`backlog of ${named(count)}: fill, drain`, { messages: count, drain: drainNoAck })),
    backlog('backlog of 100,000: fill, drain with acks, prefetch 500', { messages: 100_000, drain: drainAcked(500) }),
    backlog('backlog of 100,000: fill, deliver, requeue all, drain', { messages: 100_000, drain: drainAfterRequeue }),
    ...many.slice(0, 2).map((count) =>
      backlog(`backlog of ${named(count)} with a message TTL: fill, drain`, {
        messages: count,
        args: integers({ 'x-message-ttl': 60_000 }),
        drain: drainNoAck,
      }),
    ),
    ...many.slice(0, 2).map((count) =>
      backlog(`priority queue, backlog of ${named(count)}, 10 priorities: fill, drain`, {
        messages: count,
        args: integers({ 'x-max-priority': 10 }),
        priorities: 10,
        drain: drainNoAck,
      }),
    ),
    backlog('priority queue, backlog of 100,000, 255 priorities: fill, drain', {
      messages: 100_000,
      args: integers({ 'x-max-priority': 255 }),
      priorities: 256,
      drain: drainNoAck,
    }),
  ];
}
