// A connection: the stream, its state from the protocol header to the last byte, its channels. What channels do is theirs.
import type { Duplex } from 'node:stream';
import type { CodecError } from '../../../codec/errors.ts';
import { unexpectedFrame } from '../../../codec/frame-errors.ts';
import { FrameParser, type FrameSink } from '../../../codec/frame-parser.ts';
import { encodeMethodFrame, HEARTBEAT_FRAME, PROTOCOL_HEADER } from '../../../codec/frame-writer.ts';
import { FRAME_METHOD, FRAME_MIN_SIZE, INTERNAL_ERROR, isHardError } from '../../../codec/generated/constants.ts';
import * as methods from '../../../codec/generated/methods.ts';
import { decodeMethod, type Method } from '../../../codec/generated/methods.ts';
import { readUInt32 } from '../../../codec/integers.ts';
import { replyText } from '../../../codec/reply-text.ts';
import type { Logger } from '../../core/ports.ts';
import type { Queue } from '../../core/queue.ts';
import type { RetentionSlab } from '../../core/retention-slab.ts';
import type { AmqpContext, ConnectionHost, PeerAddresses } from './amqp-context.ts';
import { AmqpError, type CloseNotice, toCloseNotice } from './amqp-error.ts';
import type { Channel } from './channel.ts';
import type { ChannelHost, Session } from './channel-host.ts';
import { ChannelTable } from './channel-table.ts';
import { CLOSE_TIMEOUT_MS, type CloseReason, DEAF_CLOSE_TIMEOUT_MS, isQuiet } from './close-reason.ts';
import { ConnectionTurn } from './connection-turn.ts';
import { Handshake, HandshakeError } from './handshake.ts';
import { Input } from './input.ts';
import { Liveness } from './liveness.ts';
import { OutputBuffer } from './output-buffer.ts';
import { PartialBodies } from './partial-bodies.ts';
import { ProtocolHeaderReader } from './protocol-header.ts';
import { PublisherBlock } from './publisher-block.ts';
import { Waits } from './waits.ts';

const DEFECT = 'a defect of the broker: the connection is closed';

/**
 * header: awaiting the protocol header. handshake: awaiting the next step. open: in use. closing: connection.close or close-ok
 * was sent, the peer's end is awaited. deaf: the same, but its bytes are dropped unread. closed: over.
 */
type State = 'header' | 'handshake' | 'open' | 'closing' | 'deaf' | 'closed';

export class Connection implements FrameSink, ChannelHost {
  /** `127.0.0.1:50000 -> 127.0.0.1:5672` */
  readonly name: string;
  readonly output: OutputBuffer;
  readonly partialBodies: PartialBodies;
  readonly waits: Waits;
  readonly ownedQueues = new Set<Queue>();
  readonly #stream: Duplex;
  readonly #context: AmqpContext;
  readonly #host: ConnectionHost;
  readonly #parser: FrameParser;
  readonly #input: Input;
  readonly #handshake: Handshake;
  readonly #channels = new ChannelTable(this);
  readonly #turn: ConnectionTurn;
  #state: State = 'header';
  #reason: CloseReason | undefined;
  #header: ProtocolHeaderReader | undefined = new ProtocolHeaderReader();
  readonly #liveness: Liveness;
  /** When the peer must have done what is awaited of it; undefined when nothing is. */
  #deadline: number | undefined;
  #block: PublisherBlock | undefined;
  #logger: Logger | undefined;

