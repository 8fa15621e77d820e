// What must be, may be and must not be in one chain. A message is in one place of it at any time: a hop that a crash may have cut
// off has taken place or has not, so that the message is here or there, never in both and never in neither.
//
// Of each message two places are known: where it is for all that clients saw, and where it is for certain on disk. A crash may
// take it back from one to the other.
import { CLOCK_MS, firstQueue, goneFrom, hop, type Push, pushOf, type Stop, stopAt, waitOf } from './chain-hops.ts';
import type { ChainPlan, Stage } from './chain-plans.ts';
import type { FindingKind } from './findings.ts';
import type { Draft } from './messages.ts';
import { type ChainDelivery, describe, type Snapshot, type Traveller } from './traveller.ts';
import { ACKNOWLEDGED, REMOVED, TRANSIENT, UNCONFIRMED, type World } from './world.ts';

/** A delayed message that is later than this is lost: a busy machine takes its time. */
export const LATENESS_MS = 15_000;

/** Who waits longer than this is there to stay. */
const FOREVER_MS = 3_600_000;

export class ChainLedger {
  readonly plan: ChainPlan;
  readonly stages: readonly Stage[];
  isDeclared = false;
  readonly #world: World;
  readonly #travellers = new Map<string, Traveller>();
  /** Why each message that was here isn't any more. */
  readonly #gone = new Map<string, string>();

  constructor(plan: ChainPlan, world: World) {
    this.plan = plan;
    this.stages = plan.stages;
    this.#world = world;
  }

  get name(): string {
    return this.plan.name;
  }

  get size(): number {
    return this.#travellers.size;
  }

  /** To be called before the message leaves. */
  published({ id, transient, content, expirationMs, delayMs }: Draft, nowMs = Date.now()): Traveller {
    this.#world.figures.published++;
    // What is not to be held back passes the exchange.
    const at = stopAt(this.stages[0].isExchange && delayMs === 0 ? 1 : 0, nowMs);
    const bytes = content.length;
    const traveller: Traveller = {
      id,
      bytes,
      transient,
      expirationMs,
      delayMs,
      born: this.#world.life,
      confirmed: false,
      place: 'waits',
      holder: 'nobody',
      doubts: 0,
      at,
      safe: at,
      pushes: new Set(),
      mostReturns: [],
    };
    this.#travellers.set(id, traveller);
    return traveller;
  }

  confirm(traveller: Traveller, nowMs = Date.now()): void {
    this.#world.figures.confirmed++;
    traveller.confirmed = true;
    const first = traveller.safe;
    traveller.safe = { ...first, by: Math.min(first.by, nowMs) };
    if (traveller.at === first) traveller.at = traveller.safe;
  }

