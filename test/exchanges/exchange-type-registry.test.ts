import t from 'tap';
import { builtInExchangeTypes, ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import { topicExchange } from '../../exchanges/topic.ts';

t.test("a registry starts with the types of AMQP 0-9-1 and those of RabbitMQ's plug-ins", async (t) => {
  const registry = new ExchangeTypeRegistry();
  t.same(registry.names().slice(0, 4), ['direct', 'fanout', 'topic', 'headers']);
  const plugins = ['x-consistent-hash', 'x-modulus-hash', 'x-random', 'x-recent-history'];
  t.same(registry.names().slice(4, 8), plugins);
  t.equal(registry.get('topic'), topicExchange);
  t.equal(registry.get('Topic'), undefined);
  t.equal(registry.get('toString'), undefined);
});

t.test('a registry takes types of your own', async (t) => {
  const registry = new ExchangeTypeRegistry([]);
  const type = { ...topicExchange, name: 'x-mine' };
  registry.register(type);
  t.equal(registry.get('x-mine'), type);
  t.same(registry.names(), ['x-mine']);
});

t.test('a registry refuses a name that is taken', async (t) => {
  const registry = new ExchangeTypeRegistry(builtInExchangeTypes);
  t.throws(() => registry.register({ ...topicExchange }), {
    message: "the exchange type 'topic' is registered already",
  });
  t.throws(() => new ExchangeTypeRegistry([topicExchange, topicExchange]), TypeError);
});

t.test('a registry refuses names that cannot be declared', async (t) => {
  const registry = new ExchangeTypeRegistry();
  for (const name of ['', 'a b', 'a\n', 'a\0', 'a'.repeat(256), 'é'.repeat(128)]) {
    t.throws(() => registry.register({ ...topicExchange, name }), TypeError, JSON.stringify(name));
  }
  registry.register({ ...topicExchange, name: 'a'.repeat(255) });
});
