// The opening of a connection: start, tune, open. It decides each step and its answer; the connection sends and closes.
import type { FieldTable } from '../../../codec/field-table.ts';
import { encodeMethodFrame } from '../../../codec/frame-writer.ts';
import { FRAME_MIN_SIZE } from '../../../codec/generated/constants.ts';
import {
  CONNECTION_OPEN,
  CONNECTION_OPEN_OK,
  CONNECTION_START,
  CONNECTION_START_OK,
  CONNECTION_TUNE,
  CONNECTION_TUNE_OK,
  type ConnectionOpen,
  type ConnectionStartOk,
  type ConnectionTuneOk,
  type Method,
} from '../../../codec/generated/methods.ts';
import { encodedStringSize, encodeString } from '../../../codec/strings.ts';
import { isLoopbackAddress } from '../../auth/loopback.ts';
import { checkVhostAccess } from '../../auth/permissions.ts';
import type { User } from '../../auth/users.ts';
import type { AmqpContext } from './amqp-context.ts';
import { AmqpError } from './amqp-error.ts';
import type { Session } from './channel-host.ts';
import type { CloseReason } from './close-reason.ts';
import { connectionRefusal, countConnection, uncountConnection } from './limits.ts';

/** The handshake can't go on. */
export class HandshakeError extends Error {
  readonly reason: CloseReason;
  /** What connection.close says; undefined when the connection just ends, as RabbitMQ ends it at this stage. */
  readonly notice: AmqpError | undefined;

  constructor(reason: CloseReason, message: string, notice?: AmqpError) {
    super(message);
    this.reason = reason;
    this.notice = notice;
  }
}

const NO_PROPERTIES: FieldTable = new Map();

type Step = 'start-ok' | 'tune-ok' | 'open' | 'done';

/** What the server says first: the same bytes to everybody. */
export function startFrame({
  serverProperties,
  saslMechanisms,
}: Pick<AmqpContext, 'serverProperties' | 'saslMechanisms'>): Buffer {
  return encodeMethodFrame(0, {
    id: CONNECTION_START,
    versionMajor: 0,
    versionMinor: 9,
    serverProperties,
    mechanisms: [...saslMechanisms.keys()].join(' '),
    locales: 'en_US',
  });
}

export class Handshake {
  readonly #context: AmqpContext;
  readonly #remoteAddress: string | undefined;
  #step: Step = 'start-ok';
  #user: User | undefined;
  /** Forgotten once all that is of interest was read from it: connections are many. */
  #clientProperties = NO_PROPERTIES;
  #mechanism = '';
  #frameMax = 0;
  #channelMax = 0;
  #heartbeatSeconds = 0;
  #session: Session | undefined;

  constructor(context: AmqpContext, remoteAddress: string | undefined) {
    this.#context = context;
    this.#remoteAddress = remoteAddress;
  }

  get step(): Step {
    return this.#step;
  }

  /** What was agreed on; undefined until connection.open succeeded. */
  get session(): Session | undefined {
    return this.#session;
  }

  get mechanism(): string {
    return this.#mechanism;
  }

  /** 0, which is off, until connection.tune-ok. */
  get heartbeatSeconds(): number {
    return this.#heartbeatSeconds;
  }

  /** The largest frame to expect; until connection.tune-ok, the least that every peer takes. */
  get frameMax(): number {
    return this.#frameMax === 0 ? FRAME_MIN_SIZE : this.#frameMax;
  }

