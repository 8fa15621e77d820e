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

/** A property of a message that an exchange type may ask for by its name in AMQP. */
export type RoutableProperty = 'correlation_id' | 'message_id' | 'timestamp';

/** What an exchange type may look at to route a message. */
export interface Routable {
  readonly routingKey: string;
  /** The decoded `headers` property; null when the message has none. Decoded at each call, so ask once and only if needed. */
  readonly headers: Arguments | null;
  /**
   * A property as text (the timestamp in decimal), or null when the message has none. Looked up at each call, so ask only if
   * needed.
   */
  property(name: RoutableProperty): string | null;
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
  /**
   * Called instead of `route` for a message that has further routing keys (the `CC` and `BCC` headers), for a type that makes
   * one choice for all of them. Without it, `route` is called for the message and for each copy.
   * @param copies the message again under each of its further routing keys
   */
  routeTogether?(message: Routable, copies: readonly Routable[], into: Destination[]): void;
}

/** Compares destinations as RabbitMQ sorts them: exchanges before queues, then by the bytes of their names. */
export type DestinationOrder<Destination> = (a: Destination, b: Destination) => number;

/** What an exchange keeps of the messages that it routed. The broker keeps them in memory, and no longer than itself runs. */
export interface HistoryRule {
  /** How many of the last messages. The broker may keep fewer when they are large. */
  readonly length: number;
  /** Whether a message is one of them. */
  keeps(message: Routable): boolean;
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
  /**
   * For a type that does something with messages and leaves routing to another: the name of that type, whose checks and routing table
   * the exchange gets.
   * @throws {ArgumentError} as `validateExchange`
   */
  routesLike?(args: Arguments): string;
  /** For how many ms a message is held back, durably if both are durable, before it is routed; 0 for not at all. */
  delayMs?(message: Routable): number;
  /** What a new exchange keeps of its messages, to give them to whatever is bound to it later. Without it, nothing. */
  history?(args: Arguments): HistoryRule;
  /**
   * Makes the routing table of a new exchange.
   * @param order for a type whose choice depends on the order of the destinations
   */
  createRouter<Destination>(args: Arguments, order?: DestinationOrder<Destination>): Router<Destination>;
}

/** Arguments that an exchange type refuses; `message` is what the client reads after `PRECONDITION_FAILED - `. */
export class ArgumentError extends Error {
  override readonly name = 'ArgumentError';
}
