// The public API: what a program imports from 'leveret'.
export type { Arguments, Binding, ExchangeType, Routable, Router, TypedValue } from '../exchanges/exchange-type.ts';
export { ArgumentError } from '../exchanges/exchange-type.ts';
export type { UserDefinition } from './auth/users.ts';
export { AdminError, type BrokerUser, type UserChange } from './broker-admin.ts';
export type { BrokerOptions } from './config.ts';
export { ConfigError } from './config-error.ts';
export type { Logger } from './log.ts';
export type { PeerAddresses } from './protocols/amqp/amqp-context.ts';
export type { CloseReason } from './protocols/amqp/close-reason.ts';
export { type Broker, createBroker } from './server.ts';
export { StorageError } from './storage/storage-error.ts';
