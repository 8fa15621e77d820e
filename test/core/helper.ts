// Short ways to make messages, consumers, field tables and a clock, for the tests of the broker model.
import fc from 'fast-check';
import t from 'tap';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { type BasicProperties, encodeProperties } from '../../codec/properties.ts';
import { encodeShortString, shortStringSize } from '../../codec/strings.ts';
import { Consumer, type ConsumerOptions } from '../../lib/core/consumer.ts';
import { BrokerError } from '../../lib/core/errors.ts';
import { Message } from '../../lib/core/message.ts';
import type { Clock, DeliverySink, Owner, Timer } from '../../lib/core/ports.ts';
import type { QueueSettings } from '../../lib/core/queue.ts';
import { Route } from '../../lib/core/route.ts';

export interface MessageOptions {
  readonly exchange?: string;
  readonly routingKey?: string;
  /** In place of exchange and routing key. */
  readonly route?: Route;
  readonly properties?: BasicProperties;
  /** The chunk that it arrived in has this many bytes beside the message's own. */
  readonly chunkBytes?: number;
}

/** A route of its own; no cache of a virtual host knows it. */
export function routeOf(exchange: string, routingKey: string): Route {
  const exchangeSize = shortStringSize(exchange);
  const bytes = Buffer.alloc(exchangeSize + shortStringSize(routingKey));
  encodeShortString(exchange, bytes, 0);
  encodeShortString(routingKey, bytes, exchangeSize);
  return new Route(bytes, 0);
}

/** A message with this body, as if it had arrived in the middle of a chunk. */
export function messageOf(body: string | Buffer, options: MessageOptions = {}): Message {
  const { exchange = '', routingKey = 'q', properties = {}, chunkBytes = 0 } = options;
  const encoded = encodeProperties(properties);
  const bytes = Buffer.from(body);
  const before = Buffer.alloc(chunkBytes >> 1, 0xaa);
  const pieces = [before, encoded, bytes, Buffer.alloc(chunkBytes - before.length, 0xbb)];
  // Not of Node's pool, which is a chunk that others share.
  const chunk = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  Buffer.concat(pieces).copy(chunk);
  const start = before.length;
  const bodyStart = start + encoded.length;
  // A route belongs to one virtual host, so no two messages share it.
  const route = options.route ?? routeOf(exchange, routingKey);
  return new Message(route, chunk, start, bodyStart, chunk, bodyStart, bytes.length, null);
}

export function bodyBytes(message: Message): Buffer {
  if (message.pieces !== null) return Buffer.concat(message.pieces);
  return message.bodyBuffer.subarray(message.bodyStart, message.bodyStart + message.bodySize);
}

export function bodyText(message: Message): string {
  return bodyBytes(message).toString();
}

export function propertyBytes(message: Message): Buffer {
  return message.propertiesBuffer.subarray(message.propertiesStart, message.propertiesEnd);
}

/** A field table: strings stand for long strings. */
export function table(fields: Record<string, FieldValue | string> = {}): FieldTable {
  return new Map(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? { type: 'S', value } : value]),
  );
}

export interface Delivered {
  readonly consumer: Consumer;
  readonly message: Message;
  readonly position: number;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
}

/** Keeps what it gets. */
export class Inbox implements DeliverySink {
  readonly delivered: Delivered[] = [];
  readonly cancelled: Consumer[] = [];

  get texts(): string[] {
    return this.delivered.map(({ message }) => bodyText(message));
  }

  deliver(consumer: Consumer, message: Message, position: number, redelivered: boolean, deliveryCount: number): void {
    this.delivered.push({ consumer, message, position, redelivered, deliveryCount });
  }

  consumerCancelled(consumer: Consumer): void {
    this.cancelled.push(consumer);
  }
}

export function consumerOf(sink: DeliverySink, options: Partial<ConsumerOptions> = {}): Consumer {
  const defaults = { tag: 'c', noAck: false, exclusive: false, priority: 0, prefetch: 0, arguments: table() };
  return new Consumer({ ...defaults, sink, ...options });
}

export function queueSettings(options: Partial<QueueSettings> = {}): QueueSettings {
  return { name: 'q', durable: false, autoDelete: false, owner: null, arguments: table(), ...options };
}

/** Where a defect of ours goes: it fails the test. */
export function defect(error: unknown): void {
  throw error;
}

export function ownerOf(): Owner {
  return { ownedQueues: new Set() };
}

interface TestTimer extends Timer {
  readonly atMs: number;
  readonly task: () => void;
}

/** Time stands still until the test lets it go on, and a turn ends when the test says so. */
export class TestClock implements Clock {
  readonly #tasks: (() => void)[] = [];
  readonly #timers = new Set<TestTimer>();
  /** What `epochMs` says. */
  epoch = 1_700_000_000_000;

  get pendingTasks(): number {
    return this.#tasks.length;
  }

  now(): number {
    return 0;
  }

  epochMs(): number {
    return this.epoch;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  after(delayMs: number, task: () => void): Timer {
    const timer = { atMs: this.epoch + delayMs, task, cancel: () => void this.#timers.delete(timer) };
    this.#timers.add(timer);
    return timer;
  }

  every(): Timer {
    return { cancel: () => undefined };
  }

  endOfTurn(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Lets time go by, with the timers of `after` that go off meanwhile. */
  advance(ms: number): void {
    const untilMs = this.epoch + ms;
    for (let timer = this.#earliest(); timer !== undefined && timer.atMs <= untilMs; timer = this.#earliest()) {
      this.#timers.delete(timer);
      this.epoch = Math.max(this.epoch, timer.atMs);
      timer.task();
    }
    this.epoch = untilMs;
  }

  /** Runs what waits for the end of the turn. */
  endTurn(): void {
    for (const task of this.#tasks.splice(0)) task();
  }

  #earliest(): TestTimer | undefined {
    let earliest: TestTimer | undefined;
    for (const timer of this.#timers) if (earliest === undefined || timer.atMs < earliest.atMs) earliest = timer;
    return earliest;
  }
}

/** The BrokerError that `run` throws; fails the test when it throws nothing or something else. */
export function brokerError(run: () => unknown): BrokerError {
  try {
    run();
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
  t.fail('expected a BrokerError');
  throw new Error('expected a BrokerError');
}

/** What a property test does to its target; a failed run shows its steps by name and argument. */
export type Step<Target> = (target: Target) => void;

type StepFactory<Target> = <Argument>(
  name: string,
  argument: fc.Arbitrary<Argument>,
  run: (target: Target, argument: Argument) => void,
) => fc.Arbitrary<Step<Target>>;

export function stepsOf<Target>(): StepFactory<Target> {
  return (name, argument, run) =>
    argument.map((value) => {
      const step = (target: Target): void => run(target, value);
      return Object.assign(step, { [fc.toStringMethod]: () => `${name} ${fc.stringify(value)}` });
    });
}

/** Sequences of steps that are often long: fast-check's own default favours short ones. */
export function sequenceOf<Each>(step: fc.Arbitrary<Each>, maxLength = 60): fc.Arbitrary<Each[]> {
  return fc.array(step, { maxLength, size: 'max' });
}
