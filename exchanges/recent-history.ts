// The recent history exchange (RabbitMQ's plug-in rabbitmq_recent_history_exchange): a fanout that also gives its last messages
// to what is bound to it later. Here it says how many and which; the broker keeps them.
import {
  ArgumentError,
  type Arguments,
  type ExchangeType,
  type HistoryRule,
  type Routable,
  type Router,
} from './exchange-type.ts';
import { fanoutExchange } from './fanout.ts';
import { formatTerm } from './field-value.ts';

const LENGTH = 'x-recent-history-length';
const NO_STORE = 'x-recent-history-no-store';
const DEFAULT_LENGTH = 20;
/** The unsigned types are not taken: RabbitMQ's plug-in is older than they are. */
const INTEGER_TYPES = 'bsIlL';

function isKept(message: Routable): boolean {
  const field = message.headers?.get(NO_STORE);
  return field?.type !== 't' || field.value !== true;
}

export const recentHistoryExchange: ExchangeType = {
  name: 'x-recent-history',

  validateExchange(args: Arguments): void {
    const field = args.get(LENGTH);
    if (field === undefined) return;
    if (INTEGER_TYPES.includes(field.type) && Number(field.value) > 0) return;
    throw new ArgumentError(`Invalid argument ${formatTerm(field)}, '${LENGTH}' must be a positive integer`);
  },

  history(args: Arguments): HistoryRule {
    const field = args.get(LENGTH);
    return { length: field === undefined ? DEFAULT_LENGTH : Number(field.value), keeps: isKept };
  },

  createRouter<Destination>(args: Arguments): Router<Destination> {
    return fanoutExchange.createRouter<Destination>(args);
  },
};
