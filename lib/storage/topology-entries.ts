// The entries of the topology: what is durable beside messages. They stand in the log as changes, and in the checkpoint.
import type { FieldTable } from '../../codec/field-table.ts';
import type { StoredParameter } from '../core/message-store.ts';
import { type ByteReader, FormatError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';

export const ENTRY_VIRTUAL_HOST = 16;
export const ENTRY_VIRTUAL_HOST_DELETED = 17;
export const ENTRY_USER = 18;
export const ENTRY_USER_DELETED = 19;
export const ENTRY_EXCHANGE = 20;
export const ENTRY_EXCHANGE_DELETED = 21;
export const ENTRY_QUEUE = 22;
export const ENTRY_QUEUE_DELETED = 23;
export const ENTRY_BINDING = 24;
export const ENTRY_BINDING_DELETED = 25;
export const ENTRY_PARAMETER = 26;
export const ENTRY_PARAMETER_DELETED = 27;

const AUTO_DELETE = 1;
const INTERNAL = 2;

export interface UserEntry {
  readonly name: string;
  /** Password hash, tags and permissions. */
  readonly json: Buffer;
}

export interface ExchangeEntry {
  readonly vhost: string;
  readonly name: string;
  readonly type: string;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

export interface QueueEntry {
  readonly queueId: number;
  readonly vhost: string;
  readonly name: string;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

export interface BindingEntry {
  readonly vhost: string;
  readonly source: string;
  readonly destinationKind: 'queue' | 'exchange';
  readonly destination: string;
  readonly bindingKey: string;
  readonly arguments: FieldTable;
}

/** Told what changed in the topology. */
export interface TopologyVisitor {
  virtualHost(name: string): void;
  virtualHostDeleted(name: string): void;
  user(user: UserEntry): void;
  userDeleted(name: string): void;
  exchange(exchange: ExchangeEntry): void;
  exchangeDeleted(vhost: string, name: string): void;
  queue(queue: QueueEntry): void;
  queueDeleted(queueId: number): void;
  binding(binding: BindingEntry): void;
  bindingDeleted(binding: BindingEntry): void;
  parameter(parameter: StoredParameter): void;
  parameterDeleted(virtualHost: string, component: string, name: string): void;
}

export function writeVirtualHost(writer: ByteWriter, name: string): void {
  writer.u8(ENTRY_VIRTUAL_HOST);
  writer.string(name);
}

export function writeVirtualHostDeleted(writer: ByteWriter, name: string): void {
  writer.u8(ENTRY_VIRTUAL_HOST_DELETED);
  writer.string(name);
}

export function writeUser(writer: ByteWriter, { name, json }: UserEntry): void {
  writer.u8(ENTRY_USER);
  writer.string(name);
  writer.bytes(json);
}

export function writeUserDeleted(writer: ByteWriter, name: string): void {
  writer.u8(ENTRY_USER_DELETED);
  writer.string(name);
}

export function writeExchange(writer: ByteWriter, exchange: ExchangeEntry): void {
  writer.u8(ENTRY_EXCHANGE);
  writer.string(exchange.vhost);
  writer.string(exchange.name);
  writer.string(exchange.type);
  writer.u8((exchange.autoDelete ? AUTO_DELETE : 0) | (exchange.internal ? INTERNAL : 0));
  writer.table(exchange.arguments);
}

export function writeExchangeDeleted(writer: ByteWriter, vhost: string, name: string): void {
  writer.u8(ENTRY_EXCHANGE_DELETED);
  writer.string(vhost);
  writer.string(name);
}

export function writeQueue(writer: ByteWriter, queue: QueueEntry): void {
  writer.u8(ENTRY_QUEUE);
  writer.varint(queue.queueId);
  writer.string(queue.vhost);
  writer.string(queue.name);
  writer.u8(queue.autoDelete ? AUTO_DELETE : 0);
  writer.table(queue.arguments);
}

export function writeQueueDeleted(writer: ByteWriter, queueId: number): void {
  writer.u8(ENTRY_QUEUE_DELETED);
  writer.varint(queueId);
}

export function writeBinding(writer: ByteWriter, binding: BindingEntry): void {
  writeAnyBinding(writer, ENTRY_BINDING, binding);
}

export function writeBindingDeleted(writer: ByteWriter, binding: BindingEntry): void {
  writeAnyBinding(writer, ENTRY_BINDING_DELETED, binding);
}

function writeAnyBinding(writer: ByteWriter, kind: number, binding: BindingEntry): void {
  writer.u8(kind);
  writer.string(binding.vhost);
  writer.string(binding.source);
  writer.u8(binding.destinationKind === 'queue' ? 0 : 1);
  writer.string(binding.destination);
  writer.string(binding.bindingKey);
  writer.table(binding.arguments);
}

export function writeParameter(writer: ByteWriter, { virtualHost, component, name, json }: StoredParameter): void {
  writer.u8(ENTRY_PARAMETER);
  writer.string(virtualHost);
  writer.string(component);
  writer.string(name);
  writer.bytes(json);
}

export function writeParameterDeleted(writer: ByteWriter, virtualHost: string, component: string, name: string): void {
  writer.u8(ENTRY_PARAMETER_DELETED);
  writer.string(virtualHost);
  writer.string(component);
  writer.string(name);
}

/** Tells the visitor of an entry whose first byte was read; false when it is none of the topology's. */
export function decodeTopologyEntry(kind: number, reader: ByteReader, visitor: TopologyVisitor): boolean {
  switch (kind) {
    case ENTRY_VIRTUAL_HOST:
      visitor.virtualHost(reader.string());
      return true;
    case ENTRY_VIRTUAL_HOST_DELETED:
      visitor.virtualHostDeleted(reader.string());
      return true;
    case ENTRY_USER:
      visitor.user(readUser(reader));
      return true;
    case ENTRY_USER_DELETED:
      visitor.userDeleted(reader.string());
      return true;
    case ENTRY_EXCHANGE:
      visitor.exchange(readExchange(reader));
      return true;
    case ENTRY_EXCHANGE_DELETED:
      visitor.exchangeDeleted(reader.string(), reader.string());
      return true;
    case ENTRY_QUEUE:
      visitor.queue(readQueue(reader));
      return true;
    case ENTRY_QUEUE_DELETED:
      visitor.queueDeleted(reader.varint());
      return true;
    case ENTRY_BINDING:
      visitor.binding(readBinding(reader));
      return true;
    case ENTRY_BINDING_DELETED:
      visitor.bindingDeleted(readBinding(reader));
      return true;
    case ENTRY_PARAMETER:
      visitor.parameter(readParameter(reader));
      return true;
    case ENTRY_PARAMETER_DELETED:
      visitor.parameterDeleted(reader.string(), reader.string(), reader.string());
      return true;
    default:
      return false;
  }
}

/** The content of entry 18; so do the others for theirs. */
export function readUser(reader: ByteReader): UserEntry {
  return { name: reader.string(), json: reader.bytes() };
}

export function readExchange(reader: ByteReader): ExchangeEntry {
  const vhost = reader.string();
  const name = reader.string();
  const type = reader.string();
  const flags = readFlags(reader, AUTO_DELETE | INTERNAL);
  return {
    vhost,
    name,
    type,
    autoDelete: (flags & AUTO_DELETE) !== 0,
    internal: (flags & INTERNAL) !== 0,
    arguments: reader.table(),
  };
}

export function readQueue(reader: ByteReader): QueueEntry {
  const queueId = reader.varint();
  const vhost = reader.string();
  const name = reader.string();
  const autoDelete = readFlags(reader, AUTO_DELETE) !== 0;
  return { queueId, vhost, name, autoDelete, arguments: reader.table() };
}

export function readBinding(reader: ByteReader): BindingEntry {
  const vhost = reader.string();
  const source = reader.string();
  const destinationKind = readFlags(reader, 1) === 0 ? 'queue' : 'exchange';
  const destination = reader.string();
  const bindingKey = reader.string();
  return { vhost, source, destinationKind, destination, bindingKey, arguments: reader.table() };
}

export function readParameter(reader: ByteReader): StoredParameter {
  return { virtualHost: reader.string(), component: reader.string(), name: reader.string(), json: reader.bytes() };
}

function readFlags(reader: ByteReader, known: number): number {
  const at = reader.offset;
  const flags = reader.u8();
  if ((flags & ~known) !== 0) throw new FormatError(`unknown flags ${flags}`, at);
  return flags;
}
