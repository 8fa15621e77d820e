// Mistakes of a client that the broker model refuses, named by condition. The core knows no reply codes: a protocol maps
// the condition to its own (AMQP 0-9-1: 404 NOT_FOUND and so on).

/** Why the broker refuses; the names are those of the AMQP 0-9-1 reply codes, which every RabbitMQ user knows. */
export type Condition =
  | 'NOT_FOUND'
  | 'ACCESS_REFUSED'
  | 'RESOURCE_LOCKED'
  | 'PRECONDITION_FAILED'
  | 'COMMAND_INVALID'
  | 'NOT_ALLOWED'
  | 'NOT_IMPLEMENTED';

/** A refusal by the broker model. `message` is what RabbitMQ says after `CONDITION - `. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly condition: Condition;

  constructor(condition: Condition, message: string) {
    super(message);
    this.condition = condition;
  }
}

/** `queue 'q' in vhost '/'`, as RabbitMQ names a resource in its reply texts. */
export function describeResource(kind: 'queue' | 'exchange', name: string, virtualHost: string): string {
  return `${kind} '${name}' in vhost '${virtualHost}'`;
}

export function notFound(kind: 'queue' | 'exchange', name: string, virtualHost: string): BrokerError {
  return new BrokerError('NOT_FOUND', `no ${describeResource(kind, name, virtualHost)}`);
}