  /** A client got a message. Null when it should not have, which is reported. */
  delivered(delivery: ChainDelivery): Traveller | null {
    const { id, stage, who, nowMs } = delivery;
    const { figures, life, isStopping } = this.#world;
    figures.delivered++;
    const traveller = this.#travellers.get(id);
    const place = `${this.stages[stage].name}: `;
    if (traveller === undefined) {
      const reason = this.#gone.get(id);
      if (reason === undefined) this.#report('stray', `${place}${id} was never published to it`);
      else this.#report('resurrected', `${place}${id} is delivered to ${who}: ${reason}`);
      return null;
    }
    // A broker that stops gives back what clients have, and does not hear them any more.
    if (!isStopping) this.#checkPlace(traveller, delivery);
    this.#checkDeaths(traveller, delivery);
    let { at } = traveller;
    const stood = at.stage === stage;
    if (!stood) {
      at = this.#travel(traveller, delivery);
      if (delivery.deaths.length > 0) figures.deadLetters++;
      if (this.stages[0].isExchange) figures.delayed++;
    } else if (at.seen && !delivery.redelivered) {
      this.#report('unmarked', `${place}${this.#describe(traveller)} is not marked as redelivered`);
    }
    at = { ...at, seen: true, by: Math.min(at.by, nowMs), returns: this.#count(traveller, delivery, at) };
    this.#checkDeadline(traveller, at, delivery);
    traveller.at = at;
    traveller.place = 'client';
    traveller.holder = who;
    traveller.doubts = 0;
    // Another process of the broker knows it from the disk only.
    if (traveller.born !== life) traveller.confirmed = true;
    return traveller;
  }

  /** Acknowledged; or rejected where nothing takes it. */
  acknowledged(traveller: Traveller): void {
    traveller.place = 'acknowledged';
    this.#world.figures.acknowledged++;
  }

  /** Rejected for good: it goes on. */
  rejected(traveller: Traveller): void {
    if (traveller.at.stage === this.stages.length - 1) this.acknowledged(traveller);
    else this.#push(traveller, 'rejected');
  }

  /** Given back, or left behind by a client that closed its channel. */
  returned(traveller: Traveller): void {
    this.#world.figures.requeued++;
    const { at } = traveller;
    traveller.place = 'waits';
    this.#mayReturn(traveller, at.stage);
    if (!this.stages[at.stage].isQuorum) return;
    traveller.at = { ...at, returns: at.returns + 1 };
    if (at.returns + 1 > this.stages[at.stage].deliveryLimit) this.#push(traveller, 'delivery_limit');
  }

  /** What is known of messages now. When something that is published next is confirmed, it is `flushed`. */
  snapshot(travellers: Iterable<Traveller>): Snapshot {
    return Array.from(travellers, (traveller) => {
      return { traveller, at: traveller.at, isAcknowledged: traveller.place === 'acknowledged' };
    });
  }

  /** The log is in order: what stood in it before something that is durable is durable as well. */
  flushed(snapshot: Snapshot, proof: string): void {
    this.#world.figures.flushed += snapshot.length;
    for (const { traveller, at, isAcknowledged } of snapshot) {
      if (isAcknowledged)
        this.#forget(traveller, `it was acknowledged, and ${proof}, published after that, was confirmed`);
      else traveller.safe = at;
    }
  }

  /** The exchange that it begins with is to be deleted. */
  removalSent(): void {
    for (const traveller of this.#heldBack()) traveller.doubts |= REMOVED;
  }

  /** It is deleted: what was to be held back longer than this never comes. Of the rest nobody knows. */
  removed(nowMs = Date.now()): void {
    for (const traveller of this.#heldBack()) {
      const due = traveller.at.from + traveller.delayMs;
      if (due > nowMs + CLOCK_MS) this.#forget(traveller, 'the exchange that held it was deleted');
    }
  }

  /** The broker is dead. */
  crash(nowMs = Date.now()): void {
    const staysTransient = this.stages.some(({ isQuorum }) => !isQuorum);
    for (const traveller of this.#travellers.values()) {
      const { at, safe, place } = traveller;
      if (!traveller.confirmed) traveller.doubts |= UNCONFIRMED;
      if (place === 'acknowledged') traveller.doubts |= ACKNOWLEDGED;
      if (traveller.transient && staysTransient) traveller.doubts |= TRANSIENT;
      // A delivery that nobody settled, or nobody for certain, may count as one that came back, or not.
      for (let { stage } = safe; stage < at.stage; stage++) this.#mayReturn(traveller, stage);
      if (place !== 'waits') this.#mayReturn(traveller, at.stage);
      // It may have come on already, but then it did so before.
      traveller.at = traveller.safe = { ...safe, by: Math.min(safe.by, nowMs) };
      traveller.place = 'waits';
    }
  }

  /** The latest time for which a message waits in some place; those that wait for ever are left out. */
  lastDue(): number {
    let last = 0;
    for (const traveller of this.#travellers.values()) {
      let due = traveller.at.by === Number.POSITIVE_INFINITY ? traveller.at.from : traveller.at.by;
      for (let stage = traveller.at.stage; stage < this.stages.length; stage++) {
        const wait = waitOf(this.stages, stage, traveller);
        if (wait < FOREVER_MS) due += wait;
      }
      last = Math.max(last, due);
    }
    return last;
  }

  /** Whether one that is due must come still. */
  awaits(nowMs = Date.now()): boolean {
    for (const traveller of this.#heldBack()) {
      if (traveller.place === 'waits' && this.#isRequired(traveller) && traveller.at.by + traveller.delayMs <= nowMs) {
        if (this.#goneFrom(traveller) > nowMs + CLOCK_MS) return true;
      }
    }
    return false;
  }

  /**
   * Compares with all that was taken out of all its queues, one after the other from the first on, while nobody else used them.
   * @param sinceMs when that began
   */
  reconcile(drained: ReadonlySet<Traveller>, sinceMs: number, nowMs = Date.now()): void {
    const lost: Traveller[] = [];
    for (const traveller of [...this.#travellers.values()]) {
      const { at, delayMs } = traveller;
      if (drained.has(traveller)) {
        traveller.confirmed = true;
        continue;
      }
      if (traveller.place !== 'waits') continue;
      const isHeld = this.stages[at.stage].isExchange && at.by + delayMs + LATENESS_MS > sinceMs;
      if (isHeld) continue;
      const hasExpired = this.#goneFrom(traveller) <= nowMs + CLOCK_MS;
      if (hasExpired) this.#world.figures.expired++;
      else if (this.#isRequired(traveller)) lost.push(traveller);
      this.#forget(traveller, `it was missing when ${this.name} was drained`);
    }
    if (lost.length === 0) return;
    const some = lost.slice(0, 8).map((traveller) => this.#describe(traveller));
    this.#report('lost', `${lost.length} messages: ${some.join('; ')}`);
  }

  miscounted(text: string): void {
    this.#report('miscounted', text);
  }

  stalled(text: string): void {
    this.#report('stalled', text);
  }

  #isRequired({ confirmed, doubts }: Traveller): boolean {
    return confirmed && doubts === 0;
  }

  *#heldBack(): Iterable<Traveller> {
    for (const traveller of [...this.#travellers.values()]) {
      if (this.stages[traveller.at.stage].isExchange) yield traveller;
    }
  }

  #goneFrom(traveller: Traveller): number {
    const { pushes } = traveller;
    const isPushed = (stage: number): boolean =>
      pushes.has(pushOf(stage, 'rejected')) || pushes.has(pushOf(stage, 'delivery_limit'));
    return goneFrom(this.stages, traveller, traveller.at, isPushed);
  }

  #mayReturn({ mostReturns, pushes }: Traveller, stage: number): void {
    const { isQuorum, deliveryLimit } = this.stages[stage];
    if (!isQuorum) return;
    mostReturns[stage] = (mostReturns[stage] ?? 0) + 1;
    if (mostReturns[stage] > deliveryLimit) pushes.add(pushOf(stage, 'delivery_limit'));
  }

  #push(traveller: Traveller, reason: Push): void {
    const { at } = traveller;
    traveller.pushes.add(pushOf(at.stage, reason));
    traveller.place = 'waits';
    // That it was here says that it is not here any more, unless a crash takes that back.
    traveller.at = stopAt(at.stage + 1, at.from);
  }

  #forget(traveller: Traveller, reason: string): void {
    if (this.#travellers.delete(traveller.id)) this.#gone.set(traveller.id, reason);
  }

  #checkPlace(traveller: Traveller, { stage, who }: ChainDelivery): void {
    const { place, holder, at } = traveller;
    const here = `${this.#describe(traveller)} is delivered to ${who} from ${this.stages[stage].name}`;
    if (place === 'client')
      this.#report('duplicate', `${here} while ${holder} has it from ${this.stages[at.stage].name}`);
    else if (place === 'acknowledged') this.#report('resurrected', `${here}; ${holder} acknowledged it`);
    else if (stage < at.stage) this.#report('resurrected', `${here}; it had left for ${this.stages[at.stage].name}`);
  }

  /** Each queue that it left has one entry, the latest first. */
  #checkDeaths(traveller: Traveller, { stage, deaths }: ChainDelivery): void {
    const left = this.stages.slice(firstQueue(this.stages), stage).map(({ name }) => name);
    const told = deaths.map(({ queue, count }) => (count === 1 ? queue : `${queue} (${count} times)`));
    if (told.join() === left.toReversed().join()) return;
    this.#report(
      'death',
      `${this.#describe(traveller)} in ${this.stages[stage].name} tells that it left ${told.join()}`,
    );
  }

  #travel(traveller: Traveller, { stage, deaths, nowMs }: ChainDelivery): Stop {
    const { stages } = this;
    let stop = traveller.at;
    while (stop.stage < stage) {
      const { name, isExchange } = stages[stop.stage];
      const death = deaths.find(({ queue }) => queue === name);
      if (isExchange) {
        const due = stop.from + traveller.delayMs;
        if (nowMs < due - CLOCK_MS) {
          this.#report('early', `${this.#describe(traveller)} is there ${due - nowMs} ms before its delay is over`);
        }
        stop = stopAt(stop.stage + 1, due);
        continue;
      }
      if (death === undefined) break; // which is reported
      const next = hop(stages, traveller, stop, death, traveller.pushes, nowMs);
      if ('kind' in next) {
        this.#report(next.kind, `${this.#describe(traveller)} left ${name}, ${death.reason}: ${next.text}`);
        break;
      }
      stop = next;
    }
    return stop.stage === stage ? stop : stopAt(stage, traveller.at.from);
  }

  #checkDeadline(traveller: Traveller, at: Stop, { decidedMs }: ChainDelivery): void {
    const deadline = at.by + waitOf(this.stages, at.stage, traveller);
    if (decidedMs <= deadline + CLOCK_MS) return;
    const late = `was asked for ${decidedMs - deadline} ms after its deadline, and delivered`;
    this.#report('late', `${this.#describe(traveller)} ${late} from ${this.stages[at.stage].name}`);
  }

  /** Checks the x-delivery-count, and gives it. */
  #count(traveller: Traveller, { stage, count = 0 }: ChainDelivery, at: Stop): number {
    const { isQuorum, deliveryLimit } = this.stages[stage];
    if (!isQuorum) return 0;
    const { mostReturns } = traveller;
    const most = mostReturns[stage] ?? 0;
    if (count < at.returns || count > most || count > deliveryLimit) {
      const expected = `it came back ${at.returns} to ${most} times, and ${deliveryLimit} are allowed`;
      this.#report('count', `${this.#describe(traveller)} tells of ${count} returns; ${expected}`);
    }
    mostReturns[stage] = count;
    return count;
  }

  #describe(traveller: Traveller): string {
    return describe(traveller, this.stages);
  }

  #report(kind: FindingKind, text: string): void {
    this.#world.findings.add(kind, `chain ${this.name}: ${text}`);
  }
}
