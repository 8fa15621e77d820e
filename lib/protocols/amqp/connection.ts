// A connection: the stream, its state from the protocol header to the last byte, its channels. What channels do is theirs.
import type { Duplex } from 'node:stream';
import type { CodecError } from '../../../codec/errors.ts';
import { unexpectedFrame } from '../../../codec/frame-errors.ts';
import { FrameParser, type FrameSink } from '../../../codec/frame-parser.ts';
import { encodeMethodFrame, HEARTBEAT_FRAME, PROTOCOL_HEADER } from '../../../codec/frame-writer.ts';
import { FRAME_METHOD, FRAME_MIN_SIZE, INTERNAL_ERROR, isHardError } from '../../../codec/generated/constants.ts';
import * as methods from '../../../codec/generated/methods.ts';
import { CHANNEL_OPEN, CHANNEL_OPEN_OK, decodeMethod, type Method } from '../../../codec/generated/methods.ts';
import { readUInt32 } from '../../../codec/integers.ts';
import { replyText } from '../../../codec/reply-text.ts';
import type { User } from '../../auth/users.ts';
import type { MemoryAccount } from '../../core/memory-account.ts';
import type { Logger } from '../../core/ports.ts';
import type { Queue } from '../../core/queue.ts';
import type { RetentionSlab } from '../../core/retention-slab.ts';
import type { TurnTask } from '../../core/turn.ts';
import type { VirtualHost } from '../../core/virtual-host.ts';
import type { AmqpContext, PeerAddresses } from './amqp-context.ts';
import { AmqpError, type CloseNotice, toCloseNotice } from './amqp-error.ts';
import { Channel } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import { type CloseReason, isQuiet } from './close-reason.ts';
import { Handshake, HandshakeError } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import { OutputBuffer, type OutputPool } from './output-buffer.ts';

/** How long a peer that must answer connection.close, or close its socket, may take. */
const CLOSE_TIMEOUT_MS = 30_000;
/** The same for a peer whose frames can't be read any more. */
const DEAF_CLOSE_TIMEOUT_MS = 3_000;
const BLOCKED_REASON = 'low on memory';

/**
 * header: awaiting the protocol header. handshake: awaiting the next step. open: in use. closing: connection.close or close-ok
 * was sent, the peer's end is awaited. deaf: the same, but its bytes are dropped unread. closed: over.
 */
type State = 'header' | 'handshake' | 'open' | 'closing' | 'deaf' | 'closed';

/** What a connection tells its listener. */
export interface ConnectionHost {
  readonly pool: OutputPool;
  /** The connection is over; called once. */
  connectionEnded(connection: Connection, reason: CloseReason): void;
}

