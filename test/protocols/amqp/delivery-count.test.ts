// The header of a message that came back: for one delivery, and in bytes as RabbitMQ sends them.
import fc from 'fast-check';
import t from 'tap';
import { type BasicProperties, decodeProperties, encodeProperties } from '../../../codec/properties.ts';
import { withDeliveryCount } from '../../../lib/protocols/amqp/delivery-count.ts';
import { properties as basicProperties } from '../../codec/arbitraries.ts';
import { bodyText, messageOf, propertyBytes, table } from '../../core/helper.ts';

function counted(properties: BasicProperties, count: number): Buffer {
  return propertyBytes(withDeliveryCount(messageOf('body', { properties, chunkBytes: 100 }), count));
}

// Recorded from RabbitMQ 3.10.8.

t.test('a message without properties gets the header alone', async (t) => {
  t.equal(counted({}, 1).toString('hex'), '20000000001a10782d64656c69766572792d636f756e746c0000000000000001');
});

t.test('it takes the place of one that was published, and other properties stay', async (t) => {
  const headers = table({ 'x-delivery-count': 'abc', z: 'zz' });
  t.equal(
    counted({ contentType: 'text/plain', headers, deliveryMode: 2 }, 2).toString('hex'),
    'b0000a746578742f706c61696e0000002310782d64656c69766572792d636f756e746c0000000000000002017a53000000027a7a02',
  );
});

t.test('headers are sorted', async (t) => {
  t.equal(
    counted({ headers: table({ z: 'z', a: 'a' }) }, 0).toString('hex'),
    '20000000002a016153000000016110782d64656c69766572792d636f756e746c0000000000000000017a53000000017a',
  );
});

t.test('everything else is as it was, and so is the message itself', async (t) => {
  fc.assert(
    fc.property(basicProperties, fc.nat(), (properties, count) => {
      const message = messageOf('body', { properties });
      const before = Buffer.from(propertyBytes(message));
      const told = withDeliveryCount(message, count);
      const { headers, ...rest } = decodeProperties(told.propertiesBuffer, told.propertiesStart, told.propertiesEnd);
      const { headers: published, ...expected } = decodeProperties(before, 0, before.length);
      t.same(rest, expected);
      t.same(headers?.get('x-delivery-count'), { type: 'l', value: count });
      t.same(
        [...(headers ?? [])].filter(([name]) => name !== 'x-delivery-count').length,
        [...(published ?? [])].filter(([name]) => name !== 'x-delivery-count').length,
      );
      t.equal(bodyText(told), 'body');
      t.ok(propertyBytes(message).equals(before), 'what the queue holds is as it was');
      t.ok(encodeProperties({ headers: headers ?? new Map(), ...rest }).equals(propertyBytes(told)));
    }),
    { numRuns: 50 },
  );
});
