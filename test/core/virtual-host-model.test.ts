// Any change of the topology, compared with a naive model: what exists, and where messages go after each change.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { BindingRequest } from '../../lib/core/binding.ts';
import type { Message } from '../../lib/core/message.ts';
import type { VirtualHost } from '../../lib/core/virtual-host.ts';
import {
  brokerError,
  messageOf,
  ownerOf,
  queueSettings,
  routeOf,
  type Step,
  sequenceOf,
  stepsOf,
  table,
} from './helper.ts';
import { createVirtualHost, exchangeSettings, publish } from './virtual-host-helper.ts';
import { type ModelExchange, VirtualHostModel } from './virtual-host-model.ts';

const EXCHANGES = ['x', 'y', 'z'];
const QUEUES = ['p', 'q'];
const KEYS = ['p', 'q', 'p.q'];
const TYPES = ['direct', 'fanout', 'topic', 'headers'];
const HEADERS = [table(), table({ h: '1' })];

const PREDECLARED: readonly ModelExchange[] = TYPES.map((type) => {
  return { name: `amq.${type}`, type, autoDelete: false, alternate: undefined };
});

/** A message of every exchange, key and header. */
function allMessages(host: VirtualHost): Message[] {
  return ['', 'amq.topic', 'amq.headers', ...EXCHANGES].flatMap((exchange) =>
    KEYS.flatMap((routingKey) => {
      const { bytes } = routeOf(exchange, routingKey);
      const route = host.findRoute(bytes, 0, bytes.length);
      return HEADERS.map((headers) => messageOf('', { route, properties: { headers } }));
    }),
  );
}

class Checked {
  readonly host: VirtualHost = createVirtualHost();
  readonly model = new VirtualHostModel();
  /** Made once: their routes outlive every change of the topology, as that of a publisher's last message. */
  readonly #messages = allMessages(this.host);
  readonly #owner = ownerOf();

  constructor() {
    for (const exchange of PREDECLARED) this.model.exchanges.set(exchange.name, exchange);
  }

  declareExchange(wanted: ModelExchange): void {
    const { name, type, autoDelete, alternate } = wanted;
    const args = alternate === undefined ? table() : table({ 'alternate-exchange': alternate });
    const declare = () => this.host.declareExchange(exchangeSettings({ name, type, autoDelete, arguments: args }));
    const current = this.model.exchanges.get(name);
    if (current !== undefined && JSON.stringify(current) !== JSON.stringify(wanted)) {
      assert.equal(brokerError(declare).condition, 'PRECONDITION_FAILED');
      return;
    }
    this.model.exchanges.set(name, wanted);
    assert.equal(declare().name, name);
  }

  deleteExchange(name: string, ifUnused: boolean): void {
    if (ifUnused && this.model.bindings.some(({ source }) => source === name)) {
      assert.equal(brokerError(() => this.host.deleteExchange(name, true)).condition, 'PRECONDITION_FAILED');
      return;
    }
    this.host.deleteExchange(name, ifUnused);
    this.model.deleteExchange(name);
  }

