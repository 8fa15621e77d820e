// Topic patterns as a trie, a word a level: `*` stands for one word, `#` for any number of them, none included.
// Matching walks the key once with the set of nodes that the words so far lead to, so its cost is at most words x nodes
// whatever the patterns. Must not know of exchanges.
import { addToBag, type Bag, collectBag, removeFromBag } from './bag.ts';
import type { Binding } from './exchange-type.ts';

interface TrieNode<D> {
  /** Children by literal word. */
  words: Map<string, TrieNode<D>> | undefined;
  /** The child for `*`. */
  star: TrieNode<D> | undefined;
  /** The child for `#`. */
  hash: TrieNode<D> | undefined;
  /** The bindings whose pattern ends here. */
  bag: Bag<Binding<D>> | undefined;
  /** For a `#` node: the last match that reached it. */
  lastMatch: number;
}

/** The words of a routing key or pattern. The empty key has none; every other has one more than it has dots. */
export function splitWords(key: string): string[] {
  return key === '' ? [] : key.split('.');
}

export class TopicTrie<Destination> {
  readonly #root: TrieNode<Destination> = createNode();
  #matches = 0;

  /** True when no binding is left, nor any node of one. */
  get isEmpty(): boolean {
    return isBare(this.#root);
  }

  /** Adds a binding under its binding key, read as a pattern. */
  add(binding: Binding<Destination>): void {
    let node = this.#root;
    for (const word of splitWords(binding.bindingKey)) node = child(node, word) ?? createChild(node, word);
    node.bag = addToBag(node.bag, binding);
  }

  /** Removes a binding and the nodes that only it needed. */
  remove(binding: Binding<Destination>): void {
    removeBelow(this.#root, splitWords(binding.bindingKey), 0, binding);
  }

  /** Appends the destinations of every pattern that matches the routing key. */
  match(routingKey: string, into: Destination[]): void {
    this.#matches++;
    // A node that is no `#` has one way to it, from its parent a word before, so `exact` never holds one twice. A `#` node
    // that was reached stays reached, for it takes any words: `open` only grows, and `lastMatch` keeps it free of doubles.
    let exact: TrieNode<Destination>[] = [this.#root];
    const open: TrieNode<Destination>[] = [];
    this.#open(this.#root, open);
    for (const word of splitWords(routingKey)) {
      const next: TrieNode<Destination>[] = [];
      for (const node of exact) step(node, word, next);
      for (const node of open) step(node, word, next);
      for (const node of next) this.#open(node, open);
      exact = next;
    }
    collectNodes(exact, into);
    collectNodes(open, into);
  }

  /** Appends the `#` nodes that stand right below a node: they match without another word. */
  #open(node: TrieNode<Destination>, open: TrieNode<Destination>[]): void {
    let hash = node.hash;
    while (hash !== undefined && hash.lastMatch !== this.#matches) {
      hash.lastMatch = this.#matches;
      open.push(hash);
      hash = hash.hash;
    }
  }
}

function createNode<D>(): TrieNode<D> {
  return { words: undefined, star: undefined, hash: undefined, bag: undefined, lastMatch: 0 };
}

function child<D>(node: TrieNode<D>, word: string): TrieNode<D> | undefined {
  if (word === '*') return node.star;
  if (word === '#') return node.hash;
  return node.words?.get(word);
}

function createChild<D>(node: TrieNode<D>, word: string): TrieNode<D> {
  const created = createNode<D>();
  if (word === '*') node.star = created;
  else if (word === '#') node.hash = created;
  else {
    node.words ??= new Map();
    node.words.set(word, created);
  }
  return created;
}

function deleteChild<D>(node: TrieNode<D>, word: string): void {
  if (word === '*') node.star = undefined;
  else if (word === '#') node.hash = undefined;
  else if (node.words !== undefined) {
    node.words.delete(word);
    if (node.words.size === 0) node.words = undefined;
  }
}

/** Follows `words` from the one at `index` to the binding's node; on the way back, drops the nodes left bare. */
function removeBelow<D>(node: TrieNode<D>, words: readonly string[], index: number, binding: Binding<D>): void {
  if (index === words.length) {
    if (node.bag !== undefined) node.bag = removeFromBag(node.bag, binding);
    return;
  }
  const next = child(node, words[index]);
  if (next === undefined) return;
  removeBelow(next, words, index + 1, binding);
  if (isBare(next)) deleteChild(node, words[index]);
}

function isBare(node: TrieNode<unknown>): boolean {
  return node.bag === undefined && node.words === undefined && node.star === undefined && node.hash === undefined;
}

/** Appends the children that one word leads to. */
function step<D>(node: TrieNode<D>, word: string, next: TrieNode<D>[]): void {
  const literal = node.words?.get(word);
  if (literal !== undefined) next.push(literal);
  if (node.star !== undefined) next.push(node.star);
}

function collectNodes<D>(nodes: readonly TrieNode<D>[], into: D[]): void {
  for (const node of nodes) {
    if (node.bag !== undefined) collectBag(node.bag, into);
  }
}
