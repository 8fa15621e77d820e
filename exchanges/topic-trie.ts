// Topic patterns as a trie, a word a level: `*` stands for one word, `#` for any number of them, none included.
// Matching walks the key once with the set of nodes that the words so far lead to, so its cost is at most words x nodes
// whatever the patterns. Must not know of exchanges.
import { addToBag, type Bag, collectBag, removeFromBag } from './bag.ts';
import type { Binding } from './exchange-type.ts';

/** Where some words lead: a node or, when no pattern goes on from here, the bag itself. Most patterns end so, and a node takes 64 bytes. */
type Place<D> = TrieNode<D> | Bag<Binding<D>>;

class TrieNode<D> {
  /** What follows by literal word. */
  words: Map<string, Place<D>> | undefined;
  /** What follows for `*`. */
  star: Place<D> | undefined;
  /** What follows for `#`. */
  hash: HashNode<D> | undefined;
  /** The bindings whose pattern ends here. */
  bag: Bag<Binding<D>> | undefined;

  constructor(bag: Bag<Binding<D>> | undefined) {
    this.words = undefined;
    this.star = undefined;
    this.hash = undefined;
    this.bag = bag;
  }

  get isBare(): boolean {
    return this.bag === undefined && this.words === undefined && this.star === undefined && this.hash === undefined;
  }
}

/** The end of a `#`. */
class HashNode<D> extends TrieNode<D> {
  /** The last match that reached it. */
  lastMatch = 0;
}

/** The words of a routing key or pattern. The empty key has none; every other has one more than it has dots. */
export function splitWords(key: string): string[] {
  return key === '' ? [] : key.split('.');
}

export class TopicTrie<Destination> {
  readonly #root = new TrieNode<Destination>(undefined);
  #matches = 0;

  /** True when no binding is left, nor any node of one. */
  get isEmpty(): boolean {
    return this.#root.isBare;
  }

  /** Adds a binding under its binding key, read as a pattern. */
  add(binding: Binding<Destination>): void {
    const words = splitWords(binding.bindingKey);
    const last = words.pop();
    let node = this.#root;
    for (const word of words) node = nodeBelow(node, word);
    if (last !== undefined) addBelow(node, last, binding);
    else node.bag = addToBag(node.bag, binding);
  }

  /** Removes a binding and the nodes that only it needed. */
  remove(binding: Binding<Destination>): void {
    const words = splitWords(binding.bindingKey);
    const { bag } = this.#root;
    if (words.length > 0) removeBelow(this.#root, words, 0, binding);
    else if (bag !== undefined) this.#root.bag = removeFromBag(bag, binding);
  }

  /** Appends the destinations of every pattern that matches the routing key. */
  match(routingKey: string, into: Destination[]): void {
    this.#matches++;
    // A place that is no end of a `#` has one way to it, from its node a word before, so `exact` never holds one twice. A `#` node
    // that was reached stays reached, for it takes any words: `open` only grows, and `lastMatch` keeps it free of doubles.
    let exact: Place<Destination>[] = [this.#root];
    const open: HashNode<Destination>[] = [];
    this.#open(this.#root, open);
    for (const word of splitWords(routingKey)) {
      const next: Place<Destination>[] = [];
      for (const place of exact) if (place instanceof TrieNode) step(place, word, next);
      for (const node of open) step(node, word, next);
      for (const place of next) if (place instanceof TrieNode) this.#open(place, open);
      exact = next;
    }
    for (const place of exact) collectPlace(place, into);
    for (const node of open) collectPlace(node, into);
  }

  /** Appends the `#` nodes that stand right below a node: they match without another word. */
  #open(node: TrieNode<Destination>, open: HashNode<Destination>[]): void {
    let { hash } = node;
    while (hash !== undefined && hash.lastMatch !== this.#matches) {
      hash.lastMatch = this.#matches;
      open.push(hash);
      hash = hash.hash;
    }
  }
}

function placeBelow<D>(node: TrieNode<D>, word: string): Place<D> | undefined {
  if (word === '*') return node.star;
  if (word === '#') return node.hash;
  return node.words?.get(word);
}

function setPlace<D>(node: TrieNode<D>, word: string, place: Place<D>): void {
  if (word === '*') node.star = place;
  else {
    node.words ??= new Map();
    node.words.set(word, place);
  }
}

/** The node that a word leads to: made when there is none, or there are only bindings. */
function nodeBelow<D>(node: TrieNode<D>, word: string): TrieNode<D> {
  const place = placeBelow(node, word);
  if (place instanceof TrieNode) return place;
  if (word === '#') {
    node.hash = new HashNode<D>(undefined);
    return node.hash;
  }
  const created = new TrieNode<D>(place);
  setPlace(node, word, created);
  return created;
}

/** Adds a binding whose pattern ends with this word. */
function addBelow<D>(node: TrieNode<D>, word: string, binding: Binding<D>): void {
  const place = placeBelow(node, word);
  if (place instanceof TrieNode || word === '#') {
    const end = nodeBelow(node, word);
    end.bag = addToBag(end.bag, binding);
  } else {
    setPlace(node, word, addToBag(place, binding));
  }
}

function deletePlace<D>(node: TrieNode<D>, word: string): void {
  if (word === '*') node.star = undefined;
  else if (word === '#') node.hash = undefined;
  else if (node.words !== undefined) {
    node.words.delete(word);
    if (node.words.size === 0) node.words = undefined;
  }
}

/** Follows `words` from the one at `index` to the binding's place; on the way back, drops the nodes left bare. */
function removeBelow<D>(node: TrieNode<D>, words: readonly string[], index: number, binding: Binding<D>): void {
  const word = words[index];
  const place = placeBelow(node, word);
  if (place === undefined) return;
  const isLast = index === words.length - 1;
  if (place instanceof TrieNode) {
    if (!isLast) removeBelow(place, words, index + 1, binding);
    else if (place.bag !== undefined) place.bag = removeFromBag(place.bag, binding);
    if (place.isBare) deletePlace(node, word);
  } else if (isLast) {
    const rest = removeFromBag(place, binding);
    if (rest === undefined) deletePlace(node, word);
    else setPlace(node, word, rest);
  }
}

/** Appends the places that one word leads to. */
function step<D>(node: TrieNode<D>, word: string, next: Place<D>[]): void {
  const literal = node.words?.get(word);
  if (literal !== undefined) next.push(literal);
  if (node.star !== undefined) next.push(node.star);
}

function collectPlace<D>(place: Place<D>, into: D[]): void {
  const bag = place instanceof TrieNode ? place.bag : place;
  if (bag !== undefined) collectBag(bag, into);
}
