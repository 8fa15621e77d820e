// Names that the broker makes up, in the shapes that RabbitMQ gives them: a prefix and random bytes in base64.
import { randomBytes } from 'node:crypto';

const QUEUE_PREFIX = 'amq.gen-';
const CONSUMER_TAG_PREFIX = 'amq.ctag-';

/** The pseudo queue that a client consumes from to get direct replies. */
export const REPLY_TO = 'amq.rabbitmq.reply-to';
const REPLY_QUEUE_PREFIX = `${REPLY_TO}.`;

function token(): string {
  return randomBytes(16).toString('base64url');
}

export function generateQueueName(): string {
  return QUEUE_PREFIX + token();
}

export function generateConsumerTag(): string {
  return CONSUMER_TAG_PREFIX + token();
}

/** The address that a direct reply is published to; knowing it is the right to reply. In RabbitMQ's form: two words of base64. */
export function generateReplyQueueName(): string {
  return `${REPLY_QUEUE_PREFIX}${randomBytes(27).toString('base64')}.${randomBytes(16).toString('base64')}`;
}

export function isReplyQueueName(name: string): boolean {
  return name.startsWith(REPLY_QUEUE_PREFIX);
}
