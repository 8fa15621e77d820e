// Where dead letters go, in which order, and what is told of them.
import t, { type Test } from 'tap';
import { type BasicProperties, decodeProperties } from '../../codec/properties.ts';
import { DeadLetterer } from '../../lib/core/dead-letterer.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import type { Confirmation, Queue } from '../../lib/core/queue.ts';
import type { VirtualHost } from '../../lib/core/virtual-host.ts';
import { typedFields } from '../helper/dead-letter.ts';
import { bodyText, consumerOf, defect, Inbox, messageOf, ownerOf, queueSettings, TestClock, table } from './helper.ts';
import { bindingTo, createVirtualHost, exchangeSettings } from './virtual-host-helper.ts';

const owner = ownerOf();
const limit = (value: number) => ({ type: 'I', value }) as const;

class Office {
  readonly clock = new TestClock();
  readonly memory = new MemoryAccount(2 ** 40, 2 ** 40);
  readonly host: VirtualHost = createVirtualHost({ clock: this.clock, memory: this.memory });
  readonly letters = new DeadLetterer(this.host, this.clock, defect);

  queue(name: string, args: Parameters<typeof table>[0] = {}): Queue {
    return this.host.declareQueue(queueSettings({ name, arguments: table(args) }));
  }

  exchange(name: string, type: string, queues: readonly string[] = [], key = ''): void {
    this.host.declareExchange(exchangeSettings({ name, type }));
    for (const queue of queues) this.host.bind(bindingTo(name, 'queue', queue, key), owner);
  }
}

/** The messages that wait in a queue, which has none afterwards. */
function drain(queue: Queue): Message[] {
  const messages: Message[] = [];
  for (let done = false; !done; ) {
    queue.get(true, (delivery) => {
      if (delivery === null) done = true;
      else messages.push(delivery.message);
    });
  }
  return messages;
}

function propertiesOf({ propertiesBuffer, propertiesStart, propertiesEnd }: Message): BasicProperties {
  return decodeProperties(propertiesBuffer, propertiesStart, propertiesEnd);
}

function only(t: Test, messages: readonly Message[]): Message {
  t.equal(messages.length, 1);
  return messages[0];
}

t.test('the dead letter: the same body, its own properties and route', async (t) => {
  const office = new Office();
  const target = office.queue('dead');
  const queue = office.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
  const properties = { contentType: 'c', deliveryMode: 2, expiration: '5', messageId: 'm', headers: table({ a: 'b' }) };
  const message = messageOf('body', { exchange: 'x', routingKey: 'k', properties });
  message.persistent = true;
  message.expiresAtMs = 5;
  office.letters.deadLetter(queue, message, 'expired', null);
  const letter = only(t, drain(target));
  t.equal(letter.bodyBuffer, message.bodyBuffer);
  t.equal(bodyText(letter), 'body');
  t.equal(letter.persistent, true);
  t.equal(letter.expiresAtMs, 0);
  t.equal(letter.exchange, '');
  t.equal(letter.routingKey, 'dead');
  const { headers = table(), ...others } = propertiesOf(letter);
  t.same(others, { contentType: 'c', deliveryMode: 2, messageId: 'm' });
  const time = office.clock.epochMs() / 1000;
  const death = `reason: S expired, queue: S q, time: T ${time}, exchange: S x, routing-keys: [S k], original-expiration: S 5`;
  t.same(typedFields(headers).slice(0, 2), ['a: S b', `x-death: [{count: l 1, ${death}}]`]);
  t.same(propertiesOf(message), properties, 'the message itself is as it was');
});

t.test('a dead letter is as persistent as it says, whatever its queue made of it', async (t) => {
  const office = new Office();
  const target = office.queue('dead');
  const queue = office.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
  const message = messageOf('', { properties: { deliveryMode: 1 } });
  message.persistent = true; // as quorum queues do
  office.letters.deadLetter(queue, message, 'rejected', null);
  t.equal(only(t, drain(target)).persistent, false);
});

t.test('without a key of its own it keeps those of the message, CC included', async (t) => {
  const office = new Office();
  const targets = ['k', 'c1', 'other'].map((name) => office.queue(name));
  const kept = office.queue('kept', { 'x-dead-letter-exchange': '' });
  const keyed = office.queue('keyed', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'other' });
  const CC = { type: 'A', value: [{ type: 'S', value: 'c1' }] } as const;
  const message = messageOf('', { exchange: 'x', routingKey: 'k', properties: { headers: table({ CC }) } });
  office.letters.deadLetter(kept, message, 'rejected', null);
  t.same(
    targets.map((queue) => drain(queue).map((letter) => [letter.routingKey, propertiesOf(letter).headers?.has('CC')])),
    [[['k', true]], [['k', true]], []],
  );
  office.letters.deadLetter(keyed, message, 'rejected', null);
  t.same(
    targets.map((queue) => drain(queue).map((letter) => [letter.routingKey, propertiesOf(letter).headers?.has('CC')])),
    [[], [], [['other', false]]],
  );
});

