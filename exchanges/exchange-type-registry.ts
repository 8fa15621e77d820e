// The exchange types that a broker knows, by name. Must not know what a type does.
import { consistentHashExchange } from './consistent-hash.ts';
import { delayedMessageExchange } from './delayed-message.ts';
import { directExchange } from './direct.ts';
import type { ExchangeType } from './exchange-type.ts';
import { fanoutExchange } from './fanout.ts';
import { headersExchange } from './headers.ts';
import { modulusHashExchange } from './modulus-hash.ts';
import { randomExchange } from './random.ts';
import { recentHistoryExchange } from './recent-history.ts';
import { topicExchange } from './topic.ts';

/** The four types of AMQP 0-9-1, and those of RabbitMQ's plug-ins. */
export const builtInExchangeTypes: readonly ExchangeType[] = [
  directExchange,
  fanoutExchange,
  topicExchange,
  headersExchange,
  consistentHashExchange,
  modulusHashExchange,
  randomExchange,
  recentHistoryExchange,
  delayedMessageExchange,
];

/** A name goes over the wire as a short string: at most 255 bytes of UTF-8. */
const MAX_NAME_BYTES = 255;

export class ExchangeTypeRegistry {
  readonly #types = new Map<string, ExchangeType>();

  /** @throws {TypeError} as `register` does */
  constructor(types: Iterable<ExchangeType> = builtInExchangeTypes) {
    for (const type of types) this.register(type);
  }

  /**
   * Adds a type. RabbitMQ's plugins name theirs `x-...`; so should yours.
   * @throws {TypeError} when the name is empty, longer than 255 bytes, has white space or control characters, or is taken
   */
  register(type: ExchangeType): void {
    const { name } = type;
    if (typeof name !== 'string' || !isName(name)) {
      throw new TypeError(`invalid name of an exchange type: ${JSON.stringify(name)}`);
    }
    if (this.#types.has(name)) throw new TypeError(`the exchange type '${name}' is registered already`);
    this.#types.set(name, type);
  }

  /** The type of that name. Names are case-sensitive. */
  get(name: string): ExchangeType | undefined {
    return this.#types.get(name);
  }

  /** Every name, in the order of registration. */
  names(): string[] {
    return [...this.#types.keys()];
  }
}

function isName(name: string): boolean {
  return /^[^\s\p{Cc}]+$/u.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES;
}
