// The header by which a consumer learns how often a message came back to its queue before. It is said of one delivery: the message
// in the queue has none. See https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
import type { FieldTable, FieldValue } from '../../../codec/field-table.ts';
import type { Message } from '../../core/message.ts';

const HEADER = 'x-delivery-count';

/** What is written for a delivery: the message with the header, which takes the place of one that its publisher set. */
export function withDeliveryCount(message: Message, count: number): Message {
  return message.withHeaders(countedHeaders(message.headers, count));
}

/** RabbitMQ sorts the headers when it adds one. */
function countedHeaders(published: FieldTable | null, count: number): FieldTable {
  const value: FieldValue = { type: 'l', value: count };
  if (published === null) return new Map([[HEADER, value]]);
  const headers = new Map(published).set(HEADER, value);
  return new Map([...headers].sort(([one], [other]) => (one < other ? -1 : 1)));
}
