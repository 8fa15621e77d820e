// Messages whose every byte follows from the seed, their publisher and their number: whoever gets one can tell whether it is whole.
import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import type { Message, Options } from 'amqplib';
import type { Dice } from '../helper/random-client.ts';
import { between, diceOf, mixSeeds } from './random.ts';

/** What a publisher's messages are like. */
export interface Profile {
  readonly sizes: 'mixed' | 'medium' | 'small';
  /** One in so many messages is transient; 0 for none. */
  readonly transientOneIn: number;
  /** Expirations up to so many ms, for most messages; without this they never come to pass. */
  readonly expiresWithinMs?: number;
  /** Delays up to so many ms, for most messages. */
  readonly delaysWithinMs?: number;
}

/** A message that is ready to be published. */
export interface Draft {
  /** Publisher and sequence; travels as the message-id, since a body of 0 bytes can't carry it. */
  readonly id: string;
  readonly publisher: string;
  readonly sequence: number;
  readonly transient: boolean;
  readonly content: Buffer;
  readonly options: Options.Publish;
  /** Infinity for none. */
  readonly expirationMs: number;
  readonly delayMs: number;
}

/** What stands in front of each body that has room for it: publisher, sequence, length, CRC-32 of the rest; four bytes each. */
const HEADER_BYTES = 16;
const LARGEST = 1_048_576;
const POOL_BYTES = 2 * LARGEST;
export const DELAY_HEADER = 'x-delay';

export class MessageFactory {
  readonly #seed: number;
  readonly #pool: Buffer;
  readonly #publishers = new Map<string, { readonly index: number; readonly profile: Profile }>();

  constructor(seed: number) {
    this.#seed = seed;
    this.#pool = Buffer.allocUnsafe(POOL_BYTES);
    for (let offset = 0; offset < POOL_BYTES; offset += 4) {
      this.#pool.writeUInt32LE(mixSeeds(seed, offset), offset);
    }
  }

  register(publisher: string, profile: Profile): void {
    this.#publishers.set(publisher, { index: this.#publishers.size, profile });
  }

