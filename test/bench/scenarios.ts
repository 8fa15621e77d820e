// What is measured, in the order of the table.
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { confirmed, stored } from './durable.ts';
import { AUTO_ACK } from './flows.ts';
import { rate, type Scenario, scaled } from './scenario.ts';
import { backlog, fanout, type Lead, manyQueues, oneToOne, routed } from './throughput.ts';
import { churn, latency, rpc } from './timing.ts';

const BATCH_ACK = { prefetch: 500, ackEvery: 50 };
const QUORUM = table({ 'x-queue-type': 'quorum' });

function table(fields: Record<string, FieldValue | string>): FieldTable {
  return new Map(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? { type: 'S', value } : value]),
  );
}

/** A pattern of each kind in turn: without wildcards, `*`, `#`. */
function topicLead(i: number): Lead {
  const [pattern, key] = [
    [`plain.${i}.end`, `plain.${i}.end`],
    [`star.${i}.*`, `star.${i}.anything`],
    [`hash.${i}.#`, `hash.${i}.one.two`],
  ][i % 3];
  return { binding: { routingKey: pattern }, message: { routingKey: key } };
}

/** `all` and `any` in turn. The message has headers that nobody asks for, too. */
function headersLead(i: number): Lead {
  const level: FieldValue = { type: 'I', value: i };
  const isAll = i % 2 === 0;
  const asked = isAll ? table({ kind: `kind-${i}`, level }) : table({ kind: `kind-${i}`, other: `other-${i}` });
  const headers = table({ kind: `kind-${i}`, level, from: 'bench', trace: `${1_000_000 + i}` });
  return {
    binding: { routingKey: '', arguments: new Map([...asked, ...table({ 'x-match': isAll ? 'all' : 'any' })]) },
    message: { routingKey: '', properties: { headers } },
  };
}

function leads(count: number, lead: (i: number) => Lead): Lead[] {
  return Array.from({ length: count }, (_, i) => lead(i));
}

export const SCENARIOS: readonly Scenario[] = [
  rate('transient-1x1-autoack-12B', (session, scale) =>
    oneToOne(session, scaled(1_000_000, scale), { ...AUTO_ACK, bodySize: 12 }),
  ),
  rate('transient-1x1-ack-1KB', (session, scale) =>
    oneToOne(session, scaled(300_000, scale), { ...BATCH_ACK, bodySize: 1000 }),
  ),
  rate('ack-each', (session, scale) =>
    oneToOne(session, scaled(300_000, scale), { prefetch: 200, ackEvery: 1, bodySize: 100 }),
  ),
  rate('persistent-confirm-1KB', (session, scale) =>
    confirmed(session, scaled(100_000, scale), { window: 1000, bodySize: 1000 }),
  ),
  rate('persistent-confirm-window1', (session, scale) =>
    stored(session, scaled(5000, scale), { window: 1, bodySize: 1000 }),
  ),
  rate('fanout-1x8', (session, scale) => fanout(session, scaled(60_000, scale), 8, 100), 'deliveries/s'),
  rate('topic-1000-bindings', (session, scale) =>
    routed(session, scaled(100_000, scale), {
      type: 'topic',
      queues: 10,
      bodySize: 100,
      leads: leads(1000, topicLead),
    }),
  ),
  rate('headers-100-bindings', (session, scale) =>
    routed(session, scaled(40_000, scale), {
      type: 'headers',
      queues: 10,
      bodySize: 100,
      leads: leads(100, headersLead),
    }),
  ),
  rate('large-1MB', (session, scale) => oneToOne(session, scaled(1000, scale), { ...AUTO_ACK, bodySize: 1_000_000 })),
  rate('many-queues', (session, scale) =>
    manyQueues(session, scaled(50_000, scale), { queues: 1000, publishers: 4, consumers: 4, bodySize: 100 }),
  ),
  {
    name: 'backlog-fill-drain',
    rows: [
      { name: 'backlog-fill', unit: 'messages/s' },
      { name: 'backlog-drain', unit: 'messages/s' },
    ],
    run: (session, scale) => backlog(session, scaled(1_000_000, scale), 100),
  },
  rate('churn', (session, scale) => churn(session, scaled(500, scale), 100), 'connections/s'),
  {
    name: 'latency-5000',
    rows: [
      { name: 'latency-5000, p50', unit: 'µs, less is better' },
      { name: 'latency-5000, p99', unit: 'µs, less is better' },
    ],
    run: (session, scale) => latency(session, scaled(25_000, scale), { rate: 5000, bodySize: 100 }),
  },
  rate('rpc-direct-reply-to', (session, scale) => rpc(session, scaled(30_000, scale), 100), 'round trips/s'),
  rate('persistent-quorum', (session, scale) =>
    confirmed(session, scaled(100_000, scale), { window: 1000, bodySize: 1000, arguments: QUORUM }),
  ),
];
