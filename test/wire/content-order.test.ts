// Methods with content: method, header, body frames, and every frame that comes where another should (AMQP 0-9-1 section 4.2.6).
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicPublish,
  bytes,
  channelClose,
  channelOpen,
  connectionClose,
  contentBody,
  contentHeader,
  heartbeat,
  queueDeclare,
} from '../helper/wire-bytes.ts';
import { channelTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const publish = basicPublish(1, { mandatory: true });
const NO_METHOD = 'expected method frame, got non method frame instead';
const NO_HEADER = 'expected content header for class 60, got non content header frame instead';
const NO_BODY = 'expected content body, got non content body frame instead';

const WRONG_ORDER: [string, Buffer, string, number, number][] = [
  ['header without method', contentHeader(1, 0), NO_METHOD, 0, 0],
  ['body without method', contentBody(1, 'abc'), NO_METHOD, 0, 0],
  ['header on a channel that is not open', contentHeader(2, 0), NO_METHOD, 0, 0],
  ['body on a channel that is not open', contentBody(2, 'abc'), NO_METHOD, 0, 0],
  ['body instead of header', bytes(publish, contentBody(1, 'abc')), NO_HEADER, 60, 40],
  ['another method instead of header', bytes(publish, queueDeclare(1)), NO_HEADER, 60, 40],
  ['another publish instead of header', bytes(publish, publish), NO_HEADER, 60, 40],
  ['channel.close instead of header', bytes(publish, channelClose(1)), NO_HEADER, 60, 40],
  ['header with a weight', bytes(publish, contentHeader(1, 0, { weight: 1 })), NO_HEADER, 60, 40],
  [
    'header of another class',
    bytes(publish, contentHeader(1, 0, { classId: 50 })),
    'expected content header for class 60, got one for class 50 instead',
    60,
    40,
  ],
  [
    'header of an unknown class',
    bytes(publish, contentHeader(1, 0, { classId: 1234 })),
    'expected content header for class 60, got one for class 1234 instead',
    60,
    40,
  ],
  ['method instead of body', bytes(publish, contentHeader(1, 3), queueDeclare(1)), NO_BODY, 60, 40],
  ['header instead of body', bytes(publish, contentHeader(1, 3), contentHeader(1, 3)), NO_BODY, 60, 40],
  [
    'method instead of the rest of the body',
    bytes(publish, contentHeader(1, 3), contentBody(1, 'a'), queueDeclare(1)),
    NO_BODY,
    60,
    40,
  ],
  [
    'channel.close instead of the rest of the body',
    bytes(publish, contentHeader(1, 3), contentBody(1, 'a'), channelClose(1)),
    NO_BODY,
    60,
    40,
  ],
  [
    'body after a header that promised none',
    bytes(basicPublish(1), contentHeader(1, 0), contentBody(1, 'a')),
    NO_METHOD,
    0,
    0,
  ],
  ['empty body after such a header', bytes(basicPublish(1), contentHeader(1, 0), contentBody(1, '')), NO_METHOD, 0, 0],
  [
    'body of 2^64 - 1 bytes that never comes',
    bytes(publish, contentHeader(1, 2n ** 64n - 1n), contentBody(1, 'a'), queueDeclare(1)),
    NO_BODY,
    60,
    40,
  ],
  // RabbitMQ takes the bytes that are too many without a word, and waits for the rest of a body that can never be whole.
  [
    'body longer than promised, then a method',
    bytes(publish, contentHeader(1, 3), contentBody(1, 'abcd'), queueDeclare(1)),
    NO_BODY,
    60,
    40,
  ],
];

for (const [name, sent, text, classId, methodId] of WRONG_ORDER) {
  channelTest(target, `${name}: 505`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(505, `UNEXPECTED_FRAME - ${text}`, classId, methodId);
  });
}

channelTest(target, 'contents of several channels may come frame by frame in any order', async ({ t, client }) => {
  await client.openChannel(2);
  client.send(publish, basicPublish(2, { mandatory: true }));
  client.send(contentHeader(1, 2), contentBody(1, 'a'), contentHeader(2, 2), contentBody(2, 'zz'));
  await client.expectMethod(2, 60, 50);
  await client.nextFrame('its header');
  t.equal((await client.nextFrame('its body')).payload.toString(), 'zz');
  client.send(contentBody(1, 'b'));
  await client.expectMethod(1, 60, 50);
  await client.nextFrame('its header');
  t.equal((await client.nextFrame('its body')).payload.toString(), 'ab');
});

channelTest(
  target,
  'heartbeats may come within content, and empty body frames within a body',
  async ({ t, client }) => {
    client.send(publish, heartbeat(), contentHeader(1, 3), contentBody(1, ''), heartbeat(), contentBody(1, 'a'));
    client.send(contentBody(1, ''), contentBody(1, 'bc'));
    await client.expectMethod(1, 60, 50);
    await client.nextFrame();
    t.equal((await client.nextFrame()).payload.toString(), 'abc');
  },
);

channelTest(target, 'a channel may be opened and used while another waits for its body', async ({ client }) => {
  client.send(publish, contentHeader(1, 3), channelOpen(2), queueDeclare(2));
  await client.expectMethod(2, 20, 11);
  await client.expectMethod(2, 50, 11);
});

channelTest(target, 'connection.close within content is answered, the message is dropped', async ({ client }) => {
  client.send(publish, contentHeader(1, 3), contentBody(1, 'a'), connectionClose());
  await client.expectMethod(0, 10, 51);
});

channelTest(target, 'a client that goes away within content', async ({ client }) => {
  client.send(publish, contentHeader(1, 3), contentBody(1, 'a'));
  client.end();
  await client.expectEnd();
});
