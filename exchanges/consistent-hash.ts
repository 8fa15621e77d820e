// The consistent hash exchange (RabbitMQ's plug-in rabbitmq_consistent_hash_exchange): every message goes to one destination,
// chosen by the hash of its routing key, of a header or of a property, and messages with the same value go to the same one.
// The binding key is the destination's weight: how many buckets it has. Same hash, same buckets, so the same queue as there.
import {
  ArgumentError,
  type Arguments,
  type Binding,
  type ExchangeType,
  type Routable,
  type RoutableProperty,
  type Router,
} from './exchange-type.ts';
import { formatTerm, typeName } from './field-value.ts';
import { JumpHash } from './jump-hash.ts';
import { phash2, phash2OfAtom, phash2OfField } from './phash2.ts';

const HASH_HEADER = 'hash-header';
const HASH_PROPERTY = 'hash-property';
const PROPERTIES: readonly string[] = ['correlation_id', 'message_id', 'timestamp'] satisfies RoutableProperty[];

/** RabbitMQ takes any weight, and its memory with it. Millions of such weights add up to a safe integer still. */
const WEIGHT_MAX = 2 ** 31 - 1;

/** What a message without the header or property hashes to. */
const NOTHING = phash2OfAtom('undefined');

/** What of a message is hashed; the routing key when both are undefined. */
interface HashedPart {
  readonly header: string | undefined;
  readonly property: RoutableProperty | undefined;
}

class ConsistentHashRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly: boolean;
  readonly #hashed: HashedPart;
  readonly #jumpHash = new JumpHash();
  /** How many buckets each destination has. They stand in the order of the destinations; one that is new comes last. */
  readonly #weights = new Map<Destination, number>();
  #buckets = 0;
  /** The destinations, and beside each the bucket after its last: what `route` looks in. Null after a change. */
  #ring: { readonly destinations: readonly Destination[]; readonly ends: readonly number[] } | null = null;

  constructor(hashed: HashedPart) {
    this.#hashed = hashed;
    this.routesByKeyOnly = hashed.header === undefined && hashed.property === undefined;
  }

  /** As in RabbitMQ, the first binding of a destination gives it its weight; further ones change nothing. */
  bind({ destination, bindingKey }: Binding<Destination>): void {
    if (this.#weights.has(destination)) return;
    const weight = Number(bindingKey);
    this.#weights.set(destination, weight);
    this.#buckets += weight;
    this.#ring = null;
  }

  /**
   * As in RabbitMQ, a destination has no bucket once any of its bindings is gone, whatever others it has. Those behind it move
   * down, so that the buckets are numbered without gaps.
   */
  unbind({ destination }: Binding<Destination>): void {
    this.#buckets -= this.#weights.get(destination) ?? 0;
    this.#weights.delete(destination);
    this.#ring = null;
  }

  route(message: Routable, into: Destination[]): void {
    if (this.#buckets === 0) return;
    const { destinations, ends } = this.#ringNow();
    const bucket = this.#jumpHash.bucketOf(this.#hash(message), this.#buckets);
    into.push(destinations[firstAbove(ends, bucket)]);
  }

  /** Further routing keys count for nothing. */
  routeTogether(message: Routable, _copies: readonly Routable[], into: Destination[]): void {
    this.route(message, into);
  }

  #hash(message: Routable): number {
    const { header, property } = this.#hashed;
    if (header !== undefined) {
      const field = message.headers?.get(header);
      return field === undefined ? NOTHING : phash2OfField(field);
    }
    if (property === undefined) return phash2(message.routingKey);
    const value = message.property(property);
    return value === null ? NOTHING : phash2(value);
  }

  #ringNow(): { readonly destinations: readonly Destination[]; readonly ends: readonly number[] } {
    if (this.#ring !== null) return this.#ring;
    let end = 0;
    const ends = Array.from(this.#weights.values(), (weight) => {
      end += weight;
      return end;
    });
    this.#ring = { destinations: [...this.#weights.keys()], ends };
    return this.#ring;
  }
}

/** The index of the first of rising numbers that is above `value`; there is one. */
function firstAbove(numbers: readonly number[], value: number): number {
  let low = 0;
  let high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

function hashedPartOf(args: Arguments): HashedPart {
  const property = stringOf(args, HASH_PROPERTY);
  return { header: stringOf(args, HASH_HEADER), property: isProperty(property) ? property : undefined };
}

function isProperty(name: string | undefined): name is RoutableProperty {
  return name !== undefined && PROPERTIES.includes(name);
}

/** @throws {ArgumentError} for a value that is no string, where RabbitMQ drops the connection (541) */
function stringOf(args: Arguments, name: string): string | undefined {
  const field = args.get(name);
  if (field === undefined) return undefined;
  if (field.type === 'S' && typeof field.value === 'string') return field.value;
  throw new ArgumentError(`invalid type '${typeName(field.type)}' for arg '${name}'`);
}

export const consistentHashExchange: ExchangeType = {
  name: 'x-consistent-hash',

  validateExchange(args: Arguments): void {
    const header = stringOf(args, HASH_HEADER);
    const property = stringOf(args, HASH_PROPERTY);
    if (property === undefined) return;
    if (header !== undefined) throw new ArgumentError(`${HASH_HEADER} and ${HASH_PROPERTY} are mutually exclusive`);
    if (!isProperty(property)) throw new ArgumentError(`Unsupported property: ${property}`);
  },

  validateBinding(bindingKey: string): void {
    if (!/^[+-]?[0-9]+$/.test(bindingKey)) {
      const key = formatTerm({ type: 'S', value: bindingKey });
      throw new ArgumentError(`The binding key must be an integer: ${key}`);
    }
    const weight = Number(bindingKey);
    if (weight <= 0) throw new ArgumentError('The binding key must be greater than 0');
    if (weight > WEIGHT_MAX) throw new ArgumentError(`The binding key must be at most ${WEIGHT_MAX}`);
  },

  createRouter<Destination>(args: Arguments): Router<Destination> {
    return new ConsistentHashRouter<Destination>(hashedPartOf(args));
  },
};
