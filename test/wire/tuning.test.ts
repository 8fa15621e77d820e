// tune-ok and connection.open: limits that are negotiated, virtual hosts, and methods that come too early. Until tune-ok
// errors are silent, as before authentication; from then on they are told.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  bytes,
  channelOpen,
  connectionClose,
  connectionOpen,
  frame,
  frameStart,
  heartbeat,
  long,
  method,
  octet,
  type Piece,
  short,
  shortString,
  startOk,
  type Tuning,
  tuneOk,
} from '../helper/wire-bytes.ts';
import { userWithoutPermissions } from '../helper/wire-target.ts';
import { wireTest } from '../helper/wire-test.ts';

t.jobs = 16;

const stranger = userWithoutPermissions();
const target = await startTarget(t, { handshakeTimeoutMs: 60_000, ...stranger.options });
await stranger.create(t);

const GOOD: [string, Tuning][] = [
  ['the least frame-max, 4096', { frameMax: 4096 }],
  ['one channel', { channelMax: 1 }],
  ['a heartbeat of 65535 s', { heartbeat: 65535 }],
];

for (const [name, tuning] of GOOD) {
  wireTest(target, `tune-ok with ${name} is fine`, async ({ client }) => {
    await client.open(tuning);
    await client.openChannel(1);
  });
}

const BAD: [string, Piece][] = [
  ['tune-ok with frame-max over the limit', tuneOk({ frameMax: 131073 })],
  ['tune-ok with frame-max under 4096', tuneOk({ frameMax: 4095 })],
  ['tune-ok with frame-max 0, no limit, where the broker has one', tuneOk({ frameMax: 0 })],
  ['tune-ok with channel-max over the limit', tuneOk({ channelMax: 2048 })],
  ['tune-ok with channel-max 0, no limit, where the broker has one', tuneOk({ channelMax: 0 })],
  ['tune-ok cut short', method(0, 10, 31, short(2047), long(131072))],
  ['tune-ok with a byte too many', method(0, 10, 31, short(2047), long(131072), short(0), octet(0))],
  ['connection.open before tune-ok', connectionOpen()],
  ['connection.close before tune-ok', connectionClose()],
];

for (const [name, sent] of BAD) {
  wireTest(target, `${name}: the socket is closed without an answer`, async ({ client }) => {
    await client.authenticate();
    client.send(sent);
    await client.expectEnd();
  });
}

const OPENING = 'CHANNEL_ERROR - unexpected method in connection state opening';

const BEFORE_OPEN: [string, Piece, number, string, number, number][] = [
  ['tune-ok twice', tuneOk(), 504, OPENING, 10, 31],
  ['start-ok', startOk(), 504, OPENING, 10, 11],
  ['connection.close', connectionClose(), 504, OPENING, 10, 50],
  ['channel.open on channel 0', channelOpen(0), 504, OPENING, 20, 10],
  ['channel.open', channelOpen(1), 505, 'UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>', 0, 0],
  [
    'a frame with a wrong end',
    frame(1, 0, bytes(short(10), short(40)), 0),
    501,
    'FRAME_ERROR - type 1, all octets = <<0,10,0,40>>: {invalid_frame_end_marker,0}',
    0,
    0,
  ],
  [
    'a frame that is too large',
    frameStart(1, 0, 131073),
    501,
    'FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,131073,131064}',
    0,
    0,
  ],
];

for (const [name, sent, code, text, classId, methodId] of BEFORE_OPEN) {
  wireTest(target, `${name} before connection.open: ${code}`, async ({ client }) => {
    await client.authenticate();
    client.send(tuneOk(), sent);
    await client.expectClose(code, text, classId, methodId);
  });
}

wireTest(target, 'a heartbeat before connection.open does not matter', async ({ client }) => {
  await client.authenticate();
  client.send(tuneOk(), heartbeat(), connectionOpen());
  await client.expectMethod(0, 10, 41);
});

wireTest(target, 'connection.open: what was capabilities and insist in 0-9 is not looked at', async ({ client }) => {
  await client.authenticate();
  client.send(tuneOk(), method(0, 10, 40, shortString('/'), shortString('abc'), octet(1)));
  await client.expectMethod(0, 10, 41);
});

wireTest(target, 'open-ok has one argument, an empty short string', async ({ t, client }) => {
  await client.authenticate();
  client.send(tuneOk(), connectionOpen());
  t.same(await client.expectMethod(0, 10, 41), octet(0));
});

wireTest(target, 'connection.open cut short: the socket is closed without an answer', async ({ client }) => {
  await client.authenticate();
  client.send(tuneOk(), method(0, 10, 40, shortString('/')));
  await client.expectEnd();
});

for (const vhost of ['no-such-vhost', '']) {
  wireTest(target, `connection.open of the unknown vhost '${vhost}': 530`, async ({ client }) => {
    await client.authenticate();
    client.send(tuneOk(), connectionOpen(vhost));
    await client.expectClose(530, `NOT_ALLOWED - vhost ${vhost} not found`, 10, 40);
  });
}

const { name, response } = stranger;

wireTest(target, 'connection.open of a vhost for which the user has no permissions: 530', async ({ client }) => {
  await client.authenticate({ response });
  client.send(tuneOk(), connectionOpen('/'));
  await client.expectClose(530, `NOT_ALLOWED - access to vhost '/' refused for user '${name}'`, 10, 40);
});

wireTest(target, 'an unknown vhost is unknown to a user without permissions, too', async ({ client }) => {
  await client.authenticate({ response });
  client.send(tuneOk(), connectionOpen('no-such-vhost'));
  await client.expectClose(530, 'NOT_ALLOWED - vhost no-such-vhost not found', 10, 40);
});
