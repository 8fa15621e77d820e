// The expiration property: a text that RabbitMQ reads as Erlang's string:to_integer does, and refuses in its own words.
import { appendBinary } from '../../../codec/erlang-term.ts';
import { AmqpError } from './amqp-error.ts';

/** Ten years. */
const MOST_MS = 315_360_000_000n;

/** The milliseconds of an expiration. @throws {AmqpError} PRECONDITION_FAILED when it is no number from 0 to ten years. */
export function parseExpiration(text: string): number {
  const problem = findProblem(text);
  if (problem === undefined) return Number(text);
  throw new AmqpError('PRECONDITION_FAILED', `invalid expiration '${text}': ${problem}`);
}

/** A list of characters as Erlang prints it: a quoted text where that is possible. */
function erlangString(text: string): string {
  const content = appendBinary('', Buffer.from(text)).slice('<<'.length, -'>>'.length);
  return content.startsWith('"') ? content : `[${content}]`;
}

function findProblem(text: string): string | undefined {
  const digits = /^[+-]?\d+/.exec(text)?.[0];
  if (digits === undefined) return 'no_integer';
  if (digits.length < text.length) return `{leftover_string,${erlangString(text.slice(digits.length))}}`;
  const value = BigInt(digits);
  if (value < 0n) return `{value_negative,${value}}`;
  if (value > MOST_MS) return `{value_too_large,${value}}`;
  return undefined;
}