  constructor(
    stream: Duplex,
    peer: PeerAddresses,
    reusableWrites: boolean,
    context: AmqpContext,
    host: ConnectionHost,
  ) {
    this.name = `${peer.remoteAddress}:${peer.remotePort} -> ${peer.localAddress}:${peer.localPort}`;
    this.#stream = stream;
    this.#context = context;
    this.#host = host;
    this.partialBodies = new PartialBodies(context.memory);
    this.output = new OutputBuffer(stream, host.pool, reusableWrites);
    this.#parser = new FrameParser(this, FRAME_MIN_SIZE);
    this.#input = new Input(stream, host.pool, context.turn, (chunk) => {
      const taken = this.#take(chunk);
      host.received(taken);
      return taken;
    });
    this.#handshake = new Handshake(context, peer.remoteAddress);
    this.#liveness = new Liveness(stream, this.#input, this.output);
    this.waits = new Waits(this.#input, this.#parser, context.memory, this.#channels, this);
    this.#turn = new ConnectionTurn({
      scheduler: context.turn,
      output: this.output,
      input: this.#input,
      parser: this.#parser,
      channels: this.#channels,
      waits: this.waits,
      failed: (error) => this.#fail(error, 0, 0),
    });
    this.#deadline = context.clock.now() + context.handshakeTimeoutMs;
    stream.on('drain', () => this.#turn.drained());
    stream.on('error', (error: Error) => this.#streamFailed(error));
    stream.on('end', () => this.end('socket-closed'));
    stream.on('close', () => this.end('socket-closed'));
  }

  // What channels ask

  get session(): Session {
    const { session } = this.#handshake;
    if (session === undefined) throw new Error('the connection is not open yet');
    return session;
  }

  send(channel: number, method: Method): void {
    this.output.write(encodeMethodFrame(channel, method));
    this.wrote();
  }

  /** Made when something out of the ordinary is to be said: most connections just come and go. */
  get logger(): Logger {
    this.#logger ??= this.#context.logger.child({ connection: this.name });
    return this.#logger;
  }

  get congested(): boolean {
    return this.#turn.congested;
  }

  wrote(): void {
    this.#turn.wrote();
  }

  atEndOfTurn(channel: Channel): void {
    this.#turn.atEndOfTurn(channel);
  }

  publishing(): void {
    this.#block?.publishing();
    if (this.#input.held) this.#parser.hold();
  }

  awaitFlow(): void {
    this.#block?.awaitFlow();
    this.#parser.hold();
  }

  channelClosed(channel: Channel): void {
    this.#channels.remove(channel);
  }

  failed(channel: Channel, error: unknown): void {
    this.#fail(error, channel.number, 0);
  }

  // Frames

  onMethod(number: number, buffer: Buffer, start: number, end: number): void {
    const id = readUInt32(buffer, start);
    try {
      if (number === 0) this.#controlMethod(decodeMethod(buffer, start, end));
      else if (this.#state === 'open') this.#channels.onMethod(number, buffer, start, end);
      else this.#frameBeforeOpen(buffer, start, end);
    } catch (error) {
      this.#fail(error, number, id);
    }
  }

  onHeader(number: number, buffer: Buffer, start: number, end: number): void {
    if (this.#state !== 'open') return;
    try {
      this.#channels.findForContent(number).onHeader(buffer, start, end);
    } catch (error) {
      this.#fail(error, number, methods.BASIC_PUBLISH);
    }
  }

  onBody(number: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (this.#state !== 'open') return;
    try {
      this.#channels.findForContent(number).onBody(buffer, start, end, last);
    } catch (error) {
      this.#fail(error, number, methods.BASIC_PUBLISH);
    }
  }

  onRefusedFrame(error: CodecError): void {
    if (this.#state !== 'closing') this.#fail(error, 0, 0);
  }

  onHeartbeat(): void {
    // Any byte counts as a sign of life; see `Input`.
  }

  // What the listener asks

  /** Called about once a second. */
  tick(now: number): void {
    if (this.#deadline !== undefined && now >= this.#deadline) {
      this.end(this.#reason ?? 'handshake-timeout');
      return;
    }
    this.#channels.tick(now);
    const beat = this.#liveness.tick(now);
    if (beat === 'dead') this.end('heartbeat-timeout');
    if (beat !== 'send') return;
    this.output.write(HEARTBEAT_FRAME);
    this.wrote();
  }

  /** Closes with connection.close 320 and a text; the peer has some time to answer. */
  forceClose(reason: CloseReason, text: string): void {
    if (this.#state === 'open') this.#close(reason, new AmqpError('CONNECTION_FORCED', text, 0));
    else if (this.#state === 'header' || this.#state === 'handshake') this.end(reason);
  }

  /** Lets go of the received chunks that unacknowledged deliveries pin. */
  isolate(slab: RetentionSlab): void {
    this.#channels.isolate(slab);
  }

  // Receiving

  /** Takes a chunk and returns how much of it: not all when the input is held meanwhile. */
  #take(chunk: Buffer): number {
    if (this.#header !== undefined) return this.#takeHeader(this.#header, chunk);
    if (this.#state === 'closed' || this.#state === 'deaf') return chunk.length;
    try {
      return this.#parser.push(chunk);
    } catch (error) {
      this.#fail(error, 0, 0);
      if (this.#state === 'closing') this.#goDeaf();
      return chunk.length;
    }
  }

  #goDeaf(): void {
    this.#state = 'deaf';
    this.#parser.stop();
    this.#deadline = this.#context.clock.now() + DEAF_CLOSE_TIMEOUT_MS;
  }

  #takeHeader(header: ProtocolHeaderReader, chunk: Buffer): number {
    const rest = header.take(chunk);
    if (rest === 'incomplete') return chunk.length;
    this.#header = undefined;
    if (rest === 'wrong') {
      this.output.write(PROTOCOL_HEADER);
      this.output.endTurn();
      this.#reason = 'bad-protocol-header';
      this.#goDeaf();
      this.#stream.end();
      return chunk.length;
    }
    this.#state = 'handshake';
    this.output.write(this.#host.startFrame);
    this.wrote();
    return chunk.length - rest.length;
  }

  #controlMethod(method: Method): void {
    if (this.#state === 'closing') this.#whileClosing(method);
    else if (this.#state === 'handshake') this.#continueHandshake(method);
    else if (method.id === methods.CONNECTION_CLOSE) this.#closedByClient();
    else if (method.id === methods.CONNECTION_UPDATE_SECRET) this.send(0, { id: methods.CONNECTION_UPDATE_SECRET_OK });
    else throw new AmqpError('CHANNEL_ERROR', 'unexpected method in connection state running', method.id);
  }

  #whileClosing(method: Method): void {
    if (method.id === methods.CONNECTION_CLOSE) this.send(0, { id: methods.CONNECTION_CLOSE_OK });
    else if (method.id === methods.CONNECTION_CLOSE_OK) this.end(this.#reason ?? 'client-close');
  }

  #continueHandshake(method: Method): void {
    const handshake = this.#handshake;
    const answer = handshake.handle(method);
    if (answer !== undefined) this.send(0, answer);
    if (method.id === methods.CONNECTION_TUNE_OK) {
      this.#parser.frameMax = handshake.frameMax;
      this.#liveness.start(handshake.heartbeatSeconds, this.#context.clock.now());
    }
    if (handshake.step !== 'done') return;
    this.#state = 'open';
    this.#deadline = undefined;
    this.#block = new PublisherBlock(this.#input, this);
    const { user, virtualHost } = this.session;
    const { mechanism } = handshake;
    const fields = { connection: this.name, user: user.name, vhost: virtualHost.name, mechanism };
    this.#context.logger.info(fields, 'connection opened');
  }

  #frameBeforeOpen(buffer: Buffer, start: number, end: number): void {
    if (this.#state !== 'handshake') return;
    if (this.#handshake.step !== 'open') throw new HandshakeError('handshake-failed', 'a channel before the handshake');
    throw unexpectedFrame(FRAME_METHOD, end - start, buffer.subarray(start, end));
  }

  // Ending

  #fail(thrown: unknown, number: number, methodId: number): void {
    if (thrown instanceof HandshakeError) {
      this.logger.warn({ reason: thrown.reason }, thrown.message);
      if (thrown.notice === undefined) this.end(thrown.reason);
      else this.#close(thrown.reason, thrown.notice, DEAF_CLOSE_TIMEOUT_MS);
      return;
    }
    const notice = toCloseNotice(thrown, methodId);
    if (this.#state === 'handshake' && (this.#handshake.step !== 'open' || notice?.replyCode === INTERNAL_ERROR)) {
      this.logger.warn({}, `handshake failed: ${notice?.message ?? thrown}`);
      this.end('handshake-failed');
      return;
    }
    if (notice === undefined) {
      this.logger.error({ err: thrown, channel: number }, DEFECT);
      this.#close('internal-error', { replyCode: INTERNAL_ERROR, message: '', methodId: 0 });
      return;
    }
    const channel = this.#channels.find(number);
    if (channel === undefined || isHardError(notice.replyCode)) {
      this.#close('protocol-error', notice);
      return;
    }
    const text = replyText(notice.replyCode, notice.message);
    this.logger.warn({ channel: number }, `channel closed: ${text}`);
    channel.closeForError(notice.replyCode, text, notice.methodId);
  }

  /** Says connection.close and waits for the answer. */
  #close(reason: CloseReason, notice: CloseNotice | AmqpError, timeoutMs = CLOSE_TIMEOUT_MS): void {
    const { replyCode, message, methodId = 0 } = notice;
    if (this.#state === 'closing' || this.#state === 'deaf' || this.#state === 'closed') return;
    const text = replyText(replyCode, message);
    if (!isQuiet(reason)) this.logger.warn({ reason }, `connection closed: ${text}`);
    this.#awaitEnd(reason, timeoutMs);
    this.send(0, {
      id: methods.CONNECTION_CLOSE,
      replyCode,
      replyText: text,
      classId: methodId >>> 16,
      methodId: methodId & 0xffff,
    });
  }

  #closedByClient(): void {
    this.waits.finish();
    // What was put off may have been a mistake, so that both sides close.
    if (this.#state === 'open') this.#awaitEnd('client-close', CLOSE_TIMEOUT_MS);
    this.send(0, { id: methods.CONNECTION_CLOSE_OK });
  }

  /** Nothing is done for the client any more; it has some time to answer or to close its socket. */
  #awaitEnd(reason: CloseReason, timeoutMs: number): void {
    this.#channels.flush();
    this.#reason = reason;
    this.#state = 'closing';
    const { heartbeatSeconds } = this.#handshake;
    const patienceMs = heartbeatSeconds > 0 ? Math.min(heartbeatSeconds * 1000, timeoutMs) : timeoutMs;
    this.#deadline = this.#context.clock.now() + patienceMs;
    this.#release();
  }

  /** Gives back everything that the connection holds in the broker. */
  #release(): void {
    this.#block?.end();
    this.#channels.endAll();
    if (this.ownedQueues.size > 0) this.session.virtualHost.deleteOwnedQueues(this);
  }

  #streamFailed(error: Error): void {
    this.logger.debug({ err: error }, 'the stream failed');
    this.end(this.#reason ?? 'socket-error');
  }

  /** The very end, whatever led to it: the stream goes, with what was written so far. Nothing happens the second time. */
  end(reason: CloseReason): void {
    if (this.#state === 'closed') return;
    const wasOpen = this.#state === 'open';
    this.#reason ??= reason;
    this.#state = 'closed';
    this.#turn.stop();
    this.#parser.stop();
    try {
      if (!this.#stream.destroyed) this.output.endTurn();
      if (wasOpen) this.#release();
    } catch (error) {
      this.logger.error({ err: error }, DEFECT);
    }
    this.#stream.destroy();
    this.#handshake.end();
    this.#host.connectionEnded(this, this.#reason);
    const fields = { connection: this.name, reason: this.#reason };
    this.#context.logger[isQuiet(this.#reason) ? 'info' : 'warn'](fields, 'connection ended');
  }
}
