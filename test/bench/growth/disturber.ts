// Forked by fairness.ts with a URL and a name of what to do: is a client that others should not notice. Tells its parent once it
// does it, and how many messages it has published whenever it is sent anything.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { emptyFieldTable } from '../../../codec/field-table.ts';
import { encodeMethodFrame, PROTOCOL_HEADER } from '../../../codec/frame-writer.ts';
import * as methods from '../../../codec/generated/methods.ts';
import { BenchClient, publishBytes } from '../client.ts';
import { consumeFrame, declareQueue, publishCycle } from './load.ts';

const BODY_BYTES = 1024;

// Where cores are few, the broker and the probe have them first: it is not the machine's fairness that is measured.
setPriority(10);
const [url, disturbance] = [process.argv[2], process.argv[3]];
let published = 0;
process.on('message', () => process.send?.(published));

/** Subscribes and never reads again; answers come unseen, as everything is sent at once. */
async function subscribeUnread(queue: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.pause();
  const login = { clientProperties: emptyFieldTable, mechanism: 'PLAIN', response: '\0guest\0guest', locale: 'en_US' };
  const tune = { channelMax: 2047, frameMax: 131_072, heartbeat: 0 };
  socket.write(
    Buffer.concat([
      PROTOCOL_HEADER,
      encodeMethodFrame(0, { id: methods.CONNECTION_START_OK, ...login }),
      encodeMethodFrame(0, { id: methods.CONNECTION_TUNE_OK, ...tune }),
      encodeMethodFrame(0, { id: methods.CONNECTION_OPEN, virtualHost: '/' }),
      encodeMethodFrame(1, { id: methods.CHANNEL_OPEN }),
      consumeFrame(queue),
    ]),
  );
}

const publisher = await BenchClient.connect(url);
publisher.onFailure = () => process.exit(0);
await declareQueue(publisher, 'busy', false);
const { pieces, messages } = publishCycle([publishBytes('', 'busy', BODY_BYTES)]);
if (disturbance === 'unread') await subscribeUnread('busy');
if (disturbance === 'consumed') {
  const consumer = await BenchClient.connect(url);
  consumer.onFailure = () => process.exit(0);
  await consumer.consume('busy', true);
}
process.send?.('ready');
for (;;) {
  for (const piece of pieces) await publisher.write(piece);
  published += messages;
  // A third of a cycle's worth a millisecond.
  if (disturbance === 'unread') await new Promise((resolve) => setTimeout(resolve, 3));
}