  declareQueue(name: string, exclusive: boolean): void {
    if (this.model.queues.has(name)) return;
    this.host.declareQueue(queueSettings({ name, owner: exclusive ? this.#owner : null }));
    this.model.queues.add(name);
  }

  deleteQueue(name: string): void {
    this.host.deleteQueue(name, { ifUnused: false, ifEmpty: false }, this.#owner);
    this.model.deleteQueue(name);
  }

  endOwner(): void {
    for (const queue of this.#owner.ownedQueues) this.model.deleteQueue(queue.name);
    this.host.deleteOwnedQueues(this.#owner);
  }

  bind(request: BindingRequest): void {
    const { exchanges, queues } = this.model;
    const ends = request.destinationKind === 'queue' ? queues : exchanges;
    if (!exchanges.has(request.source) || !ends.has(request.destination)) {
      assert.equal(brokerError(() => this.host.bind(request, this.#owner)).condition, 'NOT_FOUND');
      return;
    }
    this.host.bind(request, this.#owner);
    this.model.bind(request);
  }

  unbind(request: BindingRequest): void {
    this.host.unbind(request, this.#owner);
    this.model.unbind(request);
  }

  /** Removes one of the bindings that there are. */
  unbindSome(choice: number): void {
    const { bindings } = this.model;
    if (bindings.length > 0) this.unbind(bindings[choice % bindings.length]);
  }

  checkTopology(): void {
    const { host, model } = this;
    assert.deepEqual(new Set(host.queues.keys()), model.queues);
    const others = ['', 'amq.match', 'amq.rabbitmq.trace'];
    assert.deepEqual(new Set(host.exchanges.keys()), new Set([...model.exchanges.keys(), ...others]));
    for (const exchange of host.exchanges.values()) {
      const { name } = exchange;
      assert.equal(exchange.outgoing.size, model.bindings.filter(({ source }) => source === name).length);
      assert.equal(exchange.bindings.size, this.#countBindingsTo('exchange', name));
    }
    for (const { name, bindings } of host.queues.values()) {
      assert.equal(bindings.size, this.#countBindingsTo('queue', name));
    }
  }

  checkRoutes(): void {
    for (const message of [...this.#messages, ...allMessages(this.host)]) {
      const { exchange, routingKey } = message;
      const expected = this.model.route(exchange, routingKey, HEADERS[message.headers?.size ?? 0]);
      if (expected === undefined) {
        assert.equal(brokerError(() => this.host.route(message, [])).condition, 'NOT_FOUND');
        continue;
      }
      const queues = this.host.route(message, []);
      assert.deepEqual(queues.map(({ name }) => name).sort(), expected);
      assert.ok(
        queues.every((queue) => this.host.queues.get(queue.name) === queue),
        'the queue that is there now',
      );
    }
  }

  #countBindingsTo(kind: 'queue' | 'exchange', name: string): number {
    return this.model.bindings.filter((each) => each.destinationKind === kind && each.destination === name).length;
  }
}

const stepOf = stepsOf<Checked>();
const exchange = fc.constantFrom(...EXCHANGES);
const queue = fc.constantFrom(...QUEUES);
const plainSettings = fc.record({
  name: exchange,
  type: fc.constantFrom(...TYPES),
  autoDelete: fc.boolean(),
  alternate: fc.constant(undefined),
});
const settings: fc.Arbitrary<ModelExchange> = fc
  .tuple(plainSettings, fc.option(exchange, { nil: undefined }))
  .map(([plain, alternate]) => ({ ...plain, alternate }));
const request: fc.Arbitrary<BindingRequest> = fc
  .record({
    source: fc.oneof({ weight: 5, arbitrary: exchange }, fc.constantFrom('amq.topic', 'amq.headers')),
    end: fc.oneof(
      fc.record({ destinationKind: fc.constant('queue' as const), destination: queue }),
      fc.record({ destinationKind: fc.constant('exchange' as const), destination: exchange }),
    ),
    bindingKey: fc.constantFrom(...KEYS, '#', 'p.*'),
    arguments: fc.constantFrom(...HEADERS),
  })
  .map(({ end, ...rest }) => ({ ...rest, ...end }));

const declareQueue = fc.tuple(queue, fc.boolean());
const deleteExchange = fc.tuple(exchange, fc.boolean());
const stepWithout: fc.Arbitrary<Step<Checked>> = fc.oneof(
  { weight: 3, arbitrary: stepOf('declare queue', declareQueue, (checked, wanted) => checked.declareQueue(...wanted)) },
  { weight: 9, arbitrary: stepOf('bind', request, (checked, each) => checked.bind(each)) },
  { weight: 1, arbitrary: stepOf('unbind', request, (checked, each) => checked.unbind(each)) },
  { weight: 2, arbitrary: stepOf('unbind some', fc.nat(), (checked, choice) => checked.unbindSome(choice)) },
  { weight: 1, arbitrary: stepOf('delete queue', queue, (checked, name) => checked.deleteQueue(name)) },
  {
    weight: 1,
    arbitrary: stepOf('delete exchange', deleteExchange, (checked, what) => checked.deleteExchange(...what)),
  },
  { weight: 1, arbitrary: stepOf('end owner', fc.constant(null), (checked) => checked.endOwner()) },
);

/** Any step, with exchanges of these settings. */
function stepWith(wanted: fc.Arbitrary<ModelExchange>): fc.Arbitrary<Step<Checked>> {
  const declare = stepOf('declare exchange', wanted, (checked, each) => checked.declareExchange(each));
  return fc.oneof({ weight: 4, arbitrary: declare }, { weight: 19, arbitrary: stepWithout });
}

function checkSteps(step: fc.Arbitrary<Step<Checked>>): void {
  fc.assert(
    fc.property(sequenceOf(step), (steps) => {
      const checked = new Checked();
      for (const each of steps) {
        each(checked);
        checked.checkTopology();
        checked.checkRoutes();
      }
    }),
    { numRuns: 200 },
  );
}

t.test('exchanges, queues and bindings are those of the model, and no route is stale, after any change', async () => {
  checkSteps(stepWith(settings));
});

t.test('so they are without alternate exchanges, where a change drops the routes of its exchange alone', async () => {
  checkSteps(stepWith(plainSettings));
});

t.test('auto-delete exchanges go one after the other when what they lead to goes', async (t) => {
  const checked = new Checked();
  const { host } = checked;
  for (const name of EXCHANGES) {
    checked.declareExchange({ name, type: 'fanout', autoDelete: true, alternate: undefined });
  }
  const base = { bindingKey: '', arguments: table() };
  checked.declareQueue('q', false);
  checked.bind({ ...base, source: 'x', destinationKind: 'exchange', destination: 'y' });
  checked.bind({ ...base, source: 'y', destinationKind: 'exchange', destination: 'z' });
  checked.bind({ ...base, source: 'z', destinationKind: 'queue', destination: 'q' });
  t.same(publish(host, 'x', ''), ['q']);
  checked.deleteQueue('q');
  checked.checkTopology();
  t.notOk(EXCHANGES.some((name) => host.exchanges.has(name)));
});

t.test('a queue of the same name is another queue', async (t) => {
  const checked = new Checked();
  checked.declareQueue('q', false);
  const message = messageOf('', { exchange: '', routingKey: 'q' });
  const [before] = checked.host.route(message, []);
  checked.deleteQueue('q');
  checked.declareQueue('q', false);
  const [after] = checked.host.route(message, []);
  t.not(after, before);
  t.equal(after, checked.host.queues.get('q'));
});
