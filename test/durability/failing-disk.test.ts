// A disk that fails for good ends the broker, before anything is confirmed that is not safe; a full one blocks publishers until
// there is room. The functions of node:fs are made to fail, in this process or in that of the command.
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { createBroker } from '../../lib/index.ts';
import { type Command, startCommand } from '../bin/command.ts';
import { againstPeer } from '../helper/broker.ts';
import { type Client, connectTo, temporaryFolder } from '../helper/durable-broker.ts';
import { Fault, type FaultyCall } from '../helper/durable-fault.ts';
import { drain, subscribe, text } from '../helper/messages.ts';

const options = { skip: againstPeer && "a peer's disk is its own" };

/** Starts the command on a folder, with a fault that SIGUSR2 switches. */
async function start(t: Test, dataDir: string, fault = '') {
  const preload = ['--import', './test/helper/durable-fault.ts'];
  const command = startCommand(t, ['--port', '0', '--data-dir', dataDir], { DURABLE_FAULT: fault }, preload);
  const { port } = await command.logged(/ ready on /);
  return { command, url: `amqp://guest:guest@127.0.0.1:${port}` };
}

async function switchFault(command: Command, to: 'on' | 'off'): Promise<void> {
  command.process.kill('SIGUSR2');
  await command.logged(new RegExp(`^fault is ${to}$`));
}

function send({ publisher }: Client, queue: string, body: string): Promise<boolean> {
  return new Promise((resolve) => {
    publisher.sendToQueue(queue, Buffer.from(body), { persistent: true }, (error) => resolve(error === null));
  });
}

/** Ends as the command does when told to, and shows what is in the queue after another start. */
async function contentsAfterRestart(t: Test, dataDir: string, queue: string): Promise<string[]> {
  const { command, url } = await start(t, dataDir);
  const { channel, connection } = await connectTo(t, url);
  const texts = await drain(channel, queue);
  await connection.close();
  command.process.kill('SIGTERM');
  t.match(await command.ended, { exitCode: 0, stderr: '' });
  return texts;
}

t.test('a write that fails: nothing is confirmed any more, a fatal line, exit code 70', options, async (t) => {
  const dataDir = temporaryFolder(t);
  const { command, url } = await start(t, dataDir, 'writev:EIO');
  const client = await connectTo(t, url);
  await client.publisher.assertQueue('q');
  t.ok(await send(client, 'q', '1'));
  await switchFault(command, 'on');
  let isConfirmed = false;
  void send(client, 'q', '2').then((confirmed) => {
    isConfirmed = confirmed;
  });
  t.match(await command.logged(/leveret stops/), { level: 'fatal', err: { code: 'EIO' }, msg: /messages safe/ });
  t.match(await command.ended, { exitCode: 70, stderr: '' });
  t.notOk(isConfirmed);
  t.equal((await contentsAfterRestart(t, dataDir, 'q'))[0], '1', 'what was confirmed is there');
});

t.test(
  'a full disk: publishers are blocked, consumers go on, and all is well when there is room',
  options,
  async (t) => {
    const dataDir = temporaryFolder(t);
    const { command, url } = await start(t, dataDir, 'writev:ENOSPC');
    const publisher = await connectTo(t, url);
    await publisher.publisher.assertQueue('q');
    t.ok(await send(publisher, 'q', '1'));
    const consumer = await connectTo(t, url);
    await switchFault(command, 'on');
    const confirms = [send(publisher, 'q', '2')];
    t.match(await command.logged(/no room on the disk/), { level: 'warn', err: { code: 'ENOSPC' } });
    const blocked = once(publisher.connection, 'blocked');
    confirms.push(send(publisher, 'q', '3'));
    t.same(await blocked, ['low on disk']);
    const { inbox } = await subscribe(consumer.channel, 'q');
    const messages = await inbox.take(2);
    t.same(messages.map(text), ['1', '2']);
    consumer.channel.ack(messages[0]);
    const unblocked = once(publisher.connection, 'unblocked');
    await switchFault(command, 'off');
    await unblocked;
    t.same(await Promise.all(confirms), [true, true]);
    t.equal(text(await inbox.next()), '3');
    command.process.kill('SIGTERM');
    t.match(await command.ended, { exitCode: 0, stderr: '' });
    t.same(await contentsAfterRestart(t, dataDir, 'q'), ['2', '3']);
  },
);

/** An embedded broker with one confirmed message in queue `q`, and a fault that is still off. */
async function embedded(t: Test, call: FaultyCall, code: string) {
  const dataDir = temporaryFolder(t);
  const fault = new Fault(call, code);
  t.teardown(() => fault.end());
  const broker = await createBroker({ port: 0, dataDir, memoryBudgetBytes: 2 ** 20, segmentSizeBytes: 2 ** 20 });
  const client = await connectTo(t, broker.url);
  await client.publisher.assertQueue('q');
  await send(client, 'q', '1');
  return { dataDir, fault, broker, client };
}

t.test("embedded: a write that fails is the event 'error', and close still ends", options, async (t) => {
  const { dataDir, fault, broker, client } = await embedded(t, 'writev', 'EIO');
  const failed = new Promise<Error>((resolve) => broker.on('error', resolve));
  fault.isOn = true;
  void send(client, 'q', '2');
  t.match(await failed, { code: 'EIO' });
  await broker.close();
  fault.end();
  const next = await createBroker({ port: 0, dataDir });
  const { channel } = await connectTo(t, next.url);
  t.equal((await drain(channel, 'q'))[0], '1');
  await next.close();
});

t.test('embedded: it may fail while pages are written, and close still ends', options, async (t) => {
  const { fault, broker, client } = await embedded(t, 'fdatasync', 'EIO');
  const failed = new Promise<Error>((resolve) => broker.on('error', resolve));
  const body = 'x'.repeat(1000);
  // Many more than memory has room for, so that pages are on their way when the first confirms come.
  const sent = Array.from({ length: 6000 }, () => send(client, 'q', body));
  await sent[1500];
  fault.isOn = true;
  t.match(await failed, { code: 'EIO' });
  await broker.close();
});

t.test('embedded: a page that can not be read is an error, too', options, async (t) => {
  const { fault, broker, client } = await embedded(t, 'read', 'EIO');
  const failed = new Promise<Error>((resolve) => broker.on('error', resolve));
  const body = 'x'.repeat(1000);
  await Promise.all(Array.from({ length: 4000 }, () => send(client, 'q', body)));
  fault.isOn = true;
  // Nothing is answered once it has failed.
  void subscribe(client.channel, 'q').catch(() => undefined);
  t.match(await failed, { code: 'EIO' });
  await broker.close();
});

t.test('embedded: a disk that stays full to the end', options, async (t) => {
  const { dataDir, fault, broker, client } = await embedded(t, 'writev', 'ENOSPC');
  const failed = new Promise<Error>((resolve) => broker.on('error', resolve));
  fault.isOn = true;
  const failure = fault.nextFailure();
  void send(client, 'q', '2');
  await failure;
  await broker.close();
  t.match(await failed, { code: 'ENOSPC' });
  fault.end();
  const next = await createBroker({ port: 0, dataDir });
  const { channel } = await connectTo(t, next.url);
  t.same(await drain(channel, 'q'), ['1']);
  await next.close();
});
