// A broker without sockets, what clients do with it, and a model of what it must remember. Every delivery is compared with the model
// as it happens: the first ready message, unharmed, marked as redelivered when it was.
import type { FieldValue } from '../../codec/field-table.ts';
import { Consumer } from '../../lib/core/consumer.ts';
import type { Message } from '../../lib/core/message.ts';
import type { StoredParameter } from '../../lib/core/message-store.ts';
import type { Delivery, Queue } from '../../lib/core/queue.ts';
import type { VirtualHost } from '../../lib/core/virtual-host.ts';
import type { SimulatedDisk } from './sim-disk.ts';
import { arrive, type ContentOptions } from './store-content.ts';
import { KEY_ARGUMENT, keyOf, pagedPositions, StoreHistory } from './store-history.ts';
import { type Limits, parameterKey, StoreLife } from './store-life.ts';
import { ModelQueue, StoreModel } from './store-model.ts';

/** A delivery that waits for its settlement. */
export interface Unsettled {
  readonly queue: Queue;
  readonly consumer: Consumer | null;
  readonly message: Message;
  readonly position: number;
  readonly id: number;
}

export interface PublishOptions extends ContentOptions {
  readonly confirm: boolean;
}

export interface DeclareOptions {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  /** 0, as by default, for a queue without priorities. */
  readonly maxPriority?: number;
}

export class StoreWorld {
  readonly life: StoreLife;
  readonly history: StoreHistory;
  readonly model: StoreModel;
  readonly consumers: { readonly consumer: Consumer; readonly queue: Queue }[] = [];
  unsettled: Unsettled[] = [];
  /** `get`s that wait for the disk. */
  waitingGets = 0;
  /** Publishes that wait for their confirmation. */
  unconfirmed = 0;
  /** Confirmed after the failure of the store. */
  readonly #lateConfirms: number[] = [];
  readonly #owner = { ownedQueues: new Set<Queue>() };

  private constructor(life: StoreLife, history: StoreHistory, model: StoreModel) {
    this.life = life;
    this.history = history;
    this.model = model;
  }

  /** @param model what the folder holds; nothing when it is new */
  static async open(
    disk: SimulatedDisk,
    limits: Limits,
    history = new StoreHistory(),
    model = new StoreModel(),
    begun?: (life: StoreLife) => void,
  ): Promise<StoreWorld> {
    return new StoreWorld(await StoreLife.open(disk, limits, begun), history, model);
  }

  /** Goes on with a broker out of which everything was taken. */
  static adopt(life: StoreLife, history: StoreHistory, model: StoreModel, taken: readonly Unsettled[]): StoreWorld {
    const world = new StoreWorld(life, history, model);
    for (const { queue, id } of taken) model.note((state) => state.queue(keyOf(queue)).delivered(id));
    world.unsettled.push(...taken);
    return world;
  }

  get queues(): Queue[] {
    return [...this.life.queues()].map(([, queue]) => queue);
  }

  virtualHost(name: string): VirtualHost {
    const found = this.life.virtualHosts.get(name);
    if (found === undefined) throw new Error(`no virtual host ${name}`);
    return found;
  }

  /** Does something in one go. What it changed of exchanges, bindings and queues is noted as well. */
  act(run: () => void): void {
    if (this.life.isDead) return;
    this.model.section(() => {
      run();
      this.#noteTopology();
    });
    this.check();
  }

  // In an `act` only

  /** Publishes and returns the message's number. */
  publish(virtualHost: VirtualHost, { confirm, ...options }: PublishOptions): number {
    const content = this.history.newContent(options);
    const message = arrive(content, virtualHost);
    const targets = [...virtualHost.route(message, [])];
    const queues = targets.flatMap(({ name }) => virtualHost.queues.get(name) ?? []);
    const keys = queues.map((queue) => keyOf(queue));
    if (queues.length === 0) return content.id;
    this.model.note((state) => {
      for (const key of keys) state.queue(key).add(content);
    });
    const through = this.model.length;
    let left = queues.length;
    const settled = (accepted: boolean): void => {
      if (this.life.isDead) return;
      if (!accepted) this.#problem(`message ${content.id} was refused`);
      if (--left > 0) return;
      if (left < 0) this.#problem(`message ${content.id} was confirmed more than once`);
      this.unconfirmed--;
      if (this.life.hasFailed) this.#lateConfirms.push(content.id);
      this.model.confirmed(through, content.id);
    };
    if (confirm) this.unconfirmed++;
    for (const queue of queues) queue.publish(message, confirm ? { settled } : null);
    return content.id;
  }

