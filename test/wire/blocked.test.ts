// connection.blocked: sent to those who publish during a memory alarm and said that they understand it.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicConsume,
  basicPublish,
  contentBody,
  contentHeader,
  message,
  queueDeclare,
  shortString,
} from '../helper/wire-bytes.ts';
import { WireClient } from '../helper/wire-client.ts';
import { raiseMemoryAlarm, SMALL_MEMORY } from '../helper/wire-target.ts';

const target = await startTarget(t, SMALL_MEMORY);
const CAPABLE = { clientProperties: { capabilities: { 'connection.blocked': true } } };

t.test('during a memory alarm publishers are not read from and told so; others go on', async (t) => {
  const consumer = await (await new WireClient(t, target).open(CAPABLE)).openChannel(1);
  const queue = await consumer.declareQueue(1);
  consumer.send(basicConsume(1, queue));
  await consumer.expectMethod(1, 60, 21);

  const clear = await raiseMemoryAlarm(t, target);

  await t.test('a connection that does not publish works as before', async () => {
    const bystander = await (await new WireClient(t, target).open(CAPABLE)).openChannel(1);
    for (const client of [consumer, bystander]) {
      client.send(queueDeclare(1));
      await client.expectMethod(1, 50, 11);
    }
  });

  const publisher = await (await new WireClient(t, target).open(CAPABLE)).openChannel(1);
  const unaware = await (await new WireClient(t, target).open()).openChannel(1);

  await t.test('a publisher is told at its content header, whose body has not come yet', async (t) => {
    publisher.send(basicPublish(1, { routingKey: queue }), contentHeader(1, 4));
    t.same(await publisher.expectMethod(0, 10, 60), shortString('low on memory'));
    publisher.send(contentBody(1, 'late'), queueDeclare(1));
  });

  await t.test('a publisher that did not ask for it is told nothing', async () => {
    unaware.send(message(1, '', { mandatory: true }), queueDeclare(1));
    // A message without a body was whole before the connection was blocked.
    await unaware.expectMethod(1, 60, 50);
    await unaware.nextFrame('its header');
  });

  await clear();

  await t.test('when the alarm is over publishers are told and read from again', async (t) => {
    await publisher.expectMethod(0, 10, 61);
    await publisher.expectMethod(1, 50, 11);
    await unaware.expectMethod(1, 50, 11);
    await consumer.expectMethod(1, 60, 60);
    await consumer.nextFrame('a header');
    t.equal((await consumer.nextFrame('a body')).payload.toString(), 'late');
  });
});
