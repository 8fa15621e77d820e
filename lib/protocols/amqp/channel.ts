// A channel: takes its frames, knows its state, and hands methods to the handler of their class.

import { FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from '../../../codec/generated/constants.ts';
import {
  BASIC_PUBLISH,
  CHANNEL_CLOSE,
  CHANNEL_CLOSE_OK,
  decodeMethod,
  type Method,
} from '../../../codec/generated/methods.ts';
import { readUInt32 } from '../../../codec/integers.ts';
import { AmqpError } from './amqp-error.ts';
import type { ChannelHost } from './channel-host.ts';
import { Deliveries } from './deliveries.ts';
import { handleMethod } from './handlers/dispatch.ts';
import { Publisher } from './publisher.ts';
import type { Transaction } from './transaction.ts';
import { type PutOffFrames, Wait } from './waits.ts';

export class Channel {
  readonly number: number;
  readonly host: ChannelHost;
  readonly publisher: Publisher;
  readonly deliveries: Deliveries;
  /** The queue declared last: what an empty queue name means (AMQP 0-9-1, queue.declare). */
  lastQueueName = '';
  /** What tx mode holds back; null in the other modes. */
  transaction: Transaction | null = null;
  /** We sent channel.close: everything is ignored until the client's answer. */
  #closing = false;
  /** The answer that is awaited, if there is one: frames that come meanwhile are put off. */
  #wait: Wait | null = null;

  constructor(number: number, host: ChannelHost) {
    this.number = number;
    this.host = host;
    this.publisher = new Publisher(this, host);
    this.deliveries = new Deliveries(this, host);
  }

  onMethod(buffer: Buffer, start: number, end: number): void {
    if (this.#wait !== null) {
      this.host.waits.putOff(this.#wait, FRAME_METHOD, buffer, start, end, true);
      return;
    }
    this.publisher.content.expectMethod();
    const id = readUInt32(buffer, start);
    if (id === BASIC_PUBLISH) {
      this.publisher.begin(buffer, start, end);
      return;
    }
    const method = decodeMethod(buffer, start, end);
    if (this.#closing) this.#whileClosing(method);
    else handleMethod(this, method);
  }

  onHeader(buffer: Buffer, start: number, end: number): void {
    if (this.#wait !== null) this.host.waits.putOff(this.#wait, FRAME_HEADER, buffer, start, end, true);
    else if (this.publisher.content.header(buffer, start, end, this.#closing)) this.#publish();
    this.host.publishing();
  }

  onBody(buffer: Buffer, start: number, end: number, last: boolean): void {
    if (this.#wait !== null) {
      this.host.waits.putOff(this.#wait, FRAME_BODY, buffer, start, end, last);
      return;
    }
    if (this.publisher.content.body(buffer, start, end, last)) this.#publish();
    // A body that was begun may be completed: only so it ever leaves. But one connection must not pile up many of them.
    if (this.host.partialBodies.bytes > this.host.session.maxMessageSizeBytes) this.host.publishing();
  }

  send(method: Method): void {
    this.host.send(this.number, method);
  }

  /**
   * Sends the answer to what was just done: at once, or once it is durable if it is to be.
   * @param since where the durability's sequence stood before
   */
  sendWhenDurable(method: Method, since: number): void {
    const { durability } = this.host.session.virtualHost;
    if (durability.sequence === since) {
      this.send(method);
      return;
    }
    this.answerWhen<void>(
      (done) => durability.whenDurable(done),
      () => this.send(method),
    );
  }

  /**
   * Makes the channel wait until `begin` calls back, at once or later, and answers then.
   * @param late called instead of `answer` when the channel has ended meanwhile
   */
  answerWhen<Value>(
    begin: (done: (value: Value) => void) => void,
    answer: (value: Value) => void,
    late?: (value: Value) => void,
  ): void {
    const wait = new Wait();
    this.#wait = wait;
    begin((value) => {
      if (this.#wait !== wait) {
        late?.(value);
        return;
      }
      try {
        answer(value);
      } catch (error) {
        this.host.failed(this, error);
      }
      this.#goOn(wait);
    });
  }

  /** True when an answer is still due. */
  get isWaiting(): boolean {
    return this.#wait !== null && !this.#wait.over;
  }

  /** Ends the wait, answered or not, and hands out what was put off. */
  takePutOff(): PutOffFrames | null {
    const frames = this.#wait?.frames ?? null;
    this.#wait = null;
    return frames;
  }

  /** What is left of what was handed out goes before all that will come. */
  putOffAgain(frames: PutOffFrames): void {
    if (this.#wait === null) {
      this.#wait = new Wait();
      this.#wait.over = true;
    }
    this.#wait.frames = frames;
  }

  /** The client closes the channel. */
  close(): void {
    this.shutDown();
    this.publisher.flushConfirms();
    this.send({ id: CHANNEL_CLOSE_OK });
    this.host.channelClosed(this);
  }

  /** We close the channel for an error: `channel.close` is sent, the answer awaited. */
  closeForError(replyCode: number, replyText: string, methodId: number): void {
    this.#closing = true;
    this.publisher.flushConfirms();
    this.shutDown();
    this.send({ id: CHANNEL_CLOSE, replyCode, replyText, classId: methodId >>> 16, methodId: methodId & 0xffff });
  }

  /** Says what was gathered in this turn: confirms, and the consumers that went with their queues. */
  endTurn(): void {
    this.publisher.flushConfirms();
    // The answer goes first: it may be to what took the consumers' queue away.
    if (!this.isWaiting) this.deliveries.flushCancels();
  }

  /** Ends consumers and gives back what was not acknowledged. */
  shutDown(): void {
    this.endConsumers();
    this.endDeliveries();
  }

  /** The first half of an end: no consumer of this channel gets what `endDeliveries` gives back. */
  endConsumers(): void {
    if (this.#wait !== null) this.host.waits.drop(this.#wait);
    this.#wait = null;
    this.publisher.end();
    this.deliveries.cancelAll();
  }

  endDeliveries(): void {
    if (this.transaction !== null) {
      this.deliveries.restore(this.transaction.claimed());
      this.transaction.clear();
    }
    this.deliveries.abandonAll();
  }

  #goOn(wait: Wait): void {
    if (this.#wait !== wait) return;
    if (this.deliveries.owesCancels) this.host.atEndOfTurn(this);
    if (wait.frames === null) {
      this.#wait = null;
      return;
    }
    wait.over = true;
    this.host.waits.goOn(this.number);
  }

  #publish(): void {
    if (!this.#closing) this.publisher.publish();
    this.publisher.content.forget();
  }

  #whileClosing(method: Method): void {
    if (method.id === CHANNEL_CLOSE_OK) {
      this.host.channelClosed(this);
    } else if (method.id === CHANNEL_CLOSE) {
      this.send({ id: CHANNEL_CLOSE_OK });
    } else if (method.id >>> 16 === CHANNEL_CLOSE >>> 16) {
      throw new AmqpError('CHANNEL_ERROR', "second 'channel.open' seen");
    }
  }
}
