// What can be wrong with an exchange's declaration by itself, in RabbitMQ's words.
import { ArgumentError } from '../../exchanges/exchange-type.ts';
import { BrokerError } from './errors.ts';
import type { ExchangeSettings } from './exchange.ts';
import { fieldTypeName } from './field-values.ts';

/** Exchange types are looked up before anything else is checked, even for an exchange that exists. */
export function unknownExchangeType(type: string): BrokerError {
  return new BrokerError('COMMAND_INVALID', `${type === '' ? 'invalid' : 'unknown'} exchange type '${type}'`);
}

/** Runs a check of an exchange type. @throws {BrokerError} PRECONDITION_FAILED with what it finds */
export function checkArguments(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof ArgumentError) throw new BrokerError('PRECONDITION_FAILED', error.message);
    throw error;
  }
}

/**
 * The name of the alternate exchange; empty when there is none: the default exchange is no alternate, since it would route by
 * name what is bound by key.
 * @throws {BrokerError} PRECONDITION_FAILED when the argument is no name
 */
export function alternateOf(settings: ExchangeSettings, resource: string): string {
  const argument = settings.arguments.get('alternate-exchange');
  if (argument === undefined) return '';
  if (argument.type === 'S') return argument.value;
  const type = fieldTypeName(argument.type);
  throw new BrokerError('PRECONDITION_FAILED', `invalid type '${type}' for arg 'alternate-exchange' in ${resource}`);
}
