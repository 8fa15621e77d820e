// What a wrong option is told with: one line that names the option, the value and what is allowed.
// Knows nothing of the options themselves.

/** A wrong, unknown or contradictory option; `message` is one line for a person, without a secret in it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'ERR_LEVERET_CONFIG';
}

/** A value as an error message shows it: short, on one line, quoted when it is text. */
export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  const text = typeof value === 'object' || typeof value === 'string' ? JSON.stringify(value) : String(value);
  const quoted = typeof value === 'string' ? `'${text.slice(1, -1)}'` : text;
  return quoted.length > 80 ? `${quoted.slice(0, 77)}...` : quoted;
}

/** ` (did you mean 'port'?)` when one of the names is near enough to the wrong one, or nothing. */
export function suggestion(wrong: string, names: Iterable<string>): string {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(wrong.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(wrong.toLowerCase(), name.toLowerCase());
    if (distance >= bestDistance) continue;
    best = name;
    bestDistance = distance;
  }
  return best === undefined ? '' : ` (did you mean '${best}'?)`;
}

/** Levenshtein's distance: how many characters to insert, delete or replace. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
