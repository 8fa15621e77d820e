// Frames as such: their ends, types, sizes and the channels that they name (AMQP 0-9-1 section 4.2.3 ff).
// An Erlang term longer than a line is broken over several by RabbitMQ; the payloads here are short, so that texts are whole.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicPublish,
  bytes,
  channelOpen,
  connectionCloseOk,
  contentBody,
  contentHeader,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  frame,
  frameStart,
  heartbeat,
  octet,
  type Piece,
  queueDeclare,
  short,
} from '../helper/wire-bytes.ts';
import { channelTest, wireTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const WRONG_END: [string, Buffer, string][] = [
  ['a heartbeat', frame(FRAME_HEARTBEAT, 0, '', 0xcd), 'type 8, all octets = <<>>: {invalid_frame_end_marker,205}'],
  [
    'a method',
    frame(FRAME_METHOD, 1, bytes(short(90), short(10)), 0),
    'type 1, all octets = <<0,90,0,10>>: {invalid_frame_end_marker,0}',
  ],
  [
    'a body of printable bytes',
    frame(FRAME_BODY, 1, 'a'.repeat(200), 1),
    'type 3, first 16 octets = <<"aaaaaaaaaaaaaaaa">>: {invalid_frame_end_marker,1}',
  ],
  ['a frame of unknown type', frame(99, 7, 'x', 255), 'type 99, all octets = <<"x">>: {invalid_frame_end_marker,255}'],
];

for (const [name, sent, text] of WRONG_END) {
  channelTest(target, `${name} with a wrong frame end: 501`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(501, `FRAME_ERROR - ${text}`, 0, 0);
  });
}

channelTest(target, 'after a wrong frame end nothing more is read, not even close-ok', async ({ client }) => {
  client.send(frame(FRAME_HEARTBEAT, 0, '', 0), connectionCloseOk(), queueDeclare(1));
  const text = 'FRAME_ERROR - type 8, all octets = <<>>: {invalid_frame_end_marker,0}';
  await client.expectCloseUnanswered(501, text, 0, 0);
  await client.expectEnd();
});

// RabbitMQ says the same of a type that it does not know and of a payload that it cannot take apart.
const UNKNOWN_FRAME: [string, Buffer, string][] = [
  ['type 0', frame(0, 1, 'abc'), 'type 0, all octets = <<"abc">>'],
  ['type 4', frame(4, 1, 'abc'), 'type 4, all octets = <<"abc">>'],
  ['type 4 on channel 0', frame(4, 0, 'abc'), 'type 4, all octets = <<"abc">>'],
  ['type 4 on a channel that is not open', frame(4, 9, 'abc'), 'type 4, all octets = <<"abc">>'],
  ['type 255, bytes not printable', frame(255, 1, Buffer.from([0, 127, 97])), 'type 255, all octets = <<0,127,97>>'],
  ['type 4, 17 bytes', frame(4, 1, 'abcdefghijklmnopq'), 'type 4, first 16 octets = <<"abcdefghijklmnop">>'],
  ['type 4, bytes to escape', frame(4, 1, 'a"\\\n\t'), 'type 4, all octets = <<"a\\"\\\\\\n\\t">>'],
  ['heartbeat with a payload', frame(FRAME_HEARTBEAT, 0, 'abc'), 'type 8, all octets = <<"abc">>'],
  ['heartbeat with a payload on channel 1', frame(FRAME_HEARTBEAT, 1, 'abc'), 'type 8, all octets = <<"abc">>'],
  ['empty method frame', frame(FRAME_METHOD, 1, ''), 'type 1, all octets = <<>>'],
  ['empty method frame on channel 0', frame(FRAME_METHOD, 0, ''), 'type 1, all octets = <<>>'],
  ['method frame of three bytes', frame(FRAME_METHOD, 1, 'abc'), 'type 1, all octets = <<"abc">>'],
  ['header frame of three bytes', frame(FRAME_HEADER, 1, 'abc'), 'type 2, all octets = <<"abc">>'],
  ['empty header frame', frame(FRAME_HEADER, 1, ''), 'type 2, all octets = <<>>'],
];

for (const [name, sent, snippet] of UNKNOWN_FRAME) {
  channelTest(target, `unknown frame, ${name}: 501`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(501, `FRAME_ERROR - ${snippet}: unknown_frame`, 0, 0);
  });
}

const UNEXPECTED: [string, Buffer, string][] = [
  ['a heartbeat on an open channel', heartbeat(1), 'type 8, all octets = <<>>'],
  ['a heartbeat on a channel that is not open', heartbeat(9), 'type 8, all octets = <<>>'],
  ['a content header on channel 0', contentHeader(0, 0), 'type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>'],
  ['a content body on channel 0', contentBody(0, 'abc'), 'type 3, all octets = <<"abc">>'],
];

for (const [name, sent, snippet] of UNEXPECTED) {
  channelTest(target, `${name}: 505`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(505, `UNEXPECTED_FRAME - ${snippet}`, 0, 0);
  });
}

// A frame's payload may be frame-max less 8; RabbitMQ forgives the 8 bytes, since quite a few clients count wrong.
for (const size of [4088, 4089, 4096]) {
  wireTest(target, `frame-max 4096: a payload of ${size} is accepted, and never sent`, async ({ t, client }) => {
    await client.open({ frameMax: 4096 });
    await client.openChannel(1);
    const body = Buffer.alloc(size, 'x');
    client.send(basicPublish(1, { mandatory: true }), contentHeader(1, size), contentBody(1, body));
    await client.expectMethod(1, 60, 50);
    const header = await client.nextFrame();
    t.equal(Number(header.payload.readBigUInt64BE(4)), size);
    const first = await client.nextFrame();
    t.equal(first.payload.length, 4088);
    if (size > 4088) t.equal((await client.nextFrame()).payload.length, size - 4088);
  });
}

const TOO_LARGE: [string, Piece, string][] = [
  ['a payload one byte over frame-max', bytes(frameStart(3, 1, 4097), Buffer.alloc(4097), octet(0xce)), '3|4097'],
  ['only the start of such a frame', frameStart(3, 1, 4097), '3|4097'],
  ['the start of a frame of unknown type and 4 GiB', frameStart(99, 1, 0xffffffff), '99|4294967295'],
  ['the start of such a heartbeat', frameStart(8, 0, 1_000_000), '8|1000000'],
];

for (const [name, sent, expected] of TOO_LARGE) {
  const [type, size] = expected.split('|');
  wireTest(target, `frame-max 4096: ${name}: 501 before the payload is read`, async ({ client }) => {
    await client.open({ frameMax: 4096 });
    await client.openChannel(1);
    client.send(sent);
    const text = `FRAME_ERROR - type ${type}, all octets = <<>>: {frame_too_large,${size},4088}`;
    await client.expectClose(501, text, 0, 0);
  });
}

wireTest(target, 'frames that come one byte at a time are frames', async ({ client }) => {
  await client.open();
  for (const byte of bytes(channelOpen(1), queueDeclare(1))) await client.sendAll(octet(byte));
  await client.expectMethod(1, 20, 11);
  await client.expectMethod(1, 50, 11);
});

channelTest(target, 'a client that goes away in the middle of a frame', async ({ client }) => {
  client.send(queueDeclare(1).subarray(0, 12));
  client.end();
  await client.expectEnd();
});
