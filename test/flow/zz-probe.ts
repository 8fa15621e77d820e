import t from '/work/main/node_modules/tap/dist/esm/index.js';
import { createBroker } from '/work/main/lib/index.ts';
import { EmbedClient, numberedMessages, sharedQueueDeclare } from '/work/main/test/helper/embed-client.ts';
import { connectObserved } from '/work/main/test/helper/embed-socket.ts';
import { basicGet, basicConsume, bytes, message, method, short, shortString, octet, table } from '/work/main/test/helper/wire-bytes.ts';

t.test('mandatory', {todo:true}, async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const { client, waitingBytes } = await connectObserved(t, broker.port);
  await client.openChannel();
  client.stream.pause();
  for (let i = 0; i < 1000; i++) await client.sendPaced(message(1, Buffer.alloc(100_000), { routingKey: 'nowhere', mandatory: true }));
  await new Promise(r => setTimeout(r, 500));
  console.log('mandatory', waitingBytes(), broker.memoryUsedBytes);
});
t.test('get', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const { client, waitingBytes } = await connectObserved(t, broker.port);
  await client.openChannel();
  const pub = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'q'));
  for (let i = 0; i < 1000; i++) await pub.sendPaced(message(1, Buffer.alloc(100_000), { routingKey: 'q' }));
  await pub.openChannel(2);
  client.stream.pause();
  for (let i = 0; i < 1000; i++) client.send(basicGet(1, 'q'));
  await new Promise(r => setTimeout(r, 500));
  console.log('get', waitingBytes(), broker.memoryUsedBytes);
});
t.test('reply', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const { client, waitingBytes } = await connectObserved(t, broker.port);
  await client.openChannel();
  const pub = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await client.call(1, 60, 21, method(1, 60, 20, short(0), shortString('amq.rabbitmq.reply-to'), shortString(''), octet(2), table()));
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'q'));
  // request
  let replyTo = '';
  await pub.call(1, 50, 11, sharedQueueDeclare(1, 'r'));
  const props = bytes(shortString('amq.rabbitmq.reply-to'));
  const { basicPublish, contentHeader, contentBody } = await import('/work/main/test/helper/wire-bytes.ts');
  const got = new Promise<void>(r => { 
    pub.stream.on('data', (d) => { const s = d.toString('latin1'); const m = /amq\.rabbitmq\.reply-to\.[^\xce]*/.exec(s); if (m) { replyTo = m[0]; r(); } });
  });
  await pub.call(1, 60, 21, basicConsume(1, 'r'));
  client.send(basicPublish(1, { routingKey: 'r' }), contentHeader(1, 1, { flags: 0x0200, properties: props }), contentBody(1, 'x'));
  await got;
  console.log(replyTo);
  client.stream.pause();
  for (let i = 0; i < 1000; i++) await pub.sendPaced(message(1, Buffer.alloc(100_000), { routingKey: replyTo }));
  await pub.openChannel(2);
  console.log('reply', waitingBytes(), broker.memoryUsedBytes);
});
t.test('declares', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const { client, waitingBytes } = await connectObserved(t, broker.port);
  await client.openChannel();
  client.stream.pause();
  const many = bytes(...Array(20000).fill(sharedQueueDeclare(1, 'q'.repeat(200))));
  for (let i = 0; i < 50; i++) await client.sendPaced(many);
  await new Promise(r => setTimeout(r, 500));
  console.log('declare', waitingBytes(), broker.memoryUsedBytes);
});
t.test('tx', async (t) => {
  const broker = await createBroker({ port: 0, memoryLimitBytes: 8e6 });
  t.teardown(() => broker.close());
  const { client, waitingBytes } = await connectObserved(t, broker.port);
  await client.openChannel();
  await client.call(1, 90, 11, method(1, 90, 10));
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'q'));
  for (let i = 0; i < 1000; i++) await client.sendPaced(message(1, Buffer.alloc(100_000), { routingKey: 'q' }));
  await client.openChannel(2);
  console.log('tx', process.memoryUsage().arrayBuffers, broker.memoryUsedBytes);
});
