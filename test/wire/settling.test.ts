// Acknowledgements with tags that are not there, and modes of a channel that exclude one another: soft errors.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicAck,
  basicGet,
  confirmSelect,
  longLong,
  message,
  method,
  octet,
  queueDeclare,
} from '../helper/wire-bytes.ts';
import type { WireClient } from '../helper/wire-client.ts';
import { channelTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const nack = (tag: bigint | number, bits: number) => method(1, 60, 120, longLong(tag), octet(bits));
const reject = (tag: bigint | number) => method(1, 60, 90, longLong(tag), octet(1));
const txSelect = method(1, 90, 10);
const txCommit = method(1, 90, 20);
const txRollback = method(1, 90, 30);

const UNKNOWN_TAG: [string, Buffer, bigint, number][] = [
  ['ack of an unknown tag', basicAck(1, 7), 7n, 80],
  ['ack of an unknown tag, multiple', basicAck(1, 7, true), 7n, 80],
  ['ack of tag 0', basicAck(1, 0), 0n, 80],
  ['ack of the tag 2^53 + 1', basicAck(1, 2n ** 53n + 1n), 2n ** 53n + 1n, 80],
  ['ack of the tag 2^64 - 1, multiple', basicAck(1, 2n ** 64n - 1n, true), 2n ** 64n - 1n, 80],
  ['nack of an unknown tag', nack(7, 0), 7n, 120],
  ['nack of an unknown tag, multiple', nack(7, 1), 7n, 120],
  ['reject of an unknown tag', reject(7), 7n, 90],
  ['reject of tag 0', reject(0), 0n, 90],
];

for (const [name, sent, tag, methodId] of UNKNOWN_TAG) {
  channelTest(target, `${name}: 406, and the connection goes on`, async ({ client }) => {
    client.send(sent);
    await client.expectChannelClose(1, 406, `PRECONDITION_FAILED - unknown delivery tag ${tag}`, 60, methodId);
    await client.openChannel(1);
  });
}

const NOTHING_TO_SETTLE: [string, Buffer][] = [
  ['ack', basicAck(1, 0, true)],
  ['nack', nack(0, 1)],
];

for (const [name, sent] of NOTHING_TO_SETTLE) {
  channelTest(target, `${name} of everything, tag 0 multiple, is fine when there is nothing`, async ({ client }) => {
    client.send(sent, queueDeclare(1));
    await client.expectMethod(1, 50, 11);
  });
}

/** Gets one message with acknowledgement, tag 1. */
async function getOne(client: WireClient): Promise<void> {
  const queue = await client.declareQueue(1);
  client.send(message(1, 'm', { routingKey: queue }), basicGet(1, queue));
  await client.expectMethod(1, 60, 71);
  await client.nextFrame('a header');
  await client.nextFrame('a body');
}

channelTest(target, 'ack twice: 406', async ({ client }) => {
  await getOne(client);
  client.send(basicAck(1, 1), basicAck(1, 1));
  await client.expectChannelClose(1, 406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80);
});

channelTest(target, 'ack multiple beyond the last tag: 406, though there is something to ack', async ({ client }) => {
  await getOne(client);
  client.send(basicAck(1, 5, true));
  await client.expectChannelClose(1, 406, 'PRECONDITION_FAILED - unknown delivery tag 5', 60, 80);
});

channelTest(target, 'a tag belongs to its channel: 406 on another', async ({ client }) => {
  await getOne(client);
  await client.openChannel(2);
  client.send(basicAck(2, 1));
  await client.expectChannelClose(2, 406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80);
});

channelTest(target, 'ack of an unknown tag in a transaction: 406 at once, not at commit', async ({ client }) => {
  client.send(txSelect, basicAck(1, 7));
  await client.expectMethod(1, 90, 11);
  await client.expectChannelClose(1, 406, 'PRECONDITION_FAILED - unknown delivery tag 7', 60, 80);
});

const MODES: [string, Buffer[], [number, number] | undefined, string, [number, number]][] = [
  ['tx.commit without tx.select', [txCommit], undefined, 'channel is not transactional', [90, 20]],
  ['tx.rollback without tx.select', [txRollback], undefined, 'channel is not transactional', [90, 30]],
  [
    'confirm.select after tx.select',
    [txSelect, confirmSelect(1)],
    [90, 11],
    'cannot switch from tx to confirm mode',
    [85, 10],
  ],
  [
    'tx.select after confirm.select',
    [confirmSelect(1), txSelect],
    [85, 11],
    'cannot switch from confirm to tx mode',
    [90, 10],
  ],
];

for (const [name, sent, answer, text, [classId, methodId]] of MODES) {
  channelTest(target, `${name}: 406`, async ({ client }) => {
    client.send(...sent);
    if (answer) await client.expectMethod(1, ...answer);
    await client.expectChannelClose(1, 406, `PRECONDITION_FAILED - ${text}`, classId, methodId);
  });
}

for (const [name, sent, answer] of [
  ['tx.select', txSelect, [90, 11]],
  ['confirm.select', confirmSelect(1), [85, 11]],
] as const) {
  channelTest(target, `${name} twice is fine`, async ({ client }) => {
    client.send(sent, sent);
    await client.expectMethod(1, answer[0], answer[1]);
    await client.expectMethod(1, answer[0], answer[1]);
  });
}
