// Routes of messages that come back from disk: those with the same exchange and key share one, as published ones do.
import { Route } from '../core/route.ts';

/** More than this, and it begins anew: messages keep their routes themselves. */
const MOST_ROUTES = 16_384;

export class RouteTable {
  readonly #routes = new Map<string, Route>();
  #last: Route | null = null;

  /** The route whose bytes stand from `start` to `end`. */
  find(buffer: Buffer, start: number, end: number): Route {
    const last = this.#last;
    if (last?.matches(buffer, start, end) === true) return last;
    const key = buffer.toString('latin1', start, end);
    let route = this.#routes.get(key);
    if (route === undefined) {
      if (this.#routes.size >= MOST_ROUTES) this.#routes.clear();
      // Nothing looks it up by its hash: it is in no route cache.
      route = new Route(Buffer.from(buffer.subarray(start, end)), 0);
      this.#routes.set(key, route);
    }
    this.#last = route;
    return route;
  }
}
