// Entries of log, checkpoint and pages as plain objects for JSON: names as names, bytes as base64, tables with their types.
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { type BasicProperties, decodeProperties } from '../../codec/properties.ts';
import { decodeString } from '../../codec/strings.ts';
import type { StoredParameter } from '../core/message-store.ts';
import type { CheckpointQueue, CheckpointRange } from './checkpoint-format.ts';
import type { PositionSet } from './position-set.ts';
import type { BindingEntry, ExchangeEntry, QueueEntry, UserEntry } from './topology-entries.ts';

/** More of a body than this is never shown: it would not fit a string. */
const MOST_BODY_BYTES = 256 * 1024 * 1024;
/** Fields of a user that are nobody's business, whatever they are called exactly. */
const SECRET = /pass|hash|salt|secret/i;

type Json = Readonly<Record<string, unknown>>;

/** @param bodyBytes so many bytes of the body are shown */
export function messageJson(
  buffer: Buffer,
  bodyBytes: number,
  queueId: number,
  position: number,
  routeStart: number,
  routeEnd: number,
  propertiesStart: number,
  propertiesEnd: number,
  bodyStart: number,
  bodySize: number,
  expiresAtMs: number,
): Json {
  const keyAt = routeStart + 1 + buffer[routeStart];
  const shown = Math.min(bodySize, bodyBytes, MOST_BODY_BYTES);
  return {
    entry: 'message',
    queue: queueId,
    position,
    exchange: decodeString(buffer, routeStart + 1, keyAt),
    routingKey: decodeString(buffer, keyAt + 1, routeEnd),
    properties: propertiesJson(buffer, propertiesStart, propertiesEnd),
    ...(expiresAtMs === 0 ? {} : { expiresAtMs }),
    bodyBytes: bodySize,
    body: buffer.toString('base64', bodyStart, bodyStart + shown),
    ...(shown < bodySize ? { bodyIsCut: true } : {}),
  };
}

/** Properties that can't be decoded are shown as they are. */
function propertiesJson(buffer: Buffer, start: number, end: number): unknown {
  let properties: BasicProperties;
  try {
    properties = decodeProperties(buffer, start, end);
  } catch {
    return buffer.toString('base64', start, end);
  }
  const { headers, timestamp, ...rest } = properties;
  return {
    ...rest,
    ...(headers === undefined ? {} : { headers: tableJson(headers) }),
    ...(timestamp === undefined ? {} : { timestamp: numberJson(timestamp) }),
  };
}

export function userJson({ name, json }: UserEntry): Json {
  return { entry: 'user', name, ...publicPart(json) };
}

function publicPart(json: Buffer): Json {
  try {
    return { user: JSON.parse(json.toString(), (key, value) => (SECRET.test(key) ? '(not shown)' : value)) };
  } catch {
    return { problem: 'the JSON of this user is broken' };
  }
}

export function parameterJson({ virtualHost, component, name, json }: StoredParameter): Json {
  const parameter = { entry: 'parameter', vhost: virtualHost, component, name };
  try {
    return { ...parameter, value: JSON.parse(json.toString()) };
  } catch {
    return { ...parameter, problem: 'the JSON of this parameter is broken' };
  }
}

export function exchangeJson({ arguments: table, ...rest }: ExchangeEntry): Json {
  return { entry: 'exchange', ...rest, arguments: tableJson(table) };
}

export function queueJson({ queueId, vhost, name, autoDelete, arguments: table }: QueueEntry): Json {
  return { entry: 'queue', queue: queueId, vhost, name, autoDelete, arguments: tableJson(table) };
}

/** One for each level. */
export function queueStatesJson({ queueId, levels, deliveryCounts }: CheckpointQueue): Json[] {
  return levels.map(({ nextPosition, deliveredTo }, index) => {
    return {
      entry: 'queueState',
      queue: queueId,
      nextPosition,
      deliveredTo,
      deliveryCounts: index === 0 ? deliveryCounts : [],
    };
  });
}

export function bindingJson({ arguments: table, ...rest }: BindingEntry): Json {
  return { entry: 'binding', ...rest, arguments: tableJson(table) };
}

export function rangeJson(page: number, { queueId, dead, ...rest }: CheckpointRange): Json {
  return { entry: 'range', page, queue: queueId, ...rest, dead: positionsJson(dead) };
}

/** First and last position of each interval. */
function positionsJson(set: PositionSet): number[][] {
  const list: number[][] = [];
  set.forEachInterval((first, last) => list.push([first, last]));
  return list;
}

function tableJson(table: FieldTable): Json {
  return Object.fromEntries([...table].map(([key, value]) => [key, { type: value.type, value: valueJson(value) }]));
}

function valueJson(field: FieldValue): unknown {
  switch (field.type) {
    case 'F':
      return tableJson(field.value);
    case 'A':
      return field.value.map((item) => ({ type: item.type, value: valueJson(item) }));
    case 'x':
      return field.value.toString('base64');
    case 'l':
    case 'L':
    case 'T':
      return numberJson(field.value);
    default:
      return field.value;
  }
}

/** JSON has no integers above 2^53. */
function numberJson(value: number | bigint): number | string {
  return typeof value === 'bigint' ? value.toString() : value;
}
