// The headers exchange: a binding's arguments are compared with the message's headers (AMQP 0-9-1, section 3.1.3.4, and
// RabbitMQ's x-match: https://www.rabbitmq.com/docs/exchanges#headers). The bindings are indexed by header and value, so a
// message is compared with those only that one of its headers speaks for.
import { addToBag, type Bag, bagSize, removeFromBag } from './bag.ts';
import {
  ArgumentError,
  type Arguments,
  type Binding,
  type ExchangeType,
  type Routable,
  type Router,
  type TypedValue,
} from './exchange-type.ts';
import { type Comparable, comparable, formatTerm, isList, typeName } from './field-value.ts';

const X_MATCH = 'x-match';

interface MatchKind {
  /** One header is enough. */
  readonly any: boolean;
  /** Headers that begin with `x-` count too; but `x-match` itself never does. */
  readonly withX: boolean;
}

const ALL: MatchKind = { any: false, withX: false };

const MATCH_KINDS: ReadonlyMap<unknown, MatchKind> = new Map([
  ['all', ALL],
  ['any', { any: true, withX: false }],
  ['all-with-x', { any: false, withX: true }],
  ['any-with-x', { any: true, withX: true }],
]);

/** What a binding asks of one header. */
interface Requirement {
  readonly key: string;
  /** Undefined when any value will do: the argument is void. */
  readonly value: Comparable | undefined;
}

interface Pattern<Destination> {
  readonly destination: Destination;
  readonly any: boolean;
  readonly requirements: readonly Requirement[];
  /** Where the index holds it: under every requirement (any), or one of them (all); under none when there are none. */
  readonly places: readonly Requirement[];
}

class HeadersRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = false;
  readonly #patterns = new Map<Binding<Destination>, Pattern<Destination>>();
  readonly #index = new HeaderIndex<Pattern<Destination>>();
  /** Patterns that ask for nothing and match everything. */
  readonly #undemanding = new Set<Pattern<Destination>>();

  bind(binding: Binding<Destination>): void {
    const pattern = this.#createPattern(binding);
    this.#patterns.set(binding, pattern);
    if (pattern.requirements.length === 0 && !pattern.any) this.#undemanding.add(pattern);
    for (const place of pattern.places) this.#index.add(place, pattern);
  }

  unbind(binding: Binding<Destination>): void {
    const pattern = this.#patterns.get(binding);
    if (pattern === undefined) return;
    this.#patterns.delete(binding);
    this.#undemanding.delete(pattern);
    for (const place of pattern.places) this.#index.remove(place, pattern);
  }

  route(message: Routable, into: Destination[]): void {
    for (const pattern of this.#undemanding) into.push(pattern.destination);
    if (this.#index.isEmpty) return;
    const headers = message.headers;
    if (headers === null) return;
    const reader = new HeaderReader(headers);
    const visit = (pattern: Pattern<Destination>) => {
      if (pattern.any || pattern.requirements.every(reader.satisfies)) into.push(pattern.destination);
    };
    for (const key of headers.keys()) this.#index.visit(key, reader, visit);
  }

  #createPattern({ destination, arguments: args }: Binding<Destination>): Pattern<Destination> {
    const { any, withX } = matchKindOf(args);
    const requirements = requirementsOf(args, withX);
    return { destination, any, requirements, places: any ? requirements : this.#index.leastCrowded(requirements) };
  }
}

/** Patterns by a header that they ask for. */
class HeaderIndex<P extends object> {
  /** By the header's name, then by its value; undefined stands for any value. */
  readonly #byKey = new Map<string, Map<Comparable | undefined, Bag<P>>>();

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  add({ key, value }: Requirement, pattern: P): void {
    let byValue = this.#byKey.get(key);
    if (byValue === undefined) {
      byValue = new Map();
      this.#byKey.set(key, byValue);
    }
    byValue.set(value, addToBag(byValue.get(value), pattern));
  }

  remove({ key, value }: Requirement, pattern: P): void {
    const byValue = this.#byKey.get(key);
    const bag = byValue?.get(value);
    if (byValue === undefined || bag === undefined) return;
    const rest = removeFromBag(bag, pattern);
    if (rest !== undefined) byValue.set(value, rest);
    else byValue.delete(value);
    if (byValue.size === 0) this.#byKey.delete(key);
  }

  /** Calls back with the patterns that ask for this header with the value that the message has. */
  visit(key: string, reader: HeaderReader, callback: (pattern: P) => void): void {
    const byValue = this.#byKey.get(key);
    if (byValue === undefined) return;
    visitBag(byValue.get(undefined), callback);
    const value = reader.read(key);
    if (value !== undefined) visitBag(byValue.get(value), callback);
  }

  /** Of the requirements, the one that the fewest patterns stand under. A pattern under it is compared the least often. */
  leastCrowded(requirements: readonly Requirement[]): readonly Requirement[] {
    let best: Requirement | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const requirement of requirements) {
      const crowd = bagSize(this.#byKey.get(requirement.key)?.get(requirement.value));
      // At a tie a value tells more messages apart than mere presence.
      const cost = 2 * crowd + (requirement.value === undefined ? 1 : 0);
      if (cost >= fewest) continue;
      fewest = cost;
      best = requirement;
    }
    return best === undefined ? [] : [best];
  }
}

/** The headers of one message, ready to compare. */
class HeaderReader {
  readonly #headers: Arguments;
  /** What arrays and tables compare by: worth keeping, as many patterns may ask for it. */
  #lists: Map<string, Comparable> | undefined;

  constructor(headers: Arguments) {
    this.#headers = headers;
  }

  /** What the header compares by; undefined when the message has no such header. */
  read(key: string): Comparable | undefined {
    const field = this.#headers.get(key);
    if (field === undefined) return undefined;
    return isList(field) ? this.#readList(key, field) : comparable(field);
  }

  readonly satisfies = ({ key, value }: Requirement): boolean => {
    return value === undefined ? this.#headers.has(key) : this.read(key) === value;
  };

  #readList(key: string, field: TypedValue): Comparable {
    this.#lists ??= new Map();
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const value = comparable(field);
    this.#lists.set(key, value);
    return value;
  }
}

function visitBag<P extends object>(bag: Bag<P> | undefined, callback: (pattern: P) => void): void {
  if (bag === undefined) return;
  if (bag instanceof Set) bag.forEach(callback);
  else callback(bag);
}

/** Bindings that nobody validated match `all`, as in RabbitMQ. */
function matchKindOf(args: Arguments): MatchKind {
  const field = args.get(X_MATCH);
  return (field?.type === 'S' ? MATCH_KINDS.get(comparable(field)) : undefined) ?? ALL;
}

function requirementsOf(args: Arguments, withX: boolean): Requirement[] {
  const requirements: Requirement[] = [];
  for (const [key, field] of args) {
    if (key === X_MATCH || (!withX && key.startsWith('x-'))) continue;
    requirements.push({ key, value: field.type === 'V' ? undefined : comparable(field) });
  }
  return requirements;
}

export const headersExchange: ExchangeType = {
  name: 'headers',

  validateBinding(_bindingKey: string, args: Arguments): void {
    const field = args.get(X_MATCH);
    if (field === undefined) return;
    if (field.type !== 'S') {
      const type = typeName(field.type);
      throw new ArgumentError(`Invalid x-match field type ${type} (value ${formatTerm(field)}); expected longstr`);
    }
    if (!MATCH_KINDS.has(comparable(field))) {
      const value = formatTerm(field);
      throw new ArgumentError(`Invalid x-match field value ${value}; expected all, any, all-with-x, or any-with-x`);
    }
  },

  createRouter<Destination>(): Router<Destination> {
    return new HeadersRouter<Destination>();
  },
};