t.test('an exchange that is not there drops them until it is', async (t) => {
  const office = new Office();
  const target = office.queue('dead');
  const queue = office.queue('q', { 'x-dead-letter-exchange': 'later' });
  const settled: boolean[] = [];
  const publish = (): void => office.letters.deadLetter(queue, messageOf(''), 'rejected', (it) => settled.push(it));
  publish();
  office.exchange('later', 'fanout', ['dead']);
  publish();
  t.same(settled, [false, true]);
  t.equal(target.messageCount, 1);
});

t.test('names that are too long lead nowhere', async (t) => {
  const office = new Office();
  office.exchange('all', 'fanout', [office.queue('dead').name]);
  const long = 'k'.repeat(256);
  const queues = [
    office.queue('a', { 'x-dead-letter-exchange': long }),
    office.queue('b', { 'x-dead-letter-exchange': 'all', 'x-dead-letter-routing-key': long }),
  ];
  const settled: boolean[] = [];
  for (const queue of queues) office.letters.deadLetter(queue, messageOf(''), 'maxlen', (it) => settled.push(it));
  t.same(settled, [false, false]);
});

t.test('an exchange that looks at headers sees those of the dead letter', async (t) => {
  const office = new Office();
  const target = office.queue('dead');
  office.exchange('x', 'headers');
  const args = table({ 'x-match': 'any-with-x', 'x-first-death-reason': 'maxlen' });
  office.host.bind({ ...bindingTo('x', 'queue', 'dead'), arguments: args }, owner);
  const queue = office.queue('q', { 'x-dead-letter-exchange': 'x' });
  for (const reason of ['maxlen', 'rejected'] as const) office.letters.deadLetter(queue, messageOf(''), reason, null);
  t.equal(target.messageCount, 1);
});

