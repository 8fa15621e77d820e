// Channels: open, close from both sides, numbers used again, and what happens to frames between close and close-ok.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicAck,
  channelClose,
  channelCloseOk,
  channelOpen,
  connectionClose,
  contentHeader,
  frame,
  long,
  message,
  method,
  octet,
  queueDeclare,
  short,
  shortString,
} from '../helper/wire-bytes.ts';
import type { WireClient } from '../helper/wire-client.ts';
import { channelTest, wireTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const SECOND_OPEN = "CHANNEL_ERROR - second 'channel.open' seen";
const NOT_OPEN = "CHANNEL_ERROR - expected 'channel.open'";

/** Something that the broker answers with a soft error. */
const mistake = basicAck(1, 99);

async function expectMistake(client: WireClient): Promise<void> {
  await client.expectChannelCloseUnanswered(1, 406, 'PRECONDITION_FAILED - unknown delivery tag 99', 60, 80);
}

async function expectWorks(client: WireClient, channel = 1): Promise<void> {
  client.send(queueDeclare(channel));
  await client.expectMethod(channel, 50, 11);
}

channelTest(target, 'channel.open-ok has one argument, an empty long string', async ({ t, client }) => {
  client.send(channelOpen(2));
  t.same(await client.expectMethod(2, 20, 11), long(0));
});

channelTest(target, 'channel.open twice: 504', async ({ client }) => {
  client.send(channelOpen(1));
  await client.expectClose(504, SECOND_OPEN, 20, 10);
});

wireTest(target, 'channel-max counts channels, whatever their numbers', async ({ client }) => {
  await client.open({ channelMax: 2 });
  await client.openChannel(65535);
  await client.openChannel(2048);
  client.send(channelOpen(1));
  const text = 'NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)';
  await client.expectClose(530, text, 0, 0);
});

wireTest(target, 'a channel that was closed does not count for channel-max', async ({ client }) => {
  await client.open({ channelMax: 1 });
  for (const channel of [1, 2, 3]) {
    await client.openChannel(channel);
    client.send(channelClose(channel));
    await client.expectMethod(channel, 20, 41);
  }
});

channelTest(target, "after the client's channel.close the number can be used again", async ({ client }) => {
  client.send(channelClose(1));
  await client.expectMethod(1, 20, 41);
  await client.openChannel(1);
  await expectWorks(client);
});

channelTest(target, "after the client's channel.close the channel is not open: 504", async ({ client }) => {
  client.send(channelClose(1));
  await client.expectMethod(1, 20, 41);
  client.send(queueDeclare(1));
  await client.expectClose(504, NOT_OPEN, 50, 10);
});

channelTest(target, 'a soft error closes its channel, the others and the connection go on', async ({ client }) => {
  await client.openChannel(2);
  client.send(mistake);
  await expectMistake(client);
  await expectWorks(client, 2);
});

channelTest(target, 'methods between channel.close and close-ok are ignored', async ({ client }) => {
  client.send(mistake, queueDeclare(1), mistake, message(1, 'lost', { mandatory: true }), queueDeclare(1));
  await expectMistake(client);
  client.send(queueDeclare(1), channelCloseOk(1));
  await client.openChannel(1);
  await expectWorks(client);
});

channelTest(
  target,
  'channel.close from both sides at once: close-ok, and close-ok still awaited',
  async ({ client }) => {
    client.send(mistake, channelClose(1));
    await expectMistake(client);
    await client.expectMethod(1, 20, 41);
    client.send(channelCloseOk(1));
    await client.openChannel(1);
    await expectWorks(client);
  },
);

channelTest(
  target,
  'the number is not free before close-ok, even after a close-ok of the broker: 504',
  async ({ client }) => {
    client.send(mistake, channelClose(1));
    await expectMistake(client);
    await client.expectMethod(1, 20, 41);
    client.send(channelOpen(1));
    await client.expectClose(504, SECOND_OPEN, 20, 10);
  },
);

const BEFORE_CLOSE_OK: [string, Buffer, number, string, number, number][] = [
  ['channel.open', channelOpen(1), 504, SECOND_OPEN, 20, 10],
  [
    'a header without method',
    contentHeader(1, 0),
    505,
    'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    0,
    0,
  ],
  ['a method that cannot be read', method(1, 50, 10), 501, 'FRAME_ERROR - cannot decode <<>>', 50, 10],
  ['an unknown frame', frame(4, 1, 'abc'), 501, 'FRAME_ERROR - type 4, all octets = <<"abc">>: unknown_frame', 0, 0],
];

for (const [name, sent, code, text, classId, methodId] of BEFORE_CLOSE_OK) {
  channelTest(target, `${name} between channel.close and close-ok is not ignored: ${code}`, async ({ client }) => {
    client.send(mistake);
    await expectMistake(client);
    client.send(sent);
    await client.expectClose(code, text, classId, methodId);
  });
}

const AFTER_CLOSE_OK: [string, Buffer, number, number][] = [
  ['a method', queueDeclare(1), 50, 10],
  ['close-ok once more', channelCloseOk(1), 20, 41],
];

for (const [name, sent, classId, methodId] of AFTER_CLOSE_OK) {
  channelTest(target, `after close-ok the channel is not open, ${name}: 504`, async ({ client }) => {
    client.send(mistake);
    await expectMistake(client);
    client.send(channelCloseOk(1), sent);
    await client.expectClose(504, NOT_OPEN, classId, methodId);
  });
}

channelTest(target, 'connection.close while a channel waits for its close-ok is answered', async ({ client }) => {
  client.send(mistake);
  await expectMistake(client);
  client.send(connectionClose());
  await client.expectMethod(0, 10, 51);
});

channelTest(target, 'whatever the client gives as reasons for channel.close is taken', async ({ client }) => {
  client.send(method(1, 20, 40, short(0), shortString(Buffer.alloc(255, 'x')), short(65535), short(65535)));
  await client.expectMethod(1, 20, 41);
});

channelTest(target, 'channel.flow active=true is answered', async ({ t, client }) => {
  client.send(method(1, 20, 20, octet(1)));
  t.same(await client.expectMethod(1, 20, 21), octet(1));
});
