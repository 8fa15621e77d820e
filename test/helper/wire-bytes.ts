// Encoders for building AMQP 0-9-1 by hand. On purpose not the project's codec: a test must not share a mistake with what
// it tests, and must be able to build what no codec would.

export type Piece = Uint8Array | string;

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;
export const FRAME_END = 0xce;

export const PROTOCOL_HEADER = bytes('AMQP', octet(0), octet(0), octet(9), octet(1));

/** Joins pieces; a string stands for its UTF-8 bytes. */
export function bytes(...pieces: Piece[]): Buffer {
  return Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
}

export function octet(value: number): Buffer {
  return Buffer.from([value]);
}

export function short(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

export function long(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

export function longLong(value: bigint | number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}

/** A short string: length octet, bytes. */
export function shortString(value: Piece): Buffer {
  const data = bytes(value);
  return bytes(octet(data.length), data);
}

/** A long string, and also what frames the inside of a table: 32-bit length, bytes. */
export function longString(value: Piece): Buffer {
  const data = bytes(value);
  return bytes(long(data.length), data);
}

export interface Table {
  readonly [name: string]: boolean | number | string | Table;
}

/** A field table of booleans (t), 32-bit integers (I), strings (S) and tables (F). */
export function table(fields: Table = {}): Buffer {
  return longString(bytes(...Object.entries(fields).flatMap(([name, value]) => [shortString(name), field(value)])));
}

function field(value: Table[string]): Buffer {
  if (typeof value === 'boolean') return bytes('t', octet(value ? 1 : 0));
  if (typeof value === 'number') return bytes('I', long(value));
  if (typeof value === 'string') return bytes('S', longString(value));
  return bytes('F', table(value));
}

export function frame(type: number, channel: number, payload: Piece, end: number = FRAME_END): Buffer {
  const data = bytes(payload);
  return bytes(frameStart(type, channel, data.length), data, octet(end));
}

/** The seven bytes before a payload, which may never come. */
export function frameStart(type: number, channel: number, payloadSize: number): Buffer {
  return bytes(octet(type), short(channel), long(payloadSize));
}

export function method(channel: number, classId: number, methodId: number, ...args: Piece[]): Buffer {
  return frame(FRAME_METHOD, channel, bytes(short(classId), short(methodId), ...args));
}

export const heartbeat = (channel = 0): Buffer => frame(FRAME_HEARTBEAT, channel, '');

export interface StartOk {
  readonly mechanism?: string;
  readonly response?: Piece;
  readonly locale?: string;
  readonly clientProperties?: Table;
}

export function startOk(options: StartOk = {}): Buffer {
  const { mechanism = 'PLAIN', response = '\0guest\0guest', locale = 'en_US', clientProperties = {} } = options;
  return method(0, 10, 11, table(clientProperties), shortString(mechanism), longString(response), shortString(locale));
}

export interface Tuning {
  readonly channelMax?: number;
  readonly frameMax?: number;
  readonly heartbeat?: number;
}

/** Unlike a client's usual answer this one turns heartbeats off, so that none comes between the frames of a test. */
export function tuneOk({ channelMax = 2047, frameMax = 131072, heartbeat = 0 }: Tuning = {}): Buffer {
  return method(0, 10, 31, short(channelMax), long(frameMax), short(heartbeat));
}

export const connectionOpen = (vhost = '/'): Buffer => method(0, 10, 40, shortString(vhost), shortString(''), octet(0));

export const connectionClose = (code = 200): Buffer =>
  method(0, 10, 50, short(code), shortString('bye'), short(0), short(0));

export const connectionCloseOk = (): Buffer => method(0, 10, 51);

export const channelOpen = (channel: number): Buffer => method(channel, 20, 10, shortString(''));

export const channelClose = (channel: number): Buffer =>
  method(channel, 20, 40, short(200), shortString('bye'), short(0), short(0));

export const channelCloseOk = (channel: number): Buffer => method(channel, 20, 41);

/** An exclusive queue, so that nothing stays behind on a broker that outlives the test. */
export const queueDeclare = (channel: number, queue = '', args: Buffer = table()): Buffer =>
  method(channel, 50, 10, short(0), shortString(queue), octet(0b0100), args);

export const queuePurge = (channel: number, queue: string): Buffer =>
  method(channel, 50, 30, short(0), shortString(queue), octet(0));

export interface Publish {
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly mandatory?: boolean;
  readonly immediate?: boolean;
}

/** The method alone; header and body are further frames. */
export function basicPublish(channel: number, options: Publish = {}): Buffer {
  const { exchange = '', routingKey = 'nowhere', mandatory = false, immediate = false } = options;
  const bits = (mandatory ? 1 : 0) | (immediate ? 2 : 0);
  return method(channel, 60, 40, short(0), shortString(exchange), shortString(routingKey), octet(bits));
}

export interface Header {
  readonly classId?: number;
  readonly weight?: number;
  readonly flags?: number;
  readonly properties?: Piece;
}

export function contentHeader(channel: number, bodySize: bigint | number, options: Header = {}): Buffer {
  const { classId = 60, weight = 0, flags = 0, properties = '' } = options;
  const payload = bytes(short(classId), short(weight), longLong(bodySize), short(flags), properties);
  return frame(FRAME_HEADER, channel, payload);
}

export const contentBody = (channel: number, body: Piece): Buffer => frame(FRAME_BODY, channel, body);

/** A whole message in one frame of body, or none when it is empty. */
export function message(channel: number, body: Piece, options: Publish = {}): Buffer {
  const data = bytes(body);
  const content = data.length === 0 ? [] : [contentBody(channel, data)];
  return bytes(basicPublish(channel, options), contentHeader(channel, data.length), ...content);
}

export const basicConsume = (channel: number, queue: string): Buffer =>
  method(channel, 60, 20, short(0), shortString(queue), shortString(''), octet(0b0010), table());

export const basicGet = (channel: number, queue: string): Buffer =>
  method(channel, 60, 70, short(0), shortString(queue), octet(0));

export const basicQos = (channel: number, prefetchSize: number, prefetchCount: number): Buffer =>
  method(channel, 60, 10, long(prefetchSize), short(prefetchCount), octet(0));

export const basicAck = (channel: number, deliveryTag: bigint | number, multiple = false): Buffer =>
  method(channel, 60, 80, longLong(deliveryTag), octet(multiple ? 1 : 0));

export const confirmSelect = (channel: number): Buffer => method(channel, 85, 10, octet(0));
