// The server's own basic.cancel: to clients that asked for it, and after the answer to what made it necessary.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import { basicConsume, method, octet, queueDeclare, short, shortString } from '../helper/wire-bytes.ts';
import { wireTest } from '../helper/wire-test.ts';

const target = await startTarget(t);

const queueDelete = (queue: string) => method(1, 50, 40, short(0), shortString(queue), octet(0));

wireTest(target, 'delete-ok comes first, then the cancel of the consumers on the channel', async ({ t, client }) => {
  await client.open({ clientProperties: { capabilities: { consumer_cancel_notify: true } } });
  await client.openChannel(1);
  const queue = await client.declareQueue(1);
  client.send(basicConsume(1, queue));
  const consumerTag = await client.expectMethod(1, 60, 21);
  client.send(queueDelete(queue));
  await client.expectMethod(1, 50, 41);
  const cancel = await client.expectMethod(1, 60, 30);
  t.same(cancel, Buffer.concat([consumerTag, octet(1)]), 'with no-wait set');
});

wireTest(target, 'a client that did not ask for it hears nothing', async ({ client }) => {
  await client.open();
  await client.openChannel(1);
  const queue = await client.declareQueue(1);
  client.send(basicConsume(1, queue));
  await client.expectMethod(1, 60, 21);
  client.send(queueDelete(queue), queueDeclare(1));
  await client.expectMethod(1, 50, 41);
  await client.expectMethod(1, 50, 11);
});
