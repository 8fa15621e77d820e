// What the interop tests about topology share: a session that leaves nothing behind on a peer, and the errors that RabbitMQ answers with.
import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { startTarget, type Target, uniqueName } from './broker.ts';
import { quiet } from './messages.ts';

export interface TopologySession {
  readonly target: Target;
  readonly connection: ChannelModel;
  /** A channel of the connection, for what is expected to work: an error would close it. */
  readonly channel: Channel;
  /** A name that nothing has yet. A queue or an exchange of that name is deleted when the test ends. */
  name(): string;
  /** One more connection, closed when the test ends. */
  connectAgain(): Promise<ChannelModel>;
}

/** Starts a target and opens a connection and a channel to it. */
export async function openTopology(t: Test, options: BrokerOptions = {}): Promise<TopologySession> {
  const target = await startTarget(t, options);
  const connections: ChannelModel[] = [];
  const names: string[] = [];
  t.teardown(async () => {
    // A test may have closed a connection already; and exclusive queues can be deleted only once theirs is closed.
    for (const connection of connections) await connection.close().catch(() => undefined);
    if (target.broker === undefined) await deleteAll(target.url, names);
  });
  const connectAgain = async (): Promise<ChannelModel> => {
    const connection = quiet(await connect(target.url));
    connections.push(connection);
    return connection;
  };
  const name = (): string => {
    const unused = uniqueName();
    names.push(unused);
    return unused;
  };
  const connection = await connectAgain();
  return { target, connection, channel: quiet(await connection.createChannel()), name, connectAgain };
}

async function deleteAll(url: string, names: readonly string[]): Promise<void> {
  const connection = quiet(await connect(url));
  const channel = await connection.createChannel();
  for (const name of names) {
    await channel.deleteQueue(name);
    await channel.deleteExchange(name);
  }
  await connection.close();
}

/** Class and method ids, as a close names the method that caused it. */
export const METHODS = {
  'exchange.declare': [40, 10],
  'exchange.delete': [40, 20],
  'exchange.bind': [40, 30],
  'exchange.unbind': [40, 40],
  'queue.declare': [50, 10],
  'queue.bind': [50, 20],
  'queue.purge': [50, 30],
  'queue.delete': [50, 40],
  'queue.unbind': [50, 50],
  'basic.consume': [60, 20],
  'basic.publish': [60, 40],
  'basic.get': [60, 70],
} as const;

export type MethodName = keyof typeof METHODS;

/** A reply code and a reply text. */
export interface ExpectedClose {
  readonly code: number;
  readonly text: string;
}

export type ResourceKind = 'queue' | 'exchange';

export function notFound(kind: ResourceKind, name: string): ExpectedClose {
  return { code: 404, text: `NOT_FOUND - no ${kind} '${name}' in vhost '/'` };
}

/** What follows "inequivalent arg" is the argument's name and the difference, such as "received 'true' but current is 'false'". */
export function inequivalent(kind: ResourceKind, name: string, argument: string, difference: string): ExpectedClose {
  return preconditionFailed(`inequivalent arg '${argument}' for ${kind} '${name}' in vhost '/': ${difference}`);
}

export function preconditionFailed(reason: string): ExpectedClose {
  return { code: 406, text: `PRECONDITION_FAILED - ${reason}` };
}

export function accessRefused(reason: string): ExpectedClose {
  return { code: 403, text: `ACCESS_REFUSED - ${reason}` };
}

/** Binding to it, unbinding from it, declaring and deleting it. */
export const defaultExchangeRefused = accessRefused('operation not permitted on the default exchange');

/** Runs the operation on a channel of its own and expects that it closes that channel, naming the method as the cause. */
export async function expectChannelError(
  t: Test,
  connection: ChannelModel,
  operation: (channel: Channel) => unknown,
  method: MethodName,
  expected: ExpectedClose,
): Promise<void> {
  const channel = await connection.createChannel();
  const failed = new Promise<CloseError>((resolve) => channel.once('error', resolve));
  // What is sent without waiting for a reply has failed, if at all, before a later method is answered.
  const succeeded = Promise.resolve(operation(channel)).then(() => channel.checkExchange('amq.direct'));
  const error = await Promise.race([
    failed,
    succeeded.then(
      () => undefined,
      () => failed,
    ),
  ]);
  if (error === undefined) {
    t.fail(`expected ${expected.code} ${expected.text}`);
    return;
  }
  const [classId, methodId] = METHODS[method];
  t.same(
    { code: error.code, text: replyText(error), classId: error.classId, methodId: error.methodId },
    { code: expected.code, text: shortened(expected.text), classId, methodId },
  );
}

/** Runs the operation on a connection of its own and expects that it closes the whole connection. */
export async function expectConnectionError(
  t: Test,
  { connectAgain }: TopologySession,
  operation: (channel: Channel) => unknown,
  expected: ExpectedClose,
): Promise<void> {
  const connection = await connectAgain();
  const channel = await connection.createChannel();
  const failed = new Promise<CloseError>((resolve) => connection.once('error', resolve));
  const closed = new Promise((resolve) => connection.once('close', resolve));
  Promise.resolve(operation(channel)).catch(() => undefined); // rejected as well, once the connection is closed
  const error = await failed;
  await closed;
  t.same({ code: error.code, text: replyText(error) }, { code: expected.code, text: shortened(expected.text) });
}

interface CloseError extends Error {
  readonly code: number;
  readonly classId: number;
  readonly methodId: number;
}

/** The server's reply text, out of the message that amqplib makes of it. */
export function replyText(error: Error): string | undefined {
  return /with message "(.*)"$/s.exec(error.message)?.[1];
}

/** RabbitMQ cuts a reply text that does not fit into a short string (255 bytes). */
function shortened(text: string): string {
  return text.length > 255 ? `${text.slice(0, 252)}...` : text;
}

/** How many messages of this routing key reach the queue from the exchange: 0, 1, or more when it should not be. */
export async function routedCount(
  connection: ChannelModel,
  exchange: string,
  routingKey: string,
  queue: string,
  headers: Record<string, unknown> = {},
): Promise<number> {
  const channel = await connection.createConfirmChannel();
  channel.publish(exchange, routingKey, Buffer.from('routed'), { headers });
  await channel.waitForConfirms();
  const { messageCount } = await channel.purgeQueue(queue);
  await channel.close();
  return messageCount;
}
