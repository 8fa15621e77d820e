// The headers exchange beside every other property that a message may have: the headers stand in the middle of their bytes.
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { drain, openSession } from '../helper/messages.ts';

const everyOption = {
  contentType: 'text/plain',
  contentEncoding: 'utf-8',
  persistent: true,
  priority: 5,
  correlationId: 'c',
  replyTo: 'r',
  expiration: '60000',
  messageId: 'm',
  timestamp: 1_700_000_000,
  type: 't',
  userId: 'guest',
  appId: 'a',
};

for (const [name, value] of [...Object.entries(everyOption), ['all', undefined] as const]) {
  t.test(`headers route beside ${name}`, async (t) => {
    const { publisher, queue } = await openSession(t);
    const exchange = uniqueName();
    await publisher.assertExchange(exchange, 'headers', { autoDelete: true, durable: false });
    await publisher.bindQueue(queue, exchange, '', { 'x-match': 'all', size: 'small' });
    const options = name === 'all' ? everyOption : { [name]: value };
    publisher.publish(exchange, '', Buffer.from('yes'), {
      ...options,
      headers: { size: 'small', more: [1, { a: 2 }] },
    });
    publisher.publish(exchange, '', Buffer.from('no'), { ...options, headers: { size: 'large' } });
    await publisher.waitForConfirms();
    t.same(await drain(publisher, queue), ['yes']);
  });
}
