// An exchange: its declaration, its routing table, and the bindings that start and end at it.
import type { FieldTable } from '../../codec/field-table.ts';
import type { ExchangeType, Router } from '../../exchanges/exchange-type.ts';
import type { ExchangeNode } from '../../exchanges/traverse.ts';
import { BindingSet, type RouteTarget } from './binding.ts';
import { OutgoingBindings } from './outgoing-bindings.ts';
import type { MessageTarget } from './queue.ts';
import type { RecentHistory } from './recent-history.ts';

/** What `exchange.declare` asks for. */
export interface ExchangeSettings {
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** Refuses publishes: it gets messages from other exchanges only. */
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

export class Exchange implements ExchangeNode<MessageTarget> {
  readonly settings: ExchangeSettings;
  /** The type that routes for it: the one of its settings, or one that this names. */
  readonly type: ExchangeType;
  readonly router: Router<RouteTarget>;
  /** Bindings from other exchanges to this one. */
  readonly bindings = new BindingSet();
  /** Bindings of this exchange to its destinations. */
  readonly outgoing = new OutgoingBindings();
  /** Names the exchange that takes what this one can't route, by its argument or a policy; empty when there is none. */
  alternateName = '';
  /** Keeps its last messages; null when its type wants none. */
  readonly history: RecentHistory | null;
  readonly #find: (name: string) => Exchange | undefined;

  /** @param find looks the alternate exchange up at each use, since it may come later or never */
  constructor(
    settings: ExchangeSettings,
    type: ExchangeType,
    router: Router<RouteTarget>,
    find: (name: string) => Exchange | undefined,
    history: RecentHistory | null = null,
  ) {
    this.settings = settings;
    this.type = type;
    this.router = router;
    this.history = history;
    this.#find = find;
  }

  alternate(): Exchange | undefined {
    return this.alternateName === '' ? undefined : this.#find(this.alternateName);
  }

  get isExchange(): true {
    return true;
  }

  get name(): string {
    return this.settings.name;
  }
}