  make(publisher: string, sequence: number): Draft {
    const known = this.#publishers.get(publisher);
    if (known === undefined) throw new Error(`no publisher ${publisher}`);
    const { index, profile } = known;
    const dice = diceOf(this.#seed, index, sequence);
    const id = `${publisher}:${sequence}`;
    const transient = profile.transientOneIn > 0 && dice.once(profile.transientOneIn);
    const size = drawSize(dice, profile);
    const content = this.#body(dice, index, sequence, size);
    const options = drawOptions(dice, id, transient);
    const { expiresWithinMs, delaysWithinMs } = profile;
    if (expiresWithinMs !== undefined) {
      options.expiration = dice.once(4) ? undefined : String(drawWait(dice, expiresWithinMs));
    }
    const delayMs = delaysWithinMs === undefined || dice.once(8) ? 0 : drawWait(dice, delaysWithinMs);
    if (delayMs > 0) options.headers[DELAY_HEADER] = delayMs;
    const expirationMs = options.expiration === undefined ? Number.POSITIVE_INFINITY : Number(options.expiration);
    return { id, publisher, sequence, transient, content, options, expirationMs, delayMs };
  }

  /** What is wrong with a delivered message; undefined when nothing is. */
  faultOf(message: Message): string | undefined {
    const id: unknown = message.properties.messageId;
    const [publisher = '', number = ''] = typeof id === 'string' ? id.split(':') : [];
    if (!this.#publishers.has(publisher) || !/^\d+$/.test(number)) return `message-id ${String(id)} is nobody's`;
    const draft = this.make(publisher, Number(number));
    if (!message.content.equals(draft.content)) return bodyFault(id, message.content, draft.content);
    const expected = expectedProperties(draft.options);
    for (const [name, value] of Object.entries(message.properties)) {
      if (!isDeepStrictEqual(value, expected[name])) {
        return `${id}: property ${name} is ${JSON.stringify(value)}, not ${JSON.stringify(expected[name])}`;
      }
    }
    return undefined;
  }

  #body(dice: Dice, publisher: number, sequence: number, size: number): Buffer {
    const start = dice.roll(POOL_BYTES - size);
    if (size < HEADER_BYTES) return this.#pool.subarray(start, start + size);
    const rest = this.#pool.subarray(start, start + size - HEADER_BYTES);
    const content = Buffer.allocUnsafe(size);
    content.writeUInt32BE(publisher, 0);
    content.writeUInt32BE(sequence, 4);
    content.writeUInt32BE(size, 8);
    content.writeUInt32BE(crc32(rest), 12);
    rest.copy(content, HEADER_BYTES);
    return content;
  }
}

function drawSize(dice: Dice, { sizes }: Profile): number {
  if (sizes === 'mixed') return mixedSize(dice);
  return sizes === 'small' || dice.once(2) ? dice.roll(200) : dice.roll(6000);
}

/** Mostly small, as messages are; some of 100 KB, and few of 1 MB, which don't fit in a page's block. */
function mixedSize(dice: Dice): number {
  const share = dice.roll(1000);
  if (share < 30) return 0;
  if (share < 500) return between(dice, 1, 100);
  if (share < 840) return between(dice, 100, 1000);
  if (share < 965) return between(dice, 1000, 10_000);
  if (share < 998) return between(dice, 10_000, 100_000);
  return between(dice, 900_000, LARGEST);
}

/** From nothing to the most; some are short, so that much happens while others wait. */
function drawWait(dice: Dice, mostMs: number): number {
  return dice.once(3) ? between(dice, 0, Math.min(50, mostMs)) : between(dice, 0, mostMs);
}

type DraftOptions = Options.Publish & { headers: Record<string, unknown> };

function drawOptions(dice: Dice, id: string, transient: boolean): DraftOptions {
  const options: DraftOptions = { messageId: id, deliveryMode: transient ? 1 : 2, headers: drawHeaders(dice) };
  if (dice.once(2)) options.contentType = dice.pick(['text/plain', 'application/json', '']);
  if (dice.once(4)) options.contentEncoding = 'utf-8';
  if (dice.once(4)) options.priority = dice.roll(256);
  if (dice.once(4)) options.correlationId = `correlation ${dice.roll(1_000_000)} é世`;
  if (dice.once(8)) options.replyTo = 'nowhere';
  // So far away that it never comes: the message takes the way of those that expire, and stays.
  if (dice.once(6)) options.expiration = String(between(dice, 86_400_000, 4_000_000_000));
  if (dice.once(4)) options.timestamp = dice.roll(2 ** 31);
  if (dice.once(6)) options.type = 't'.repeat(dice.roll(256));
  if (dice.once(8)) options.userId = 'guest';
  if (dice.once(6)) options.appId = 'crash';
  return options;
}

function drawHeaders(dice: Dice): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  for (let i = dice.roll(4); i > 0; i--) headers[`header-${dice.roll(10)}`] = drawValue(dice, 0);
  return headers;
}

function drawValue(dice: Dice, depth: number): unknown {
  switch (dice.roll(depth < 2 ? 10 : 7)) {
    case 0:
      return dice.roll(2 ** 31) - 2 ** 30;
    case 1:
      return dice.roll(2 ** 31) * 2 ** 20;
    case 2:
      return dice.once(2);
    case 3:
      return null;
    case 4:
      return 'text é世 '.repeat(dice.roll(20));
    case 5:
      return dice.roll(1000) + 0.5;
    case 6:
      return { '!': 'timestamp', value: dice.roll(2 ** 31) };
    case 7:
      return Buffer.alloc(dice.roll(100), dice.roll(256));
    case 8:
      return [drawValue(dice, depth + 1), drawValue(dice, depth + 1)];
    default:
      return { inner: drawValue(dice, depth + 1) };
  }
}

function expectedProperties(options: Options.Publish): Readonly<Record<string, unknown>> {
  return { ...options };
}

function bodyFault(id: unknown, actual: Buffer, expected: Buffer): string {
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  const lengths = `body of ${actual.length} bytes, published ${expected.length}, differs from byte ${at} on`;
  if (actual.length < HEADER_BYTES) return `${id}: ${lengths}`;
  const isWhole = crc32(actual.subarray(HEADER_BYTES)) === actual.readUInt32BE(12);
  const origin = `publisher ${actual.readUInt32BE(0)}, sequence ${actual.readUInt32BE(4)}, ${actual.readUInt32BE(8)} bytes`;
  return `${id}: ${lengths}; it says ${origin}, and its checksum is ${isWhole ? 'right' : 'wrong'}`;
}
