// The delayed message exchange, as RabbitMQ's plug-in of that name has it: it holds messages back for as long as their `x-delay`
// header says, then routes them like an exchange of another type. See https://github.com/rabbitmq/rabbitmq-delayed-message-exchange
import { ArgumentError, type Arguments, type ExchangeType, type Routable } from './exchange-type.ts';

const TYPE = 'x-delayed-message';
const DELAYED_TYPE = 'x-delayed-type';
export const DELAY_HEADER = 'x-delay';

const INTEGERS = new Set(['b', 'B', 's', 'u', 'I', 'i', 'l', 'L']);
const FLOATS = new Set(['f', 'd']);

/** Ten years, as for an expiration. The plug-in sends on at once what is to be held for more than 2^32 - 1 ms. */
const MOST_DELAY_MS = 315_360_000_000;

export const delayedMessageExchange: ExchangeType = {
  name: TYPE,

  routesLike(args: Arguments): string {
    const inner = args.get(DELAYED_TYPE);
    if (inner?.type !== 'S' || typeof inner.value !== 'string') {
      throw new ArgumentError(`Invalid argument, '${DELAYED_TYPE}' must be an existing exchange type`);
    }
    if (inner.value === TYPE) {
      throw new ArgumentError(`Invalid argument, '${TYPE}' can't be used for '${DELAYED_TYPE}'`);
    }
    return inner.value;
  },

  delayMs({ headers }: Routable): number {
    const delay = headers?.get(DELAY_HEADER);
    if (delay === undefined) return 0;
    const ms = millisecondsOf(delay.type, delay.value);
    return ms > 0 ? Math.min(ms, MOST_DELAY_MS) : 0;
  },

  createRouter(): never {
    throw new Error(`the broker routes for ${TYPE} by another type`);
  },
};

/** 0 for what is no number. */
function millisecondsOf(type: string, value: unknown): number {
  if (INTEGERS.has(type) || FLOATS.has(type)) return Math.trunc(Number(value));
  if (type === 'S' && typeof value === 'string' && /^[+-]?\d+$/.test(value)) return Number(value);
  return 0;
}
