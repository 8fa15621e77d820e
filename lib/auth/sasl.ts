// SASL mechanisms that carry a name and a password: PLAIN (RFC 4616) and AMQPLAIN (RabbitMQ's older form, a field table).
// Reads the bytes of connection.start-ok's response only; who the user is, UserStore knows.

/** What a client offered to log in with. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** One mechanism that connection.start offers. */
export interface SaslMechanism {
  readonly name: string;
  /** Reads the response of connection.start-ok; undefined when it is malformed (RabbitMQ: 502 SYNTAX_ERROR). */
  parse(response: Buffer): Credentials | undefined;
}

/** Decodes the entries of a field table, without its length prefix. May throw when the bytes are no table. */
export type DecodeTable = (bytes: Buffer) => ReadonlyMap<string, { readonly type: string; readonly value: unknown }>;

/** The mechanisms in the order in which RabbitMQ offers them, by name. */
export function createSaslMechanisms({
  decodeTable,
}: {
  decodeTable: DecodeTable;
}): ReadonlyMap<string, SaslMechanism> {
  const mechanisms = [createPlain(), createAmqPlain(decodeTable)];
  return new Map(mechanisms.map((mechanism) => [mechanism.name, mechanism]));
}

/** NUL name NUL password. As in RabbitMQ the authorisation identity before the first NUL must be empty. */
function createPlain(): SaslMechanism {
  return {
    name: 'PLAIN',
    parse: (response) => {
      const end = response.indexOf(0, 1);
      if (response[0] !== 0 || end === -1 || response.includes(0, end + 1)) return undefined;
      return { username: response.toString('utf8', 1, end), password: response.toString('utf8', end + 1) };
    },
  };
}

/** A field table with the long strings LOGIN and PASSWORD; other fields are ignored. */
function createAmqPlain(decodeTable: DecodeTable): SaslMechanism {
  return {
    name: 'AMQPLAIN',
    parse: (response) => {
      const table = attempt(() => decodeTable(response));
      const username = longString(table?.get('LOGIN'));
      const password = longString(table?.get('PASSWORD'));
      return username === undefined || password === undefined ? undefined : { username, password };
    },
  };
}

function attempt<Result>(action: () => Result): Result | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function longString(field: { readonly type: string; readonly value: unknown } | undefined): string | undefined {
  if (field?.type !== 'S') return undefined;
  if (typeof field.value === 'string') return field.value;
  return field.value instanceof Uint8Array ? Buffer.from(field.value).toString('utf8') : undefined;
}
