// The command, killed with SIGKILL while it works: what it confirmed is there, in every mode of syncing.
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { FSYNC_MODES } from '../../lib/config-options.ts';
import { type Command, startCommand } from '../bin/command.ts';
import { againstPeer } from '../helper/broker.ts';
import { connectTo, flush, temporaryFolder } from '../helper/durable-broker.ts';
import { call, present, readyCount, subscribe, text } from '../helper/messages.ts';

const options = { skip: againstPeer && 'a peer is not killed by a test' };

async function start(t: Test, dataDir: string, ...args: string[]): Promise<{ command: Command; url: string }> {
  const command = startCommand(t, ['--port', '0', '--data-dir', dataDir, ...args]);
  const { port } = await command.logged(/ ready on /);
  return { command, url: `amqp://guest:guest@127.0.0.1:${port}` };
}

async function kill({ process }: Command): Promise<void> {
  process.kill('SIGKILL');
  await once(process, 'exit');
}

for (const mode of FSYNC_MODES) {
  t.test(`--fsync ${mode}: what was confirmed survives a kill in the middle of publishing`, options, async (t) => {
    const dataDir = temporaryFolder(t);
    const flags = ['--fsync', mode, '--segment-size-bytes', '1MiB', '--memory-budget-bytes', '1MiB'];
    const { command, url } = await start(t, dataDir, ...flags);
    const { publisher } = await connectTo(t, url);
    await publisher.assertQueue('q');
    const confirmed = new Set<number>();
    const enough = new Promise<void>((resolve) => {
      for (let i = 0; i < 20_000; i++) {
        const body = Buffer.from(`${i} ${'x'.repeat(500)}`);
        publisher.sendToQueue('q', body, { persistent: true }, (error) => {
          if (error === null) confirmed.add(i);
          if (confirmed.size === 4000) resolve();
        });
      }
    });
    await enough;
    await kill(command);
    const { channel } = await connectTo(t, (await start(t, dataDir, ...flags)).url);
    const count = await readyCount(channel, 'q');
    t.ok(count >= confirmed.size, `${confirmed.size} were confirmed, ${count} are there`);
    const { inbox } = await subscribe(channel, 'q', { noAck: true });
    const numbers = (await inbox.take(count)).map((message) => Number.parseInt(text(message), 10));
    t.ok(
      numbers.every((number, i) => i === 0 || number > numbers[i - 1]),
      'in order, each once',
    );
    const there = new Set(numbers);
    t.same(
      [...confirmed].filter((number) => !there.has(number)),
      [],
      'none of the confirmed ones is missing',
    );
  });
}

t.test('killed again and again: acknowledgements, redelivered marks and transactions hold', options, async (t) => {
  const dataDir = temporaryFolder(t);
  for (let life = 0; life < 3; life++) {
    const { command, url } = await start(t, dataDir);
    const { channel, publisher, connection } = await connectTo(t, url);
    await publisher.assertExchange('e', 'topic', { alternateExchange: 'amq.fanout' });
    await publisher.assertQueue('q', { maxLength: 100 });
    await publisher.bindQueue('q', 'e', `life.${life}.#`);
    if (life > 0) {
      // The one that was held, and the one that nobody had touched.
      const messages = [present(await channel.get('q')), present(await channel.get('q'))];
      t.same(
        messages.map((message) => [text(message), message.fields.redelivered]),
        [
          [`held in ${life - 1}`, true],
          // Nobody had it, but after a kill nobody knows.
          [`left in ${life - 1}`, true],
        ],
      );
      for (const message of messages) channel.ack(message);
      publisher.publish('e', `life.${life - 1}.old`, Buffer.from('by a binding of before'), { persistent: true });
      await publisher.waitForConfirms();
      channel.ack(present(await channel.get('q')));
    }
    t.equal(await readyCount(channel, 'q'), 0);
    for (const body of ['acknowledged', 'held', 'left']) {
      publisher.publish('e', `life.${life}.x`, Buffer.from(`${body} in ${life}`), { persistent: true });
    }
    await publisher.waitForConfirms();
    channel.ack(present(await channel.get('q')));
    present(await channel.get('q'));
    const transaction = await connection.createChannel();
    await call(transaction, 'TxSelect');
    transaction.sendToQueue('q', Buffer.from('never committed'), { persistent: true });
    await flush(channel);
    await kill(command);
  }
});

t.test('an end by SIGTERM leaves nothing to repair', options, async (t) => {
  const dataDir = temporaryFolder(t);
  const { command, url } = await start(t, dataDir, '--fsync', 'never');
  const { publisher, channel } = await connectTo(t, url);
  await publisher.assertQueue('q');
  for (let i = 0; i < 100; i++) publisher.sendToQueue('q', Buffer.from(`${i}`), { persistent: true });
  await publisher.waitForConfirms();
  // Nobody waits for this to be written.
  channel.ack(present(await channel.get('q')));
  await readyCount(channel, 'q');
  command.process.kill('SIGTERM');
  t.match(await command.ended, { exitCode: 0, stderr: '' });
  const again = await start(t, dataDir);
  const later = await connectTo(t, again.url);
  t.equal(await readyCount(later.channel, 'q'), 99);
  again.command.process.kill('SIGTERM');
  const { stdout } = await again.command.ended;
  t.notMatch(stdout, /removed/, 'no record was cut short');
});
