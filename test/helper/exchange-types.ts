// What the interop tests about the exchange types of RabbitMQ's plug-ins share.
import { type ConfirmChannel, connect, type Options } from 'amqplib';
import type { Test } from 'tap';
import type { Arguments, Routable, TypedValue } from '../../exchanges/exchange-type.ts';
import type { BrokerOptions } from '../../lib/index.ts';
import { openTopology, replyText, type TopologySession } from './amqp.ts';
import { againstPeer } from './broker.ts';
import { quiet } from './messages.ts';

/** Which plug-in of RabbitMQ has the type. */
const PLUGINS = {
  'x-consistent-hash': 'rabbitmq_consistent_hash_exchange',
  'x-delayed-message': 'rabbitmq_delayed_message_exchange',
  'x-modulus-hash': 'rabbitmq_sharding',
  'x-random': 'rabbitmq_random_exchange',
  'x-recent-history': 'rabbitmq_recent_history_exchange',
} as const;

export type PluginType = keyof typeof PLUGINS;

export interface PluginSession extends TopologySession {
  readonly publisher: ConfirmChannel;
  /** A new exchange of the type. */
  declare(args?: Record<string, unknown>, options?: Options.AssertExchange): Promise<string>;
  /** New queues whose names sort as they stand. */
  queues(count: number): Promise<string[]>;
}

/** A test of one of the types. It is skipped where the peer has not enabled the plug-in, and says which. */
export function testOfType(
  type: PluginType,
  name: string,
  run: (t: Test, session: PluginSession) => Promise<void>,
  tap: Pick<Test, 'test'>,
  brokerOptions: BrokerOptions = {},
): void {
  tap.test(name, async (t) => {
    if (againstPeer && !(await isKnown(type))) {
      t.plan(0, `the peer has not enabled ${PLUGINS[type]}: no exchange type ${type}`);
      return;
    }
    const session = await openTopology(t, brokerOptions);
    const { channel } = session;
    const publisher = quiet(await session.connection.createConfirmChannel());
    const declare: PluginSession['declare'] = async (args = {}, options = {}) => {
      const exchange = session.name();
      await channel.assertExchange(exchange, type, { ...options, arguments: args });
      return exchange;
    };
    const queues = async (count: number): Promise<string[]> => {
      const names = Array.from({ length: count }, () => session.name()).sort();
      for (const queue of names) await channel.assertQueue(queue);
      return names;
    };
    await run(t, { ...session, publisher, declare, queues });
  });
}

/** An unknown type is refused with 503, which closes the connection: what was asked for fails, and the connection says why. */
async function isKnown(type: PluginType): Promise<boolean> {
  const connection = await connect(process.env.AMQP_URL ?? '');
  const refused = new Promise<Error>((resolve) => connection.once('error', resolve));
  const channel = quiet(await connection.createChannel());
  const exchange = `probe-${type}-${process.pid}`;
  // One of the types needs this argument, and the others don't look at it.
  const options = { durable: false, arguments: { 'x-delayed-type': 'fanout' } };
  const declared = channel.assertExchange(exchange, type, options).then(() => undefined);
  const error = await Promise.race([refused, declared.catch(() => refused)]);
  if (error !== undefined) {
    if (replyText(error)?.startsWith('COMMAND_INVALID - unknown exchange type')) return false;
    throw error;
  }
  await channel.deleteExchange(exchange);
  await connection.close();
  return true;
}

/** Publishes each of the messages with its index as its body. */
export async function publishAll(
  publisher: ConfirmChannel,
  exchange: string,
  messages: readonly { readonly routingKey: string; readonly options?: Options.Publish }[],
): Promise<void> {
  messages.forEach(({ routingKey, options }, index) => {
    publisher.publish(exchange, routingKey, Buffer.from(String(index)), options);
  });
  await publisher.waitForConfirms();
}

/** For each of `count` messages the index of the queue that has it, -1 for none; empties the queues. A message in two queues throws. */
export async function placesOf(publisher: ConfirmChannel, queues: readonly string[], count: number): Promise<number[]> {
  const places = new Array<number>(count).fill(-1);
  for (const [place, queue] of queues.entries()) {
    for (;;) {
      const message = await publisher.get(queue, { noAck: true });
      if (message === false) break;
      const index = Number(message.content);
      if (places[index] !== -1) throw new Error(`message ${index} is in two queues, or twice in one`);
      places[index] = place;
    }
  }
  return places;
}

/** A message as a router sees it. */
export function routable(
  routingKey: string,
  headers: Arguments | null = null,
  properties: Readonly<Record<string, string>> = {},
): Routable {
  return { routingKey, headers, property: (name) => properties[name] ?? null };
}

/** A header as amqplib takes it, and as a router sees it. */
export type HeaderPair = readonly [sent: unknown, seen: TypedValue | undefined];

const typed = (type: string, value: unknown): unknown => ({ '!': type, value });

/** A header of every type. */
export const HEADERS: readonly HeaderPair[] = [
  [undefined, undefined],
  ['', { type: 'S', value: '' }],
  ['gold', { type: 'S', value: 'gold' }],
  ['a longer text than twelve bytes', { type: 'S', value: 'a longer text than twelve bytes' }],
  ['é☃😀', { type: 'S', value: 'é☃😀' }],
  [Buffer.from([0, 255, 1]), { type: 'x', value: Buffer.from([0, 255, 1]) }],
  [true, { type: 't', value: true }],
  [false, { type: 't', value: false }],
  [null, { type: 'V', value: null }],
  [typed('int8', -5), { type: 'b', value: -5 }],
  [typed('uint8', 200), { type: 'B', value: 200 }],
  [typed('int16', -300), { type: 's', value: -300 }],
  [typed('uint16', 65535), { type: 'u', value: 65535 }],
  [typed('int32', -(2 ** 31)), { type: 'I', value: -(2 ** 31) }],
  [typed('int32', 2 ** 27), { type: 'I', value: 2 ** 27 }],
  [typed('int32', -(2 ** 27)), { type: 'I', value: -(2 ** 27) }],
  [typed('int32', -(2 ** 27) - 1), { type: 'I', value: -(2 ** 27) - 1 }],
  [typed('uint32', 2 ** 32 - 1), { type: 'i', value: 2 ** 32 - 1 }],
  [typed('int64', 0), { type: 'l', value: 0 }],
  [typed('int64', Number.MAX_SAFE_INTEGER), { type: 'l', value: Number.MAX_SAFE_INTEGER }],
  [typed('int64', -5_000_000_000), { type: 'l', value: -5_000_000_000 }],
  [typed('timestamp', 1_700_000_000), { type: 'T', value: 1_700_000_000 }],
  [typed('float', 0.5), { type: 'f', value: 0.5 }],
  [1.25, { type: 'd', value: 1.25 }],
  [typed('double', -0), { type: 'd', value: -0 }],
  [typed('decimal', { digits: 1999, places: 2 }), { type: 'D', value: { scale: 2, unscaled: 1999 } }],
  [[], { type: 'A', value: [] }],
  [
    ['a', typed('int32', 7), []],
    {
      type: 'A',
      value: [
        { type: 'S', value: 'a' },
        { type: 'I', value: 7 },
        { type: 'A', value: [] },
      ],
    },
  ],
  [{}, { type: 'F', value: new Map() }],
  [
    { k: 'v', n: { deep: null } },
    {
      type: 'F',
      value: new Map<string, TypedValue>([
        ['k', { type: 'S', value: 'v' }],
        ['n', { type: 'F', value: new Map([['deep', { type: 'V', value: null }]]) }],
      ]),
    },
  ],
];
