// Reads the protocol's description (amqp-0-9-1.json) and lays RabbitMQ's extensions (extensions.json) over it.
// Knows nothing of the code that is generated from the result.

export type WireType = 'bit' | 'octet' | 'short' | 'long' | 'longlong' | 'shortstr' | 'longstr' | 'timestamp' | 'table';
export type Peer = 'client' | 'server' | 'both';

export interface Field {
  readonly name: string;
  readonly domain: string;
  /** On the wire as zero or empty, not in the API. */
  readonly reserved?: boolean;
}

export interface Method {
  readonly name: string;
  readonly id: number;
  readonly synchronous?: boolean;
  readonly content?: boolean;
  readonly deprecated?: boolean;
  /** Who may send it. */
  readonly from: Peer;
  readonly replies?: readonly string[];
  readonly fields: readonly Field[];
}

export interface AmqpClass {
  readonly name: string;
  readonly id: number;
  readonly deprecated?: boolean;
  readonly properties?: readonly Field[];
  readonly methods: readonly Method[];
}

export interface ReplyCode {
  readonly name: string;
  readonly value: number;
  /** `soft` closes the channel, `hard` the connection. */
  readonly severity: 'success' | 'soft' | 'hard';
}

export interface NamedValue {
  readonly name: string;
  readonly value: number;
}

export interface Protocol {
  readonly protocol: string;
  readonly major: number;
  readonly minor: number;
  readonly revision: number;
  readonly port: number;
  readonly frameTypes: readonly NamedValue[];
  readonly constants: readonly NamedValue[];
  readonly replyCodes: readonly ReplyCode[];
  readonly domains: readonly { readonly name: string; readonly type: WireType }[];
  readonly classes: readonly AmqpClass[];
}

/** Changes one thing of a method or content class: a reserved field becomes a real one, or another peer may send it. */
export interface Amendment {
  readonly class: string;
  readonly method?: string;
  readonly field?: string;
  readonly property?: string;
  readonly becomes?: Field;
  readonly from?: Peer;
}

export interface Extensions {
  readonly vendor: string;
  /** Keys of `capabilities` in connection.start's server-properties. */
  readonly serverCapabilities: readonly string[];
  readonly amendments: readonly Amendment[];
  readonly classes: readonly AmqpClass[];
}

/**
 * The protocol with the extensions in it; classes and methods ordered by id.
 * @throws Error when an amendment meets nothing, ids collide, or a field's domain is unknown.
 */
export function mergeExtensions(protocol: Protocol, extensions: Extensions): Protocol {
  const classes = new Map<string, AmqpClass>();
  for (const cls of [...protocol.classes, ...extensions.classes]) {
    const known = classes.get(cls.name);
    classes.set(cls.name, known ? { ...known, methods: [...known.methods, ...cls.methods] } : cls);
  }
  for (const amendment of extensions.amendments) {
    const cls = classes.get(amendment.class);
    if (!cls) throw new Error(`amendment of unknown class ${amendment.class}`);
    classes.set(cls.name, amendClass(cls, amendment));
  }
  const merged = [...classes.values()].sort(byId).map((cls) => ({ ...cls, methods: [...cls.methods].sort(byId) }));
  checkIds('class', merged);
  for (const cls of merged) checkIds(`method of ${cls.name}`, cls.methods);
  const result = { ...protocol, classes: merged };
  checkDomains(result);
  return result;
}

/** @throws Error when the domain is unknown. */
export function wireType(protocol: Protocol, field: Field): WireType {
  const domain = protocol.domains.find(({ name }) => name === field.domain);
  if (!domain) throw new Error(`field ${field.name}: unknown domain ${field.domain}`);
  return domain.type;
}

function amendClass(cls: AmqpClass, amendment: Amendment): AmqpClass {
  const { method: methodName, property, field, becomes, from } = amendment;
  if (property !== undefined) {
    return { ...cls, properties: replaceField(cls.properties ?? [], property, becomes) };
  }
  if (!cls.methods.some(({ name }) => name === methodName)) throw new Error(`no method ${cls.name}.${methodName}`);
  const methods = cls.methods.map((method) => {
    if (method.name !== methodName) return method;
    const fields = field === undefined ? method.fields : replaceField(method.fields, field, becomes);
    return { ...method, fields, from: from ?? method.from };
  });
  return { ...cls, methods };
}

function replaceField(fields: readonly Field[], name: string, becomes: Field | undefined): Field[] {
  if (!becomes || !fields.some((field) => field.name === name)) throw new Error(`can't amend field ${name}`);
  return fields.map((field) => (field.name === name ? becomes : field));
}

function byId(a: { readonly id: number }, b: { readonly id: number }): number {
  return a.id - b.id;
}

function checkIds(what: string, items: readonly { readonly id: number }[]): void {
  const ids = new Set(items.map(({ id }) => id));
  if (ids.size !== items.length) throw new Error(`two of the same ${what} id`);
}

function checkDomains(protocol: Protocol): void {
  for (const cls of protocol.classes) {
    for (const field of [...(cls.properties ?? []), ...cls.methods.flatMap(({ fields }) => fields)]) {
      wireType(protocol, field);
    }
  }
}