  declareQueue(virtualHost: VirtualHost, name: string, options: DeclareOptions): void {
    const { durable, exclusive, autoDelete, maxPriority = 0 } = options;
    const key = this.history.newKey();
    const args = new Map<string, FieldValue>([[KEY_ARGUMENT, { type: 'I', value: key }]]);
    if (maxPriority > 0) args.set('x-max-priority', { type: 'I', value: maxPriority });
    const survives = durable && !exclusive;
    this.model.note((state) => {
      state.queues.set(key, new ModelQueue(key, virtualHost.name, name, survives, maxPriority));
    });
    virtualHost.declareQueue({ name, durable, autoDelete, owner: exclusive ? this.#owner : null, arguments: args });
  }

  deleteQueue(virtualHost: VirtualHost, queue: Queue): void {
    const key = keyOf(queue);
    const count = this.model.live.queue(key).ready.length;
    this.model.note((state) => state.queues.delete(key));
    const deleted = virtualHost.deleteQueue(queue.name, { ifUnused: false, ifEmpty: false }, this.#owner);
    this.#expect(deleted, count, 'messages deleted with a queue');
  }

  /** Creates a virtual host, or deletes it with all that is in it. */
  toggleVirtualHost(name: string): void {
    const { life } = this;
    const virtualHost = life.virtualHosts.get(name);
    if (virtualHost === undefined) {
      life.createVirtualHost(name);
      return;
    }
    for (const queue of [...virtualHost.queues.values()]) this.deleteQueue(virtualHost, queue);
    for (const exchange of [...virtualHost.exchanges.keys()]) virtualHost.deleteExchange(exchange, false);
    life.virtualHosts.delete(name);
    for (const [key, parameter] of life.parameters) if (parameter.virtualHost === name) life.parameters.delete(key);
    life.store.virtualHostDeleted(name);
  }

  /** Sets a runtime parameter, or clears it. */
  putParameter(named: Omit<StoredParameter, 'json'>, json: string | null): void {
    const { parameters, store } = this.life;
    const { virtualHost, component, name } = named;
    const key = parameterKey(named);
    if (json === null) {
      if (parameters.delete(key)) store.parameterCleared(virtualHost, component, name);
      return;
    }
    const parameter = { ...named, json: Buffer.from(json) };
    parameters.set(key, parameter);
    store.parameterSet(parameter);
  }

  /** Remembers a user, or forgets it when nothing is known of it. */
  putUser(name: string, json: string | null): void {
    const { users, store } = this.life;
    if (json === null) {
      if (users.delete(name)) store.userDeleted(name);
      return;
    }
    users.set(name, Buffer.from(json));
    store.userChanged({ name, json: Buffer.from(json) });
  }

  purge(queue: Queue): void {
    const key = keyOf(queue);
    const count = this.model.live.queue(key).ready.length;
    this.model.note((state) => {
      const purged = state.queue(key);
      purged.messages = purged.messages.filter(({ isUnacknowledged }) => isUnacknowledged);
    });
    this.#expect(queue.purge(), count, 'messages purged');
  }

  /** A message that is on disk alone leaves its queue. */
  drop(queue: Queue, position: number, id: number): void {
    const key = keyOf(queue);
    const store = this.life.queueStore(queue);
    this.model.note((state) => state.queue(key).remove(id));
    store.drop(position);
    if (store.isPagedOut(position)) this.#problem(`message ${id} was dropped and is still there`);
  }

  /**
   * Fetches copies of messages that are on disk alone; then these leave the queue, as when they expire.
   * @param choose picks from the positions that there are
   */
  dropPaged(queue: Queue, choose: (positions: readonly number[]) => readonly number[]): void {
    const store = this.life.queueStore(queue);
    const chosen = choose(pagedPositions(store));
    store.fetch(chosen, ({ messages, positions }) => {
      if (this.life.isDead) return;
      this.act(() => {
        for (let i = 0; i < messages.length; i++) {
          const id = this.history.recognize(messages[i]);
          this.life.memory.release(messages[i]);
          if (!chosen.includes(positions[i])) this.#problem(`message ${id} was fetched and not asked for`);
          this.drop(queue, positions[i], id);
        }
      });
    });
  }

  consume(queue: Queue, prefetch: number, noAck: boolean): void {
    const sink = {
      deliver: (consumer: Consumer, message: Message, position: number, redelivered: boolean): void =>
        this.#delivered(queue, noAck ? null : consumer, { message, position, redelivered, deliveryCount: 0 }, noAck),
      consumerCancelled: (consumer: Consumer): void => this.#forget(consumer),
    };
    const options = { tag: 'c', exclusive: false, priority: 0, arguments: new Map() };
    const consumer = new Consumer({ ...options, sink, noAck, prefetch });
    this.consumers.push({ consumer, queue });
    queue.addConsumer(consumer);
  }

  cancel(consumer: Consumer, queue: Queue): void {
    this.#forget(consumer);
    queue.removeConsumer(consumer);
  }

  get(queue: Queue, noAck: boolean): void {
    const key = keyOf(queue);
    this.waitingGets++;
    queue.get(noAck, (delivery) => {
      if (this.life.isDead) return;
      this.waitingGets--;
      if (delivery !== null) this.#delivered(queue, null, delivery, noAck);
      else if ((this.model.live.queues.get(key)?.ready.length ?? 0) > 0 && this.queues.includes(queue)) {
        this.#problem(`get found nothing in queue ${queue.name}#${key}`);
      }
    });
  }

  /** Settles deliveries, without letting their queues go on. */
  settle(deliveries: readonly Unsettled[], how: 'acknowledge' | 'reject' | 'requeue'): void {
    const settled = new Set(deliveries);
    this.unsettled = this.unsettled.filter((delivery) => !settled.has(delivery));
    for (const { queue, consumer, message, position, id } of deliveries) {
      const key = keyOf(queue);
      this.model.note((state) => {
        const held = state.queues.get(key);
        if (held === undefined) return;
        if (how !== 'requeue') return held.remove(id);
        const returned = held.find(id);
        returned.isUnacknowledged = false;
        if (returned.content.persistent && held.survives) returned.returns++;
      });
      queue[how](message, position);
      consumer?.settle();
    }
  }

  /** Lets queues go on after settlements. */
  deliver(queues: Iterable<Queue>): void {
    for (const queue of new Set(queues)) queue.deliver();
  }

  /** Asks to hear when all that was done is durable. */
  ask(answered: () => void = () => undefined): void {
    const through = this.model.length;
    this.life.store.whenDurable(() => {
      if (this.life.isDead) return;
      if (this.life.failures.length > 0) this.#problem('answered after the failure');
      this.model.answered(through);
      answered();
    });
  }

  // Between

  /** Everything that was done is durable, and all who waited were told. */
  async flush(): Promise<void> {
    let isAnswered = false;
    this.ask(() => {
      isAnswered = true;
    });
    await this.life.until(() => isAnswered && this.unconfirmed === 0 && this.waitingGets === 0, 'all is answered');
    this.check();
  }

  /** All clients go. */
  leave(returns: boolean): void {
    this.act(() => {
      for (const { consumer, queue } of [...this.consumers]) this.cancel(consumer, queue);
      if (returns) this.settle(this.unsettled, 'requeue');
    });
  }

  /** Stops in good order. */
  async close(): Promise<void> {
    this.model.isEnding = true;
    await this.life.close();
  }

  /** Compares what can be seen without a delivery. @throws {Error} */
  check(): void {
    const { life, model } = this;
    if (life.isDead) return;
    if (life.defects.length > 0) throw life.defects[0];
    // What nobody keeps, or was consumed, is not the store's any more.
    const late = this.#lateConfirms.find((id) => model.isWanted(id));
    if (late !== undefined) throw new Error(`message ${late} was confirmed after the failure`);
    for (const queue of this.queues) {
      const expected = model.live.queue(keyOf(queue));
      const ready = expected.ready.length;
      this.#expect(queue.messageCount, ready, `messages in ${queue.name}#${expected.key}`);
      this.#expect(queue.unacknowledgedCount, expected.messages.length - ready, `unacknowledged in ${queue.name}`);
    }
  }

  /** Noted, not thrown: the store would catch it. */
  #problem(text: string): void {
    this.life.defects.push(new Error(text));
  }

  #expect(found: number, expected: number, what: string): void {
    if (found !== expected) throw new Error(`${what}: ${found}, not ${expected}`);
  }

  #forget(consumer: Consumer): void {
    const index = this.consumers.findIndex((known) => known.consumer === consumer);
    if (index >= 0) this.consumers.splice(index, 1);
  }

