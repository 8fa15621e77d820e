// What connection.start tells of the server.
import t from 'tap';
import { encodedFieldTableSize } from '../../../codec/field-table.ts';
import { serverProperties } from '../../../lib/protocols/amqp/server-properties.ts';

const IDENTITY = { product: 'RabbitMQ', version: '3.13.7', platform: 'Leveret', clusterName: 'rabbit@here' };

t.test('clients find product, version, platform and cluster name where they look for them', async (t) => {
  const properties = serverProperties(IDENTITY);
  for (const [key, value] of [
    ['product', 'RabbitMQ'],
    ['version', '3.13.7'],
    ['platform', 'Leveret'],
    ['cluster_name', 'rabbit@here'],
  ]) {
    t.same(properties.get(key), { type: 'S', value });
  }
  t.ok(encodedFieldTableSize(properties) < 4096, 'it fits into the first frame');
});

t.test('the capabilities are those of RabbitMQ', async (t) => {
  const capabilities = serverProperties(IDENTITY).get('capabilities');
  if (capabilities?.type !== 'F') throw new Error('capabilities are no table');
  t.same([...capabilities.value.keys()].sort(), [
    'authentication_failure_close',
    'basic.nack',
    'connection.blocked',
    'consumer_cancel_notify',
    'consumer_priorities',
    'direct_reply_to',
    'exchange_exchange_bindings',
    'per_consumer_qos',
    'publisher_confirms',
  ]);
  for (const value of capabilities.value.values()) t.same(value, { type: 't', value: true });
});
