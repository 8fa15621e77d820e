// exchange.declare: types, options, equivalence of a second declaration, names, passive declaration.
import t from 'tap';
import {
  accessRefused,
  defaultExchangeRefused,
  expectChannelError,
  expectConnectionError,
  inequivalent,
  notFound,
  openTopology,
  preconditionFailed,
} from '../helper/amqp.ts';
import { call, send } from '../helper/messages.ts';

for (const type of ['direct', 'fanout', 'topic', 'headers']) {
  t.test(`an exchange of type ${type} is declared, and declared equal again`, async (t) => {
    const { channel, name } = await openTopology(t);
    const exchange = name();
    t.same(await channel.assertExchange(exchange, type), { exchange });
    t.same(await channel.assertExchange(exchange, type), { exchange });
  });
}

for (const options of [
  { durable: true },
  { durable: false },
  { autoDelete: true },
  { internal: true },
  { alternateExchange: 'not-there' },
  { arguments: { 'alternate-exchange': 'not-there' } },
  { arguments: { 'x-anything': { nested: [1, true, null] } } },
  { durable: false, autoDelete: true, internal: true, alternateExchange: 'not-there' },
]) {
  t.test(`declared equal again with ${JSON.stringify(options)}`, async (t) => {
    const { channel, name } = await openTopology(t);
    const exchange = name();
    await channel.assertExchange(exchange, 'direct', options);
    t.same(await channel.assertExchange(exchange, 'direct', options), { exchange });
  });
}

const plain = { durable: false };
const differences = [
  {
    what: 'the type',
    argument: 'type',
    again: ['topic', plain],
    difference: "received 'topic' but current is 'direct'",
  },
  { what: 'durable', argument: 'durable', again: ['direct', {}], difference: "received 'true' but current is 'false'" },
  {
    what: 'auto-delete',
    argument: 'auto_delete',
    again: ['direct', { ...plain, autoDelete: true }],
    difference: "received 'true' but current is 'false'",
  },
  {
    what: 'internal',
    argument: 'internal',
    again: ['direct', { ...plain, internal: true }],
    difference: "received 'true' but current is 'false'",
  },
  {
    what: 'an alternate exchange that was none',
    argument: 'alternate-exchange',
    again: ['direct', { ...plain, alternateExchange: 'a' }],
    difference: "received the value 'a' of type 'longstr' but current is none",
  },
  {
    what: 'everything, of which the type is named',
    argument: 'type',
    again: ['fanout', { durable: true, autoDelete: true, internal: true, alternateExchange: 'a' }],
    difference: "received 'fanout' but current is 'direct'",
  },
  {
    what: 'all but the type, of which durable is named',
    argument: 'durable',
    again: ['direct', { durable: true, autoDelete: true, internal: true, alternateExchange: 'a' }],
    difference: "received 'true' but current is 'false'",
  },
  {
    what: 'auto-delete and internal, of which auto-delete is named',
    argument: 'auto_delete',
    again: ['direct', { ...plain, autoDelete: true, internal: true, alternateExchange: 'a' }],
    difference: "received 'true' but current is 'false'",
  },
  {
    what: 'internal and an argument, of which internal is named',
    argument: 'internal',
    again: ['direct', { ...plain, internal: true, alternateExchange: 'a' }],
    difference: "received 'true' but current is 'false'",
  },
] as const;

for (const { what, argument, again, difference } of differences) {
  t.test(`a second declaration must not differ in ${what}`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const exchange = name();
    await channel.assertExchange(exchange, 'direct', plain);
    const [type, options] = again;
    const expected = inequivalent('exchange', exchange, argument, difference);
    await expectChannelError(
      t,
      connection,
      (ch) => ch.assertExchange(exchange, type, options),
      'exchange.declare',
      expected,
    );
  });
}

t.test('a second declaration must not leave out the alternate exchange, nor change it', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', { alternateExchange: 'a' });
  const without = inequivalent(
    'exchange',
    exchange,
    'alternate-exchange',
    "received none but current is the value 'a' of type 'longstr'",
  );
  await expectChannelError(t, connection, (ch) => ch.assertExchange(exchange, 'direct'), 'exchange.declare', without);
  const changed = inequivalent('exchange', exchange, 'alternate-exchange', "received 'b' but current is 'a'");
  const change = { alternateExchange: 'b' };
  await expectChannelError(
    t,
    connection,
    (ch) => ch.assertExchange(exchange, 'direct', change),
    'exchange.declare',
    changed,
  );
});

t.test('arguments that mean nothing to the broker are not compared', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', { arguments: { 'x-anything': 1 } });
  t.same(await channel.assertExchange(exchange, 'direct', { arguments: { other: 'a' } }), { exchange });
});

t.test('an error of one declaration leaves the connection and the exchange as they were', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', plain);
  const expected = inequivalent('exchange', exchange, 'type', "received 'topic' but current is 'direct'");
  await expectChannelError(
    t,
    connection,
    (ch) => ch.assertExchange(exchange, 'topic', plain),
    'exchange.declare',
    expected,
  );
  t.same(await channel.assertExchange(exchange, 'direct', plain), { exchange });
});

t.test('a type that the broker does not know closes the connection', async (t) => {
  const session = await openTopology(t);
  const expected = { code: 503, text: "COMMAND_INVALID - unknown exchange type 'x-nothing'" };
  await expectConnectionError(t, session, (ch) => ch.assertExchange(session.name(), 'x-nothing'), expected);
});

