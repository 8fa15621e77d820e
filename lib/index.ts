// The public API: what a program imports from 'leveret'.
export type {
  Arguments,
  Binding,
  DestinationOrder,
  ExchangeType,
  HistoryRule,
  Routable,
  RoutableProperty,
  Router,
  TypedValue,
} from '../exchanges/exchange-type.ts';
export { ArgumentError } from '../exchanges/exchange-type.ts';
export { AdminError } from './admin-changes.ts';
export type { UserDefinition } from './auth/users.ts';
export type { BrokerUser, UserChange } from './broker-admin.ts';
export type { BrokerPolicy, PolicyOptions, UserLimits, VirtualHostLimits } from './broker-policies.ts';
export type { BrokerOptions } from './config.ts';
export { ConfigError } from './config-error.ts';
export type { PolicyDefinition, PolicyTarget } from './core/policy.ts';
export type { Logger } from './log.ts';
export type { PeerAddresses } from './protocols/amqp/amqp-context.ts';
export type { CloseReason } from './protocols/amqp/close-reason.ts';
export { type Broker, createBroker } from './server.ts';
export { StorageError } from './storage/storage-error.ts';
