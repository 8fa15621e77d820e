// Reads the log after a restart: newest segment first, and in each the newest record first, so that what became of a message is
// known before the message is met, and what is dead costs next to nothing.
import { Message } from '../core/message.ts';
import type { StoredParameter } from '../core/message-store.ts';
import type { DiskQueue } from './disk-queue.ts';
import { decodeEntries, type EntryVisitor } from './entries.ts';
import { LogEntry } from './log-entry.ts';
import { ReplayedQueue } from './replayed-queue.ts';
import type { RouteTable } from './route-table.ts';
import type { Segment } from './segment.ts';
import type { BindingEntry, ExchangeEntry, QueueEntry, UserEntry } from './topology-entries.ts';
import type { TopologyState } from './topology-state.ts';

export class LogReplay implements EntryVisitor {
  readonly wantsMessages = true;
  readonly #queues = new Map<number, ReplayedQueue>();
  readonly #deleted = new Set<number>();
  readonly #createQueue: (id: number) => DiskQueue;
  readonly #routes: RouteTable;
  /** Up to this record the topology is known. */
  readonly #checkpointSequence: number;
  /** Changes of the topology, the newest record first. */
  readonly #changes: ((state: TopologyState) => void)[][] = [];
  #buffer: Buffer = Buffer.alloc(0);
  #segment: Segment | null = null;
  #record: ((state: TopologyState) => void)[] = [];
  #isNewTopology = false;
  /** The message that the next call may share. */
  #lastEntry: LogEntry | null = null;

  /** @param checkpointSequence of the last record whose topology a checkpoint holds; 0 for none */
  constructor(checkpointSequence: number, routes: RouteTable, createQueue: (id: number) => DiskQueue) {
    this.#checkpointSequence = checkpointSequence;
    this.#routes = routes;
    this.#createQueue = createQueue;
  }

  /** What is known of a queue. */
  queueOf(id: number): ReplayedQueue {
    let known = this.#queues.get(id);
    if (known === undefined) {
      known = new ReplayedQueue(this.#createQueue(id));
      this.#queues.set(id, known);
    }
    return known;
  }

  get queues(): Iterable<ReplayedQueue> {
    return this.#queues.values();
  }

  /** Takes one record; those of later sequences came before. */
  record(segment: Segment, sequence: number, buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#segment = segment;
    this.#record = [];
    this.#lastEntry = null;
    this.#isNewTopology = sequence > this.#checkpointSequence;
    decodeEntries(buffer, start, end, this);
    if (this.#record.length > 0) this.#changes.push(this.#record);
  }

  /** Applies what changed in the topology since the checkpoint, in the order in which it was changed. */
  applyChanges(state: TopologyState): void {
    for (const record of this.#changes.reverse()) for (const change of record) change(state);
  }

  /** A run that is all acknowledged, or all in one page, is passed over. */
  wantsRun(queueId: number, position: number, count: number): boolean {
    if (this.#deleted.has(queueId)) return false;
    const known = this.queueOf(queueId);
    const last = position + count - 1;
    known.used(last);
    return known.acknowledged.nextGap(position) <= last && !known.queue.isAllPaged(position, last);
  }

  message(
    queueId: number,
    position: number,
    routeStart: number,
    routeEnd: number,
    propertiesStart: number,
    propertiesEnd: number,
    bodyStart: number,
    bodySize: number,
    expiresAtMs: number,
    shared: boolean,
  ): void {
    if (!shared) this.#lastEntry = null;
    if (this.#deleted.has(queueId)) return;
    const known = this.queueOf(queueId);
    known.used(position);
    if (known.acknowledged.has(position) || known.queue.isPaged(position)) return;
    const last = this.#lastEntry;
    if (last === null) {
      const route = this.#routes.find(this.#buffer, routeStart, routeEnd);
      const buffer = this.#buffer;
      const message = new Message(route, buffer, propertiesStart, propertiesEnd, buffer, bodyStart, bodySize, null);
      message.persistent = true;
      message.expiresAtMs = expiresAtMs;
      const entry = new LogEntry(message, known.queue, position, null);
      message.stored = this.#lastEntry = entry;
      this.#segment?.add(entry);
    } else {
      last.addPlace(known.queue, position);
    }
    const message = this.#lastEntry?.message;
    if (message == null) throw new Error('a message that was just read is gone');
    known.add(message, position);
  }

  acknowledged(queueId: number, first: number, last: number): void {
    if (this.#deleted.has(queueId)) return;
    const known = this.queueOf(queueId);
    known.acknowledged.addRange(first, last);
    known.used(last);
  }

  delivered(queueId: number, position: number): void {
    if (this.#deleted.has(queueId)) return;
    // Not all that was delivered was ever written, and no new message may take the place of one that was.
    this.queueOf(queueId).reached(position, position);
  }

  returned(queueId: number, position: number, deliveryCount: number): void {
    if (this.#deleted.has(queueId)) return;
    const { deliveryCounts } = this.queueOf(queueId);
    deliveryCounts.set(position, Math.max(deliveryCount, deliveryCounts.get(position) ?? 0));
  }

  virtualHost(name: string): void {
    this.#change((state) => state.virtualHost(name));
  }

  virtualHostDeleted(name: string): void {
    this.#change((state) => state.virtualHostDeleted(name));
  }

  user(user: UserEntry): void {
    this.#change((state) => state.user(user));
  }

  userDeleted(name: string): void {
    this.#change((state) => state.userDeleted(name));
  }

  parameter(parameter: StoredParameter): void {
    this.#change((state) => state.parameter(parameter));
  }

  parameterDeleted(virtualHost: string, component: string, name: string): void {
    this.#change((state) => state.parameterDeleted(virtualHost, component, name));
  }

  exchange(exchange: ExchangeEntry): void {
    this.#change((state) => state.exchange(exchange));
  }

  exchangeDeleted(vhost: string, name: string): void {
    this.#change((state) => state.exchangeDeleted(vhost, name));
  }

  queue(queue: QueueEntry): void {
    this.#change((state) => state.queue(queue));
  }

  queueDeleted(queueId: number): void {
    // Whenever it was: a queue's number is never given again.
    this.#deleted.add(queueId);
    this.#change((state) => state.queueDeleted(queueId));
  }

  binding(binding: BindingEntry): void {
    this.#change((state) => state.binding(binding));
  }

  bindingDeleted(binding: BindingEntry): void {
    this.#change((state) => state.bindingDeleted(binding));
  }

  #change(change: (state: TopologyState) => void): void {
    if (this.#isNewTopology) this.#record.push(change);
  }
}
