// The end of a connection: the close handshake from both sides, frames that come too late, peers that go away.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  connectionClose,
  connectionCloseOk,
  frame,
  heartbeat,
  longString,
  method,
  queueDeclare,
  short,
  shortString,
} from '../helper/wire-bytes.ts';
import { WireClient } from '../helper/wire-client.ts';
import { closeByOperator } from '../helper/wire-target.ts';
import { channelTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const mistake = frame(4, 1, 'abc');

async function expectMistake(client: WireClient): Promise<void> {
  const text = 'FRAME_ERROR - type 4, all octets = <<"abc">>: unknown_frame';
  await client.expectCloseUnanswered(501, text, 0, 0);
}

channelTest(target, "the client's connection.close is answered; the client closes the socket", async ({ client }) => {
  client.send(connectionClose());
  await client.expectMethod(0, 10, 51);
  client.end();
  await client.expectEnd();
});

channelTest(target, 'frames after connection.close are ignored', async ({ client }) => {
  client.send(connectionClose(), queueDeclare(1), heartbeat(), mistake);
  await client.expectMethod(0, 10, 51);
  client.end();
  await client.expectEnd();
});

channelTest(target, 'connection.close twice is answered twice', async ({ client }) => {
  client.send(connectionClose(), connectionClose());
  await client.expectMethod(0, 10, 51);
  await client.expectMethod(0, 10, 51);
});

channelTest(target, 'whatever the client gives as reasons for connection.close is taken', async ({ client }) => {
  client.send(method(0, 10, 50, short(65535), shortString('x'.repeat(255)), short(65535), short(65535)));
  await client.expectMethod(0, 10, 51);
});

channelTest(target, 'after connection.close of the broker close-ok ends the connection', async ({ client }) => {
  client.send(mistake);
  await expectMistake(client);
  client.send(connectionCloseOk());
  await client.expectEnd();
});

channelTest(target, 'frames between connection.close and close-ok are ignored, errors as well', async ({ client }) => {
  client.send(mistake, queueDeclare(1), mistake, heartbeat(), heartbeat(1), method(1, 50, 10), queueDeclare(9));
  await expectMistake(client);
  client.send(queueDeclare(1), mistake, connectionCloseOk());
  await client.expectEnd();
});

channelTest(
  target,
  'connection.close from both sides at once: close-ok, and close-ok still awaited',
  async ({ client }) => {
    client.send(mistake, connectionClose());
    await expectMistake(client);
    await client.expectMethod(0, 10, 51);
    client.send(connectionCloseOk());
    await client.expectEnd();
  },
);

channelTest(target, 'a client that goes away instead of sending close-ok', async ({ client }) => {
  client.send(mistake);
  await expectMistake(client);
  client.end();
  await client.expectEnd();
});

channelTest(target, 'a client that goes away without any close', async ({ client }) => {
  client.end();
  await client.expectEnd();
});

channelTest(
  target,
  'connection.update-secret is answered; the built-in users have no secret to check',
  async ({ client }) => {
    client.send(method(0, 10, 70, longString('another'), shortString('expired')));
    await client.expectMethod(0, 10, 71);
  },
);

// Leveret is shut down for this, so it is one of its own, and has no bystander.
t.test('a connection that the operator closes is told: 320 CONNECTION_FORCED', async (t) => {
  const own = await startTarget(t);
  const client = await new WireClient(t, own).open();
  await closeByOperator(own, client, 'because');
  const reason = own.broker ? "broker forced connection closure with reason 'shutdown'" : 'because';
  await client.expectClose(320, `CONNECTION_FORCED - ${reason}`, 0, 0);
});
