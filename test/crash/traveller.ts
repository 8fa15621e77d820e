// What is known of one message of a chain.
import type { Death, Stop } from './chain-hops.ts';
import type { Stage } from './chain-plans.ts';

/** A message on its way through a chain. */
export interface Traveller {
  readonly id: string;
  readonly bytes: number;
  readonly transient: boolean;
  readonly expirationMs: number;
  readonly delayMs: number;
  /** The life of the broker in which it was published. */
  readonly born: number;
  confirmed: boolean;
  place: 'waits' | 'client' | 'acknowledged';
  holder: string;
  doubts: number;
  /** Where it is, and where it is at least after a crash. */
  at: Stop;
  safe: Stop;
  /** What may have pushed it on, with the stage. */
  readonly pushes: Set<string>;
  /** How often it came back at most, by stage. */
  readonly mostReturns: number[];
}

/** What a client got, and when. */
export interface ChainDelivery {
  readonly id: string;
  readonly stage: number;
  readonly redelivered: boolean;
  readonly deaths: readonly Death[];
  /** Of the x-delivery-count header; undefined without one. */
  readonly count: number | undefined;
  readonly who: string;
  /** The broker decided to deliver it at this time or later: the client let it only then. */
  readonly decidedMs: number;
  readonly nowMs: number;
}

/** What is known of some messages when something is published that proves it. */
export type Snapshot = readonly {
  readonly traveller: Traveller;
  readonly at: Stop;
  readonly isAcknowledged: boolean;
}[];

export function describe(traveller: Traveller, stages: readonly Stage[]): string {
  const { id, bytes, transient, born, confirmed, at, safe, expirationMs, delayMs, doubts } = traveller;
  const traits = [
    `${bytes} bytes`,
    transient ? 'transient' : 'persistent',
    `of life ${born}`,
    confirmed ? 'confirmed' : 'unconfirmed',
    `in ${stages[at.stage].name} since ${at.from}${at.seen ? ', delivered before' : ''}`,
    ...(safe.stage === at.stage ? [] : [`after a crash in ${stages[safe.stage].name}`]),
    ...(expirationMs === Number.POSITIVE_INFINITY ? [] : [`expiration ${expirationMs} ms`]),
    ...(delayMs === 0 ? [] : [`delay ${delayMs} ms`]),
    ...(doubts === 0 ? [] : [`doubts ${doubts}`]),
  ];
  return `${id} (${traits.join(', ')})`;
}
