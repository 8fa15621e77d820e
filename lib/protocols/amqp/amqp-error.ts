// A peer's mistake as AMQP says it: a reply code, a text, and the method at fault. The code decides the scope.
import { CodecError } from '../../../codec/errors.ts';
import { REPLY_CODES } from '../../../codec/generated/constants.ts';
import { BrokerError } from '../../core/errors.ts';

export type ReplyName = keyof typeof REPLY_CODES;

export class AmqpError extends Error {
  override readonly name = 'AmqpError';
  readonly replyCode: number;
  /** Class and method id of the method at fault, as `class << 16 | method`; 0 when none is to be named. */
  readonly methodId: number | undefined;

  /** @param methodId undefined for the method that is being handled */
  constructor(reply: ReplyName, message: string, methodId?: number) {
    super(message);
    this.replyCode = REPLY_CODES[reply];
    this.methodId = methodId;
  }
}

/** What a close method says. */
export interface CloseNotice {
  readonly replyCode: number;
  /** Without the `NAME - ` before it. */
  readonly message: string;
  readonly methodId: number;
}

/**
 * What a thrown value means to the peer; undefined when it is no mistake of the peer's but a defect of ours.
 * @param methodId the method that was being handled
 */
export function toCloseNotice(thrown: unknown, methodId: number): CloseNotice | undefined {
  if (thrown instanceof AmqpError) {
    return { replyCode: thrown.replyCode, message: thrown.message, methodId: thrown.methodId ?? methodId };
  }
  if (thrown instanceof BrokerError) {
    return { replyCode: REPLY_CODES[thrown.condition], message: thrown.message, methodId };
  }
  if (thrown instanceof CodecError) {
    return { replyCode: thrown.replyCode, message: thrown.message, methodId: thrown.methodId };
  }
  return undefined;
}
