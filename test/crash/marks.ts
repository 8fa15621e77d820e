// What a broker writes on a message: why it left queues, how often it came back, that it was held back. Taken off again, so that the
// message can be compared with what was published.
import type { Message } from 'amqplib';
import type { Death } from './chain-hops.ts';
import { DELAY_HEADER } from './messages.ts';

export const COUNT_HEADER = 'x-delivery-count';

export interface Marks {
  /** The latest first. */
  readonly deaths: readonly Death[];
  /** Undefined without the header. */
  readonly count: number | undefined;
  /** The message as it was published. */
  readonly published: Message;
  /** What does not fit together. */
  readonly fault: string | undefined;
}

type Headers = Record<string, unknown>;

/** @param wasHeld an exchange held it back for the time that it says */
export function readMarks(message: Message, wasHeld: boolean): Marks {
  const { [COUNT_HEADER]: count, 'x-death': told = [], ...headers }: Headers = { ...message.properties.headers };
  const tables = Array.isArray(told) ? (told as readonly Headers[]) : [];
  const deaths = tables.map(deathOf);
  let fault = Array.isArray(told) ? undefined : `x-death is ${JSON.stringify(told)}`;
  for (const [which, death] of [
    ['first', deaths.at(-1)],
    ['last', deaths[0]],
  ] as const) {
    for (const what of ['queue', 'reason'] as const) {
      const name = `x-${which}-death-${what}`;
      if (headers[name] !== death?.[what]) fault ??= `${name} is ${headers[name]}, where x-death has ${death?.[what]}`;
      delete headers[name];
    }
    delete headers[`x-${which}-death-exchange`];
  }
  const delay = headers[DELAY_HEADER];
  if (wasHeld && typeof delay === 'number') headers[DELAY_HEADER] = -delay;
  // A dead letter does not expire, and tells when it would have.
  const expiration = tables.length === 0 ? message.properties.expiration : tables.at(-1)?.['original-expiration'];
  if (tables.length > 0 && message.properties.expiration !== undefined) fault ??= 'a dead letter has an expiration';
  const published = { ...message, properties: { ...message.properties, headers, expiration } };
  return { deaths, count: typeof count === 'number' ? count : undefined, published, fault };
}

function deathOf(table: Headers): Death {
  const time = table.time as { readonly value?: unknown } | undefined;
  return {
    reason: String(table.reason),
    queue: String(table.queue),
    count: Number(table.count),
    timeS: Number(time?.value),
  };
}
