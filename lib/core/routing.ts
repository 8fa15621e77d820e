// Where messages and routing keys lead, by way of the exchanges.
import type { Routable } from '../../exchanges/exchange-type.ts';
import { route } from '../../exchanges/traverse.ts';
import type { Exchange } from './exchange.ts';
import type { Message } from './message.ts';
import type { MessageTarget } from './queue.ts';

/**
 * The queues that a message reaches from an exchange, each once.
 * @param extraKeys further routing keys (the CC and BCC headers)
 */
export function queuesFrom(exchange: Exchange, message: Message, extraKeys: readonly string[]): MessageTarget[] {
  const queues: MessageTarget[] = [];
  if (extraKeys.length === 0) route<MessageTarget>(exchange, message, queues);
  else route<MessageTarget>(exchange, message, queues, copiesOf(message, extraKeys));
  return queues;
}

/** The queues that every message with the routing key reaches from an exchange; null when that depends on the message. */
export function queuesByKey(exchange: Exchange, routingKey: string): MessageTarget[] | null {
  if (!exchange.router.routesByKeyOnly) return null;
  const queues: MessageTarget[] = [];
  return route<MessageTarget>(exchange, { routingKey, headers: null, property: noProperty }, queues) ? queues : null;
}

function copiesOf(message: Message, routingKeys: readonly string[]): Routable[] {
  const { headers } = message;
  const property: Routable['property'] = (name) => message.property(name);
  return routingKeys.map((routingKey) => ({ routingKey, headers, property }));
}

function noProperty(): null {
  return null;
}
