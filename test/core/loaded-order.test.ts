// Pages are read back in any order where they overlap: what is delivered is in order all the same, and what came back to a quorum
// queue goes first.
import t from 'tap';
import { PriorityMessages } from '../../lib/core/priority-messages.ts';
import { type Ready, ReadyMessages } from '../../lib/core/ready-messages.ts';
import { messageOf } from './helper.ts';

const queues: Readonly<Record<string, () => Ready>> = {
  classic: () => new ReadyMessages(),
  priority: () => new PriorityMessages(5),
  quorum: () => new ReadyMessages(0, true),
};

function load(ready: Ready, ...positions: readonly number[]): void {
  ready.addLoaded({ messages: positions.map((position) => messageOf(String(position))), positions });
}

function takeAll(ready: Ready): number[] {
  const taken: number[] = [];
  while (ready.shift() !== undefined) taken.push(ready.position);
  return taken;
}

for (const [type, create] of Object.entries(queues)) {
  t.test(`a ${type} queue reads its pages in another order than its messages have`, async (t) => {
    const ready = create();
    load(ready, 7, 30, 31);
    load(ready, 8, 9);
    load(ready, 12, 40);
    load(ready, 50);
    t.equal(ready.length, 8);
    t.same(takeAll(ready), [7, 8, 9, 12, 30, 31, 40, 50]);
    load(ready, 3, 4);
    t.same(takeAll(ready), [3, 4], 'and once more when it was empty');
    t.equal(ready.levels[0].nextPosition, 51, 'what is new stands behind all of them');
  });
}

t.test('what came back to a quorum queue goes before what is read from disk', async (t) => {
  const ready = queues.quorum();
  load(ready, 20, 21);
  ready.shift();
  ready.giveBack(messageOf('20'), 20);
  load(ready, 5);
  t.same(takeAll(ready), [20, 5, 21]);
});
