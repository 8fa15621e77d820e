// The one error that the codec throws: what a peer sent can't be decoded, or what we were asked to send does not fit.
// It carries what a close method needs; it knows nothing of connections, channels or sockets.

/** Bytes that can't be decoded, or a value that can't be encoded. */
export class CodecError extends Error {
  /** Reply code for connection.close or channel.close; see `isHardError` for the scope. */
  readonly replyCode: number;
  /** `classId << 16 | methodId` of the method at fault as RabbitMQ reports it; 0 when it reports none. */
  readonly methodId: number;
  /** What was wrong, for our log. RabbitMQ keeps some of it from the peer, so it may say more than the message. */
  readonly detail: string;

  /**
   * @param message reply text without its `NAME - ` prefix; empty when RabbitMQ replies with the bare name.
   */
  constructor(replyCode: number, message: string, methodId = 0, detail = message) {
    super(message);
    this.name = 'CodecError';
    this.replyCode = replyCode;
    this.methodId = methodId;
    this.detail = detail;
  }
}
