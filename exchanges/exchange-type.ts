// The contract between the broker and an exchange type: bindings in, destinations out.
// An exchange type knows nothing of queues, messages, the wire or the virtual host: a destination is an opaque value.

/** A value of a field table with its AMQP type kept: `{ type: 'S', value: 'gold' }`. */
export interface TypedValue {
  /** The type octet of the AMQP 0-9-1 field table grammar, as RabbitMQ reads it: t b B s u I i l L f d D S A T F V x. */
  readonly type: string;
  readonly value: unknown;
}

/** A decoded field table: the arguments of an exchange or a binding, or the headers of a message. */
export type Arguments = ReadonlyMap<string, TypedValue>;

/** One binding of an exchange. The same object is given to `bind` and, later, to `unbind`: identity is the key. */
export interface Binding<Destination> {
  readonly destination: Destination;
  readonly bindingKey: string;
  readonly arguments: Arguments;
}

/** What an exchange type may look at to route a message. */
export interface Routable {
  readonly routingKey: string;
  /** The decoded `headers` property; null when the message has none. Decoded on first use, so read it only if needed. */
  readonly headers: Arguments | null;
}

/** The routing table of one exchange. */
export interface Router<Destination> {
  /**
   * True when `route` depends on the routing key and the bindings alone. The broker then keeps results and asks again only
   * after a binding changed.
   */
  readonly routesByKeyOnly: boolean;
  /** Adds a binding. Never called twice with equal destination, key and arguments. */
  bind(binding: Binding<Destination>): void;
  /** Removes a binding that was added before; the very object. */
  unbind(binding: Binding<Destination>): void;
  /**
   * Appends the destinations that the message goes to. A destination may be appended more than once: the caller delivers
   * one copy all the same.
   */
  route(message: Routable, into: Destination[]): void;
}

/** An exchange type: what `exchange.declare` names in its `type` field. Register one of your own in an `ExchangeTypeRegistry`. */
export interface ExchangeType {
  readonly name: string;
  /**
   * Checks the arguments of `exchange.declare`.
   * @throws {ArgumentError} with the text for the client (reply code 406 PRECONDITION_FAILED).
   */
  validateExchange?(args: Arguments): void;
  /**
   * Checks the key and arguments of a bind.
   * @throws {ArgumentError} with the text for the client (reply code 406 PRECONDITION_FAILED).
   */
  validateBinding?(bindingKey: string, args: Arguments): void;
  /** Makes the routing table of a new exchange. */
  createRouter<Destination>(args: Arguments): Router<Destination>;
}

/** Arguments that an exchange type refuses; `message` is what the client reads after `PRECONDITION_FAILED - `. */
export class ArgumentError extends Error {
  override readonly name = 'ArgumentError';
}
