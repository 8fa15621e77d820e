// Heartbeats, with an interval of 1 s as the client asked for. The broker's own heartbeats are the clock of these tests.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  connectionClose,
  FRAME_HEARTBEAT,
  frame,
  heartbeat,
  octet,
  type Piece,
  queueDeclare,
  tuneOk,
} from '../helper/wire-bytes.ts';
import type { WireClient } from '../helper/wire-client.ts';
import { wireTest } from '../helper/wire-test.ts';

t.jobs = 8;

const target = await startTarget(t, { handshakeTimeoutMs: 60_000 });

// The broker sends one each half interval and cuts a silent client off within three intervals; this many take longer.
const LIFETIME = 8;

/** Answers each heartbeat with one of these; afterwards the client has outlived the timeout. */
async function answer(client: WireClient, answers: Piece[]): Promise<void> {
  for (const piece of answers) {
    const { type, channel, payload } = await client.nextFrame('a heartbeat');
    if (type !== FRAME_HEARTBEAT || channel !== 0 || payload.length > 0) throw new Error('this is no heartbeat');
    client.send(piece);
  }
}

wireTest(target, 'the broker sends heartbeats, and a client that does so too stays', async ({ client }) => {
  await client.open({ heartbeat: 1 });
  await answer(client, Array(LIFETIME).fill(heartbeat()));
});

wireTest(target, 'any byte of a client counts as life, half a frame too', async ({ client }) => {
  await client.open({ heartbeat: 1 });
  const bytes = [...frame(1, 0, Buffer.alloc(LIFETIME))].map(octet);
  await answer(client, bytes.slice(0, LIFETIME));
});

wireTest(target, 'a silent client gets heartbeats until the socket is closed without a word', async ({ t, client }) => {
  await client.open({ heartbeat: 1 });
  const heartbeats = await client.heartbeatsUntilEnd();
  t.ok(heartbeats > 0, `${heartbeats} heartbeats`);
});

wireTest(target, 'heartbeats begin with tune-ok', async ({ client }) => {
  await client.authenticate();
  client.send(tuneOk({ heartbeat: 1 }));
  const heartbeats = await client.heartbeatsUntilEnd();
  t.ok(heartbeats > 0, `${heartbeats} heartbeats`);
});

wireTest(target, 'a client that never answers connection.close is cut off after the interval', async ({ client }) => {
  await client.open({ heartbeat: 1 });
  client.send(queueDeclare(1));
  await client.expectCloseUnanswered(504, "CHANNEL_ERROR - expected 'channel.open'", 50, 10);
  await client.heartbeatsUntilEnd();
});

wireTest(target, 'a client that never closes the socket after close-ok is cut off, too', async ({ client }) => {
  await client.open({ heartbeat: 1 });
  client.send(connectionClose());
  await client.expectMethod(0, 10, 51);
  await client.heartbeatsUntilEnd();
});
