// SASL responses, well-formed and not.
import fc from 'fast-check';
import t from 'tap';
import { createSaslMechanisms, type DecodeTable } from '../../lib/auth/sasl.ts';

/** Stands in for the codec: a table is JSON here. */
const decodeTable: DecodeTable = (bytes) => new Map(Object.entries(JSON.parse(bytes.toString('utf8'))));
const mechanisms = createSaslMechanisms({ decodeTable });

function parse(mechanism: 'PLAIN' | 'AMQPLAIN', response: Buffer | string) {
  return mechanisms.get(mechanism)?.parse(Buffer.from(response));
}

function table(entries: Record<string, unknown>): string {
  return JSON.stringify(entries);
}

t.test('PLAIN and AMQPLAIN are offered, and nothing else', async (t) => {
  t.strictSame([...mechanisms.keys()], ['PLAIN', 'AMQPLAIN']);
});

t.test('PLAIN gives back every name and password', async () => {
  const part = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(part, part, (username, password) => {
      const parsed = parse('PLAIN', `\0${username}\0${password}`);
      return parsed?.username === username && parsed.password === password;
    }),
  );
});

t.test('PLAIN refuses what RabbitMQ refuses', async (t) => {
  for (const response of ['', 'guest', '\0', '\0guest', 'guest\0guest', 'me\0guest\0guest', '\0guest\0guest\0']) {
    t.equal(parse('PLAIN', response), undefined, JSON.stringify(response));
  }
});

t.test('AMQPLAIN reads LOGIN and PASSWORD and ignores the rest', async (t) => {
  const login = { type: 'S', value: 'ann' };
  const password = { type: 'S', value: 'secret' };
  t.strictSame(parse('AMQPLAIN', table({ PASSWORD: password, more: { type: 't', value: true }, LOGIN: login })), {
    username: 'ann',
    password: 'secret',
  });
  t.equal(parse('AMQPLAIN', table({ LOGIN: login })), undefined);
  t.equal(parse('AMQPLAIN', table({ LOGIN: login, PASSWORD: { type: 'x', value: 'secret' } })), undefined);
  t.equal(parse('AMQPLAIN', table({ LOGIN: login, PASSWORD: { type: 'S', value: 1 } })), undefined);
  t.equal(parse('AMQPLAIN', 'no table'), undefined, 'a decoder that throws');
});

t.test('AMQPLAIN takes long strings as bytes too', async (t) => {
  const bytes = (text: string) => ({ type: 'S', value: Buffer.from(text) });
  const withBytes = createSaslMechanisms({
    decodeTable: () =>
      new Map([
        ['LOGIN', bytes('é')],
        ['PASSWORD', bytes('b')],
      ]),
  });
  t.strictSame(withBytes.get('AMQPLAIN')?.parse(Buffer.alloc(0)), { username: 'é', password: 'b' });
});

t.test('random bytes never throw', async () => {
  fc.assert(
    fc.property(fc.constantFrom('PLAIN' as const, 'AMQPLAIN' as const), fc.uint8Array(), (mechanism, bytes) => {
      const parsed = parse(mechanism, Buffer.from(bytes));
      return parsed === undefined || typeof parsed.username === 'string';
    }),
  );
});
