// What the interop and wire tests run against: a Leveret of their own, or the broker that AMQP_URL names (RabbitMQ, the oracle).
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { type Broker, type BrokerOptions, createBroker } from '../../lib/index.ts';

export interface Target {
  /** amqp://user:password@host:port/vhost */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The embedded broker; undefined when AMQP_URL names the target. */
  readonly broker: Broker | undefined;
}

/** True when the tests run against a broker that is not ours. */
export const againstPeer = process.env.AMQP_URL !== undefined;

/** Starts a broker for this test on a free port and stops it at the end; or gives the broker that AMQP_URL names. */
export async function startTarget(t: Test, options: BrokerOptions = {}): Promise<Target> {
  const peer = process.env.AMQP_URL;
  if (peer !== undefined) {
    const { hostname, port } = new URL(peer);
    return { url: peer, host: hostname, port: Number(port || 5672), broker: undefined };
  }
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return { url: broker.url, host: broker.host, port: broker.port, broker };
}

/** A name that no other test uses, since a peer keeps its queues between tests. */
export function uniqueName(prefix = 'test'): string {
  return `${prefix}-${randomUUID()}`;
}
