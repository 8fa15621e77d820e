// What connection.start tells a client of its server. Clients branch on product, version and capabilities.
import type { FieldTable, FieldValue } from '../../../codec/field-table.ts';

/** RabbitMQ's extensions that are built here; see https://www.rabbitmq.com/docs/extensions */
const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'consumer_priorities',
  'authentication_failure_close',
  'per_consumer_qos',
  'direct_reply_to',
];

export interface ServerIdentity {
  readonly product: string;
  readonly version: string;
  readonly platform: string;
  readonly clusterName: string;
}

/** The table in RabbitMQ's order and types. */
export function serverProperties(identity: ServerIdentity): FieldTable {
  const capabilities = new Map<string, FieldValue>(CAPABILITIES.map((name) => [name, { type: 't', value: true }]));
  const text = (value: string): FieldValue => ({ type: 'S', value });
  return new Map<string, FieldValue>([
    ['capabilities', { type: 'F', value: capabilities }],
    ['cluster_name', text(identity.clusterName)],
    ['copyright', text('Copyright (c) Leveret contributors')],
    ['information', text('Licensed under the MIT license')],
    ['platform', text(identity.platform)],
    ['product', text(identity.product)],
    ['version', text(identity.version)],
  ]);
}