export class Connection implements FrameSink, ChannelHost, TurnTask {
  /** `127.0.0.1:50000 -> 127.0.0.1:5672` */
  readonly name: string;
  readonly output: OutputBuffer;
  readonly ownedQueues = new Set<Queue>();
  readonly logger: Logger;
  readonly #stream: Duplex;
  readonly #context: AmqpContext;
  readonly #host: ConnectionHost;
  readonly #parser: FrameParser;
  readonly #handshake: Handshake;
  readonly #channels = new Map<number, Channel>();
  #lastChannel: Channel | undefined;
  #state: State = 'header';
  #reason: CloseReason | undefined;
  #header: Buffer = Buffer.alloc(0);
  #heartbeat: Heartbeat;
  /** When the peer must have done what is awaited of it; undefined when nothing is. */
  #deadline: number | undefined;
  #inTurn = false;
  #confirming: Channel[] = [];
  #publishes = false;
  #blocked = false;
  #receiving = false;
  readonly #backlog: Buffer[] = [];
  #unwatchAlarm: () => void = () => {};
  #firstToResume = 0;
  congested = false;

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
    this.logger = context.logger.child({ connection: this.name });
    this.output = new OutputBuffer(stream, host.pool, reusableWrites);
    this.#parser = new FrameParser(this, FRAME_MIN_SIZE);
    this.#handshake = new Handshake(context, peer.remoteAddress);
    this.#heartbeat = new Heartbeat(0, 0);
    this.#deadline = context.clock.now() + context.handshakeTimeoutMs;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('drain', () => this.#drained());
    stream.on('error', (error: Error) => this.#streamFailed(error));
    stream.on('end', () => stream.end());
    stream.on('close', () => this.#ended('socket-closed'));
  }

  // What channels ask

  get user(): User {
    if (this.#handshake.user === undefined) throw new Error('the connection has no user yet');
    return this.#handshake.user;
  }

  get virtualHost(): VirtualHost {
    if (this.#handshake.virtualHost === undefined) throw new Error('the connection has no virtual host yet');
    return this.#handshake.virtualHost;
  }

  get frameMax(): number {
    return this.#handshake.frameMax;
  }

  get maxMessageSizeBytes(): number {
    return this.#context.maxMessageSizeBytes;
  }

  get memory(): MemoryAccount {
    return this.#context.memory;
  }

  get wantsCancelNotify(): boolean {
    return this.#handshake.hasCapability('consumer_cancel_notify');
  }

  send(channel: number, method: Method): void {
    this.output.write(encodeMethodFrame(channel, method));
    this.wrote();
  }

  wrote(): void {
    if (this.output.congested && !this.congested) this.#setCongested(true);
    if (this.#inTurn) return;
    this.#inTurn = true;
    this.#context.turn.add(this);
  }

  confirmAtEndOfTurn(channel: Channel): void {
    this.#confirming.push(channel);
    this.wrote();
  }

  publishing(): void {
    if (this.#publishes && !this.memory.raised) return;
    this.#publishes = true;
    if (this.memory.raised) this.#block();
  }

  channelClosed(channel: Channel): void {
    this.#channels.delete(channel.number);
    if (this.#lastChannel === channel) this.#lastChannel = undefined;
  }

  endTurn(): void {
    if (this.#state === 'closed') return;
    const confirming = this.#confirming;
    if (confirming.length > 0) {
      this.#confirming = [];
      for (const channel of confirming) channel.publisher.flushConfirms();
    }
    this.output.endTurn();
    // From here on, what is written belongs to the next turn.
    this.#inTurn = false;
    if (this.congested !== this.output.congested) this.#setCongested(this.output.congested);
  }

  // Frames

  onMethod(number: number, buffer: Buffer, start: number, end: number): void {
    const id = readUInt32(buffer, start);
    try {
      if (number === 0) {
        this.#controlMethod(decodeMethod(buffer, start, end));
        return;
      }
      if (this.#state !== 'open') {
        this.#frameBeforeOpen(buffer, start, end);
        return;
      }
      const channel = this.#channel(number);
      if (channel !== undefined) channel.onMethod(buffer, start, end);
      else this.#openChannel(number, decodeMethod(buffer, start, end));
    } catch (error) {
      this.#fail(error, number, id);
    }
  }

  onHeader(number: number, buffer: Buffer, start: number, end: number): void {
    if (this.#state !== 'open') return;
    try {
      this.#contentChannel(number).onHeader(buffer, start, end);
    } catch (error) {
      this.#fail(error, number, methods.BASIC_PUBLISH);
    }
  }

  onBody(number: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (this.#state !== 'open') return;
    try {
      this.#contentChannel(number).onBody(buffer, start, end, last);
    } catch (error) {
      this.#fail(error, number, methods.BASIC_PUBLISH);
    }
  }

  onRefusedFrame(error: CodecError): void {
    if (this.#state !== 'closing') this.#fail(error, 0, 0);
  }

  onHeartbeat(): void {
    // Any byte counts as a sign of life; see `#receive`.
  }

  // What the listener asks

  /** Called about once a second. */
  tick(now: number): void {
    if (this.#deadline !== undefined && now >= this.#deadline) {
      this.#ended(this.#reason ?? 'handshake-timeout');
      return;
    }
    const beat = this.#heartbeat.tick(now, this.output.bytesWritten, !this.#blocked);
    if (beat === 'dead') this.#ended('heartbeat-timeout');
    else if (beat === 'send' && !this.#stream.writableNeedDrain) {
      this.output.write(HEARTBEAT_FRAME);
      this.wrote();
    }
  }

  /** Closes with connection.close 320 and a text; the peer has some time to answer. */
  forceClose(reason: CloseReason, text: string): void {
    if (this.#state === 'open') this.#close(reason, new AmqpError('CONNECTION_FORCED', text, 0));
    else if (this.#state === 'header' || this.#state === 'handshake') this.#ended(reason);
  }

  /** Ends at once, without a word. */
  destroy(reason: CloseReason): void {
    this.#ended(reason);
  }

  /** Lets go of the received chunks that unacknowledged deliveries pin. */
  isolate(slab: RetentionSlab): void {
    for (const channel of this.#channels.values()) channel.deliveries.isolate(slab);
  }

  // Receiving

  #receive(chunk: Buffer): void {
    this.#heartbeat.received = true;
    // A stream in memory may answer a write before the write returns.
    if (this.#receiving) {
      this.#backlog.push(chunk);
      return;
    }
    this.#receiving = true;
    try {
      for (let next: Buffer | undefined = chunk; next !== undefined; next = this.#backlog.shift()) this.#take(next);
    } finally {
      this.#receiving = false;
    }
  }

  #take(chunk: Buffer): void {
    if (this.#state === 'header') {
      this.#takeHeader(chunk);
      return;
    }
    if (this.#state === 'closed') return;
    if (this.#state === 'deaf') return;
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#fail(error, 0, 0);
      if (this.#state === 'closing') this.#goDeaf();
    }
  }

  #goDeaf(): void {
    this.#state = 'deaf';
    this.#deadline = this.#context.clock.now() + DEAF_CLOSE_TIMEOUT_MS;
  }

  #takeHeader(chunk: Buffer): void {
    const bytes = this.#header.length === 0 ? chunk : Buffer.concat([this.#header, chunk]);
    const size = PROTOCOL_HEADER.length;
    if (bytes.length < size) {
      this.#header = bytes;
      return;
    }
    this.#header = Buffer.alloc(0);
    const header = bytes.subarray(0, size);
    if (!header.equals(PROTOCOL_HEADER) && !header.equals(OLD_PROTOCOL_HEADER)) {
      this.output.write(PROTOCOL_HEADER);
      this.#flush();
      this.#reason = 'bad-protocol-header';
      this.#goDeaf();
      this.#stream.end();
      return;
    }
    this.#state = 'handshake';
    this.send(0, this.#handshake.start());
    if (bytes.length > size) this.#take(bytes.subarray(size));
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
    else if (method.id === methods.CONNECTION_CLOSE_OK) this.#ended(this.#reason ?? 'client-close');
  }

  #continueHandshake(method: Method): void {
    const handshake = this.#handshake;
    const answer = handshake.handle(method);
    if (answer !== undefined) this.send(0, answer);
    if (method.id === methods.CONNECTION_TUNE_OK) {
      this.#parser.frameMax = handshake.frameMax;
      this.#heartbeat = new Heartbeat(handshake.heartbeatSeconds, this.#context.clock.now());
    }
    if (handshake.step !== 'done') return;
    this.#state = 'open';
    this.#deadline = undefined;
    this.#unwatchAlarm = this.memory.watch((raised) => this.#alarmChanged(raised));
    const { user, virtualHost } = this;
    this.logger.info({ user: user.name, vhost: virtualHost.name, mechanism: handshake.mechanism }, 'connection opened');
  }

  #frameBeforeOpen(buffer: Buffer, start: number, end: number): void {
    if (this.#state !== 'handshake') return;
    if (this.#handshake.step !== 'open') throw new HandshakeError('handshake-failed', 'a channel before the handshake');
    throw unexpectedFrame(FRAME_METHOD, end - start, buffer.subarray(start, end));
  }

  // Channels

  #channel(number: number): Channel | undefined {
    const last = this.#lastChannel;
    if (last !== undefined && last.number === number) return last;
    const channel = this.#channels.get(number);
    this.#lastChannel = channel;
    return channel;
  }

  #contentChannel(number: number): Channel {
    const channel = this.#channel(number);
    if (channel !== undefined) return channel;
    throw new AmqpError('UNEXPECTED_FRAME', 'expected method frame, got non method frame instead', 0);
  }

  #openChannel(number: number, method: Method): void {
    if (method.id !== CHANNEL_OPEN) throw new AmqpError('CHANNEL_ERROR', "expected 'channel.open'");
    const { channelMax } = this.#handshake;
    const count = this.#channels.size;
    if (count >= channelMax) {
      const text = `number of channels opened (${count}) has reached the negotiated channel_max (${channelMax})`;
      throw new AmqpError('NOT_ALLOWED', text, 0);
    }
    this.#channels.set(number, new Channel(number, this));
    this.send(number, { id: CHANNEL_OPEN_OK });
  }

  #setCongested(congested: boolean): void {
    this.congested = congested;
    const channels = [...this.#channels.values()];
    if (congested) {
      for (const { deliveries } of channels) deliveries.pause();
      return;
    }
    // Another channel is the first each time, so that one with an endless backlog can't keep the others from theirs.
    const first = this.#firstToResume++ % Math.max(1, channels.length);
    for (let i = 0; i < channels.length; i++) channels[(first + i) % channels.length].deliveries.resume();
  }

  #drained(): void {
    if (this.#state !== 'closed' && this.congested) this.wrote();
  }

  // Memory alarm

  #alarmChanged(raised: boolean): void {
    // A publisher is blocked by its next publish: until then it may well consume.
    if (raised || !this.#blocked) return;
    this.#blocked = false;
    this.#stream.resume();
    if (this.#handshake.hasCapability('connection.blocked')) this.send(0, { id: methods.CONNECTION_UNBLOCKED });
    this.logger.info({}, 'publisher unblocked');
  }

  #block(): void {
    if (this.#blocked) return;
    this.#blocked = true;
    this.#stream.pause();
    if (this.#handshake.hasCapability('connection.blocked')) {
      this.send(0, { id: methods.CONNECTION_BLOCKED, reason: BLOCKED_REASON });
    }
    this.logger.warn({ reason: BLOCKED_REASON }, 'publisher blocked');
  }

  // Ending

  #fail(thrown: unknown, number: number, methodId: number): void {
    if (thrown instanceof HandshakeError) {
      this.logger.warn({ reason: thrown.reason }, thrown.message);
      if (thrown.notice === undefined) this.#ended(thrown.reason);
      else this.#close(thrown.reason, thrown.notice, DEAF_CLOSE_TIMEOUT_MS);
      return;
    }
    const notice = toCloseNotice(thrown, methodId);
    if (this.#state === 'handshake' && (this.#handshake.step !== 'open' || notice?.replyCode === INTERNAL_ERROR)) {
      this.logger.warn({}, `handshake failed: ${notice?.message ?? thrown}`);
      this.#ended('handshake-failed');
      return;
    }
    if (notice === undefined) {
      this.logger.error({ err: thrown, channel: number }, 'a defect of the broker: the connection is closed');
      this.#close('internal-error', { replyCode: INTERNAL_ERROR, message: '', methodId: 0 });
      return;
    }
    const channel = this.#channels.get(number);
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
    for (const channel of this.#channels.values()) channel.publisher.flushConfirms();
    this.#reason = reason;
    this.#awaitEnd(timeoutMs);
    this.#release();
    this.send(0, {
      id: methods.CONNECTION_CLOSE,
      replyCode,
      replyText: text,
      classId: methodId >>> 16,
      methodId: methodId & 0xffff,
    });
  }

  #closedByClient(): void {
    for (const channel of this.#channels.values()) channel.publisher.flushConfirms();
    this.#reason = 'client-close';
    this.#awaitEnd(CLOSE_TIMEOUT_MS);
    this.#release();
    this.send(0, { id: methods.CONNECTION_CLOSE_OK });
  }

  #awaitEnd(timeoutMs: number): void {
    this.#state = 'closing';
    const { heartbeatSeconds } = this.#handshake;
    const patienceMs = heartbeatSeconds > 0 ? Math.min(heartbeatSeconds * 1000, timeoutMs) : timeoutMs;
    this.#deadline = this.#context.clock.now() + patienceMs;
    if (this.#blocked) this.#stream.resume();
    this.#blocked = false;
  }

  /** Gives back everything that the connection holds in the broker. */
  #release(): void {
    this.#unwatchAlarm();
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    this.#lastChannel = undefined;
    for (const channel of channels) channel.endConsumers();
    for (const channel of channels) channel.endDeliveries();
    if (this.ownedQueues.size > 0) this.virtualHost.deleteOwnedQueues(this);
  }

  #streamFailed(error: Error): void {
    this.logger.debug({ err: error }, 'the stream failed');
    this.#ended(this.#reason ?? 'socket-error');
  }

  #flush(): void {
    this.output.endTurn();
  }

  /** The very end, whatever led to it: the stream goes. */
  #ended(reason: CloseReason): void {
    if (this.#state === 'closed') return;
    const wasOpen = this.#state === 'open';
    this.#reason ??= reason;
    if (!this.#stream.destroyed) this.#flush();
    this.#state = 'closed';
    if (wasOpen) this.#release();
    this.#stream.destroy();
    this.#host.connectionEnded(this, this.#reason);
    const fields = { reason: this.#reason };
    if (isQuiet(this.#reason)) this.logger.info(fields, 'connection ended');
    else this.logger.warn(fields, 'connection ended');
  }
}

/** What clients of AMQP 0-9 say; RabbitMQ takes it for 0-9-1. */
const OLD_PROTOCOL_HEADER = Buffer.from('AMQP\x01\x01\x00\x09', 'latin1');
