// Short ways to make bindings, messages and field tables, for the tests of the exchange types.
import type {
  Arguments,
  Binding,
  ExchangeType,
  Routable,
  RoutableProperty,
  Router,
  TypedValue,
} from '../../exchanges/exchange-type.ts';

/** `field('I', 1)` is a signed 32-bit 1. */
export function field(type: string, value: unknown = undefined): TypedValue {
  return { type, value };
}

/** A field table: strings stand for long strings. */
export function table(entries: Record<string, TypedValue | string> = {}): Arguments {
  return new Map(
    Object.entries(entries).map(([key, value]) => [key, typeof value === 'string' ? field('S', value) : value]),
  );
}

export function binding(destination: string, bindingKey = '', args: Arguments = table()): Binding<string> {
  return { destination, bindingKey, arguments: args };
}

export function message(
  routingKey: string,
  headers: Arguments | null = null,
  properties: Partial<Record<RoutableProperty, string>> = {},
): Routable {
  return { routingKey, headers, property: (name) => properties[name] ?? null };
}

/** A router of the type with the bindings. */
export function routerOf(type: ExchangeType, ...bindings: Binding<string>[]): Router<string> {
  const router = type.createRouter<string>(table());
  for (const each of bindings) router.bind(each);
  return router;
}

/** The destinations of a message, sorted, each once. */
export function routed(router: Router<string>, to: Routable | string): string[] {
  const into: string[] = [];
  router.route(typeof to === 'string' ? message(to) : to, into);
  return [...new Set(into)].sort();
}