t.test('a client that waits for a reply gets it', async (t) => {
  const office = new Office();
  const inbox = new Inbox();
  const address = office.host.openReplyQueue(consumerOf(inbox, { noAck: true })).name;
  const named = office.queue('named', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': address });
  const copied = office.queue('copied', { 'x-dead-letter-exchange': '' });
  const CC = { type: 'A', value: [{ type: 'S', value: address }] } as const;
  const settled: boolean[] = [];
  office.letters.deadLetter(named, messageOf('a'), 'rejected', (it) => settled.push(it));
  const message = messageOf('b', { routingKey: 'nobody', properties: { headers: table({ CC }) } });
  office.letters.deadLetter(copied, message, 'rejected', (it) => settled.push(it));
  t.same(inbox.texts, ['a', 'b']);
  t.same(settled, [true, true]);
});

t.test('only the queues where it would go in circles are left out', async (t) => {
  const office = new Office();
  const queue = office.queue('q', { 'x-dead-letter-exchange': 'x' });
  const other = office.queue('other');
  office.exchange('x', 'fanout', ['q', 'other']);
  const settled: boolean[] = [];
  office.letters.deadLetter(queue, messageOf(''), 'expired', (it) => settled.push(it));
  t.same([queue.messageCount, other.messageCount], [0, 1]);
  office.letters.deadLetter(queue, messageOf(''), 'rejected', (it) => settled.push(it));
  t.same([queue.messageCount, other.messageCount], [1, 2]);
  t.same(settled, [true, true]);
});

t.test('a cycle reaches nobody', async (t) => {
  const office = new Office();
  const queue = office.queue('q', { 'x-dead-letter-exchange': '' });
  const settled: boolean[] = [];
  office.letters.deadLetter(queue, messageOf(''), 'expired', (it) => settled.push(it));
  t.same(settled, [false]);
  t.equal(queue.messageCount, 0);
});

t.test('it is told when all queues have it, once, and whether one refused', async (t) => {
  const office = new Office();
  const queue = office.queue('q', { 'x-dead-letter-exchange': 'x' });
  const waiting: Confirmation[] = [];
  for (const name of ['a', 'b']) {
    const target = office.queue(name);
    target.publish = (_message, confirmation) => void (confirmation !== null && waiting.push(confirmation));
  }
  office.exchange('x', 'fanout', ['a', 'b']);
  for (const answers of [
    [true, true],
    [true, false],
    [false, true],
  ]) {
    const settled: boolean[] = [];
    office.letters.deadLetter(queue, messageOf(''), 'rejected', (it) => settled.push(it));
    for (const answer of answers) {
      t.same(settled, []);
      waiting.shift()?.settled(answer);
    }
    t.same(settled, [answers.every((answer) => answer)]);
  }
  office.letters.deadLetter(queue, messageOf(''), 'rejected', null);
  t.equal(waiting.length, 0, 'nobody is asked when nobody cares');
});

t.test('a full queue that refuses', async (t) => {
  const office = new Office();
  const target = office.queue('dead', { 'x-max-length': limit(1), 'x-overflow': 'reject-publish' });
  const queue = office.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
  const settled: boolean[] = [];
  for (let i = 0; i < 2; i++) office.letters.deadLetter(queue, messageOf(''), 'rejected', (it) => settled.push(it));
  t.same(settled, [true, false]);
  t.equal(target.messageCount, 1);
});

/** Queues that dead-letter to the next one, `q0` to `q<length>`; the last one has room for all. */
function chain(office: Office, length: number, maxLength: number): { first: Queue; last: Queue } {
  const last = office.queue(`q${length}`);
  let first = last;
  for (let i = length - 1; i >= 0; i--) {
    const next = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': `q${i + 1}` };
    first = office.queue(`q${i}`, { ...next, 'x-max-length': limit(maxLength) });
  }
  return { first, last };
}

t.test('a long chain of full queues, each of which makes room, is no chain of calls', async (t) => {
  const office = new Office();
  const length = 10_000;
  const { first, last } = chain(office, length, 1);
  for (let i = 0; i < length; i++) office.host.queues.get(`q${i}`)?.publish(messageOf(String(i)), null);
  t.equal(last.messageCount, 0);
  first.publish(messageOf('new'), null);
  for (let turns = 0; turns < 100 && last.messageCount === 0; turns++) office.clock.endTurn();
  t.equal(bodyText(only(t, drain(last))), String(length - 1));
  for (const [queue, text] of [
    ['q0', 'new'],
    ['q1', '0'],
    [`q${length - 1}`, String(length - 2)],
  ]) {
    const messages = drain(office.host.queues.get(queue) ?? last);
    t.equal(bodyText(only(t, messages)), text);
  }
});

t.test('a message goes through queues without room in one go', async (t) => {
  const office = new Office();
  const { first, last } = chain(office, 40, 0);
  first.publish(messageOf('short way'), null);
  t.equal(bodyText(only(t, drain(last))), 'short way');
});

t.test('a long way takes several turns, and the message is in one of the queues all the time', async (t) => {
  const office = new Office();
  const { first, last } = chain(office, 100, 0);
  first.publish(messageOf('long way'), null);
  let turns = 0;
  for (; last.messageCount === 0 && turns < 100; turns++) {
    t.ok(office.memory.usedBytes > 0, 'it is held');
    office.clock.endTurn();
  }
  t.ok(turns > 1 && turns < 80, `${turns} turns`);
  const letter = only(t, drain(last));
  t.equal(bodyText(letter), 'long way');
  const deaths = propertiesOf(letter).headers?.get('x-death');
  t.equal(deaths?.type === 'A' && deaths.value.length, 100);
});

t.test('those that leave because of a dead letter follow it in the same go, in their order', async (t) => {
  const office = new Office();
  const { letters } = office;
  const told: string[] = [];
  const dead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'target' };
  const queue = office.queue('q', dead);
  const target = office.queue('target', dead);
  target.publish = (message) => {
    const text = bodyText(message);
    told.push(text);
    if (text !== 'a') return;
    for (const next of ['b', 'c']) letters.deadLetter(queue, messageOf(next), 'maxlen', () => undefined);
    told.push('after a');
  };
  letters.deadLetter(queue, messageOf('a'), 'maxlen', null);
  t.same(told, ['a', 'after a', 'b', 'c']);
});

t.test('a defect is one of that dead letter alone', async (t) => {
  const office = new Office();
  const defects: unknown[] = [];
  const letters = new DeadLetterer(office.host, office.clock, (error) => defects.push(error));
  const queue = office.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'target' });
  const target = office.queue('target');
  const { publish } = target;
  target.publish = () => {
    target.publish = publish;
    letters.deadLetter(queue, messageOf('next'), 'maxlen', null);
    throw new Error('a defect');
  };
  letters.deadLetter(queue, messageOf('first'), 'maxlen', () => t.fail('nobody knows who has it'));
  t.match(defects, [{ message: 'a defect' }]);
  t.equal(bodyText(only(t, drain(target))), 'next');
  letters.deadLetter(queue, messageOf('later'), 'maxlen', null);
  t.equal(bodyText(only(t, drain(target))), 'later');
});