  #delivered(queue: Queue, consumer: Consumer | null, delivery: Delivery, noAck: boolean): void {
    if (this.life.isDead) return;
    const { message, position, redelivered } = delivery;
    const key = keyOf(queue);
    const where = `queue ${queue.name}#${key}`;
    let id: number;
    try {
      id = this.history.recognize(message);
    } catch (error) {
      return this.#problem(`${where}: ${error}`);
    }
    const held = this.model.live.queue(key);
    const first = held.firstReady;
    if (first?.content.id !== id) {
      return this.#problem(`${where} delivered ${id}, not ${first?.content.id ?? 'nothing'}`);
    }
    if (held.isRedelivered(first) !== redelivered) this.#problem(`${where}: ${id} has redelivered=${redelivered}`);
    this.model.note((state) => {
      state.queue(key).delivered(id);
      if (noAck) state.queue(key).remove(id);
    });
    if (!noAck) this.unsettled.push({ queue, consumer, message, position, id });
  }

  /** Notes queues that went, and how exchanges and bindings are now. */
  #noteTopology(): void {
    const there = new Set(this.queues.map((queue) => keyOf(queue)));
    const gone = [...this.model.live.queues.keys()].filter((key) => !there.has(key));
    if (gone.length > 0) {
      this.model.note((state) => {
        for (const key of gone) state.queues.delete(key);
      });
    }
    const topology = this.life.describeTopology();
    if (topology === this.model.live.topology) return;
    this.model.note((state) => {
      state.topology = topology;
    });
  }
}