t.test('the type is checked before the name', async (t) => {
  const session = await openTopology(t);
  const expected = { code: 503, text: "COMMAND_INVALID - unknown exchange type 'x-nothing'" };
  await expectConnectionError(t, session, (ch) => ch.assertExchange('amq.reserved', 'x-nothing'), expected);
});

t.test('an empty type closes the connection', async (t) => {
  const session = await openTopology(t);
  const expected = { code: 503, text: "COMMAND_INVALID - invalid exchange type ''" };
  await expectConnectionError(t, session, (ch) => ch.assertExchange(session.name(), ''), expected);
});

t.test('checkExchange finds an exchange whatever its type and options', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'topic', { durable: false, autoDelete: true, internal: true });
  t.same(await channel.checkExchange(exchange), {});
});

t.test('a passive declaration does not look at its type', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'topic');
  t.same(await call(channel, 'ExchangeDeclare', { exchange, type: 'x-nothing', passive: true, internal: true }), {});
});

t.test('checkExchange of a missing exchange is 404', async (t) => {
  const { connection, name } = await openTopology(t);
  const exchange = name();
  await expectChannelError(
    t,
    connection,
    (ch) => ch.checkExchange(exchange),
    'exchange.declare',
    notFound('exchange', exchange),
  );
});

t.test('without waiting for the reply: declared all the same', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  send(channel, 'ExchangeDeclare', { exchange, type: 'direct', nowait: true });
  t.same(await channel.checkExchange(exchange), {});
});

t.test('without waiting for the reply: an error closes the channel all the same', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'direct', plain);
  const expected = inequivalent('exchange', exchange, 'type', "received 'topic' but current is 'direct'");
  const again = { exchange, type: 'topic', nowait: true };
  await expectChannelError(t, connection, (ch) => send(ch, 'ExchangeDeclare', again), 'exchange.declare', expected);
});

for (const [exchange, type] of [
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
] as const) {
  t.test(`${exchange} is there, durable, and may be declared equal`, async (t) => {
    const { channel } = await openTopology(t);
    t.same(await channel.checkExchange(exchange), {});
    t.same(await channel.assertExchange(exchange, type, { durable: true }), { exchange });
  });
}

t.test('amq.direct must not be declared otherwise', async (t) => {
  const { connection } = await openTopology(t);
  const type = inequivalent('exchange', 'amq.direct', 'type', "received 'topic' but current is 'direct'");
  await expectChannelError(t, connection, (ch) => ch.assertExchange('amq.direct', 'topic'), 'exchange.declare', type);
  const durable = inequivalent('exchange', 'amq.direct', 'durable', "received 'false' but current is 'true'");
  await expectChannelError(
    t,
    connection,
    (ch) => ch.assertExchange('amq.direct', 'direct', plain),
    'exchange.declare',
    durable,
  );
});

for (const exchange of ['amq.mine', 'amq.', 'amq.default']) {
  t.test(`the name '${exchange}' is reserved`, async (t) => {
    const { connection } = await openTopology(t);
    const expected = accessRefused(`exchange name '${exchange}' contains reserved prefix 'amq.*'`);
    await expectChannelError(
      t,
      connection,
      (ch) => ch.assertExchange(exchange, 'direct'),
      'exchange.declare',
      expected,
    );
  });
}

t.test('the default exchange can neither be declared nor checked', async (t) => {
  const { connection } = await openTopology(t);
  const declare = (passive: boolean) => ({ exchange: '', type: 'direct', durable: true, passive });
  for (const fields of [declare(false), declare(true)]) {
    await expectChannelError(
      t,
      connection,
      (ch) => call(ch, 'ExchangeDeclare', fields),
      'exchange.declare',
      defaultExchangeRefused,
    );
  }
});

t.test('a name may have 255 bytes, blanks and any character', async (t) => {
  const { channel, name } = await openTopology(t);
  const prefix = name();
  for (const exchange of [prefix.padEnd(255, 'x'), `${prefix} ü\0`]) {
    t.same(await channel.assertExchange(exchange, 'direct'), { exchange });
    t.same(await channel.checkExchange(exchange), {});
    await channel.deleteExchange(exchange);
  }
});

t.test('line ends are left out of a name', async (t) => {
  const { channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(`\r${exchange}\r\n`, 'direct');
  t.same(await channel.checkExchange(exchange), {});
});

t.test('a message cannot be published to an internal exchange', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const exchange = name();
  await channel.assertExchange(exchange, 'fanout', { internal: true });
  const expected = accessRefused(`cannot publish to internal exchange '${exchange}' in vhost '/'`);
  await expectChannelError(t, connection, (ch) => ch.publish(exchange, '', Buffer.from('')), 'basic.publish', expected);
});

t.test('an alternate exchange must be a string', async (t) => {
  const { connection, name } = await openTopology(t);
  const exchange = name();
  for (const [value, type] of [
    [1, 'byte'],
    [true, 'bool'],
    [null, 'void'],
  ]) {
    const expected = preconditionFailed(
      `invalid type '${type}' for arg 'alternate-exchange' in exchange '${exchange}' in vhost '/'`,
    );
    const options = { arguments: { 'alternate-exchange': value } };
    await expectChannelError(
      t,
      connection,
      (ch) => ch.assertExchange(exchange, 'direct', options),
      'exchange.declare',
      expected,
    );
  }
});