  /** Takes the client's next method and returns the answer, if there is one. @throws {HandshakeError | AmqpError} */
  handle(method: Method): Method | undefined {
    if (this.#step === 'start-ok' && method.id === CONNECTION_START_OK) return this.#startOk(method);
    if (this.#step === 'tune-ok' && method.id === CONNECTION_TUNE_OK) return this.#tuneOk(method);
    if (this.#step === 'open' && method.id === CONNECTION_OPEN) return this.#open(method);
    if (this.#step === 'open') {
      throw new AmqpError('CHANNEL_ERROR', 'unexpected method in connection state opening', method.id);
    }
    throw new HandshakeError('handshake-failed', `expected connection.${this.#step}`);
  }

  #startOk(method: ConnectionStartOk): Method {
    this.#clientProperties = method.clientProperties;
    this.#mechanism = method.mechanism;
    this.#user = this.#authenticate(method);
    this.#step = 'tune-ok';
    const { channelMax, frameMaxBytes: frameMax, heartbeatSeconds: heartbeat } = this.#context;
    return { id: CONNECTION_TUNE, channelMax, frameMax, heartbeat };
  }

  #authenticate({ mechanism, response }: ConnectionStartOk): User {
    const sasl = this.#context.saslMechanisms.get(mechanism);
    if (sasl === undefined) {
      throw new HandshakeError('authentication-failed', `no authentication mechanism '${mechanism}'`);
    }
    const size = encodedStringSize(response);
    const bytes = Buffer.allocUnsafe(size);
    encodeString(response, size, bytes, 0);
    const credentials = sasl.parse(bytes);
    if (credentials === undefined) throw new HandshakeError('authentication-failed', `malformed ${mechanism} response`);
    const { username, password } = credentials;
    const user = this.#context.users.authenticate(username, password);
    if (user === undefined) throw this.#loginRefused(`wrong user name or password for user '${username}'`);
    if (this.#context.loopbackUsers.includes(username) && !isLoopbackAddress(this.#remoteAddress)) {
      throw this.#loginRefused(`user '${username}' can only connect via localhost`);
    }
    return user;
  }

  #loginRefused(message: string): HandshakeError {
    if (!this.#hasCapability('authentication_failure_close')) {
      return new HandshakeError('authentication-failed', message);
    }
    const text = `Login was refused using authentication mechanism ${this.#mechanism}. For details see the broker logfile.`;
    return new HandshakeError('authentication-failed', message, new AmqpError('ACCESS_REFUSED', text, 0));
  }

  #tuneOk(method: ConnectionTuneOk): undefined {
    const { channelMax, frameMaxBytes } = this.#context;
    this.#frameMax = agree('frame_max', method.frameMax, FRAME_MIN_SIZE, frameMaxBytes);
    this.#channelMax = agree('channel_max', method.channelMax, 1, channelMax);
    this.#heartbeatSeconds = method.heartbeat;
    this.#step = 'open';
  }

  #open(method: ConnectionOpen): Method {
    const name = method.virtualHost;
    const virtualHost = this.#context.virtualHosts.get(name);
    if (virtualHost === undefined) throw refused('virtual-host-refused', `vhost ${name} not found`);
    const user = this.#user;
    if (user === undefined) throw new Error('connection.open before login');
    // As RabbitMQ does, before it is looked at whether the user may come in at all.
    const refusal = connectionRefusal(user, virtualHost);
    if (refusal !== undefined) throw refused('too-many-connections', refusal);
    if (!checkVhostAccess(user, name)) {
      throw refused('virtual-host-refused', `access to vhost '${name}' refused for user '${user.name}'`);
    }
    countConnection(user, virtualHost);
    this.#session = {
      user,
      virtualHost,
      frameMax: this.#frameMax,
      channelMax: this.#channelMax,
      heartbeatSeconds: this.#heartbeatSeconds,
      wantsCancelNotify: this.#hasCapability('consumer_cancel_notify'),
      wantsBlockedNotify: this.#hasCapability('connection.blocked'),
      maxMessageSizeBytes: this.#context.maxMessageSizeBytes,
      consumerTimeoutMs: this.#context.consumerTimeoutMs,
      memory: this.#context.memory,
      clock: this.#context.clock,
      alarms: this.#context.alarms,
      flow: this.#context.flow,
    };
    this.#clientProperties = NO_PROPERTIES;
    this.#step = 'done';
    return { id: CONNECTION_OPEN_OK };
  }

  /** The connection is over; called once. */
  end(): void {
    if (this.#session !== undefined) uncountConnection(this.#session.user, this.#session.virtualHost);
  }

  /** A capability that the client announced. */
  #hasCapability(name: string): boolean {
    const capabilities = this.#clientProperties.get('capabilities');
    return capabilities?.type === 'F' && capabilities.value.get(name)?.value === true;
  }
}

function refused(reason: CloseReason, message: string): HandshakeError {
  return new HandshakeError(reason, message, new AmqpError('NOT_ALLOWED', message, CONNECTION_OPEN));
}

/** The client may ask for less than the server offered, not for more, nor for "no limit". */
function agree(what: string, wanted: number, least: number, most: number): number {
  if (wanted >= least && wanted <= most) return wanted;
  throw new HandshakeError('handshake-failed', `negotiated ${what} = ${wanted}, must be from ${least} to ${most}`);
}
