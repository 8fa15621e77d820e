// The topic exchange: binding keys are patterns of words between dots (AMQP 0-9-1, section 3.1.3.3). A pattern without
// wildcards is found by the whole routing key, as in a direct exchange; only the others pay for the trie.
import type { Binding, ExchangeType, Routable, Router } from './exchange-type.ts';
import { KeyTable } from './key-table.ts';
import { TopicTrie } from './topic-trie.ts';

/** A word that is `*` or `#`. Within a longer word, both are ordinary characters. */
const WILDCARD = /(?:^|\.)[*#](?:\.|$)/;

class TopicRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = true;
  readonly #exact = new KeyTable<Destination>();
  readonly #patterns = new TopicTrie<Destination>();

  bind(binding: Binding<Destination>): void {
    this.#tableOf(binding).add(binding);
  }

  unbind(binding: Binding<Destination>): void {
    this.#tableOf(binding).remove(binding);
  }

  route(message: Routable, into: Destination[]): void {
    this.#exact.collect(message.routingKey, into);
    if (!this.#patterns.isEmpty) this.#patterns.match(message.routingKey, into);
  }

  #tableOf(binding: Binding<Destination>): KeyTable<Destination> | TopicTrie<Destination> {
    return WILDCARD.test(binding.bindingKey) ? this.#patterns : this.#exact;
  }
}

export const topicExchange: ExchangeType = {
  name: 'topic',
  createRouter<Destination>(): Router<Destination> {
    return new TopicRouter<Destination>();
  },
};
