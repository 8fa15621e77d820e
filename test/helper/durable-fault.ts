// Makes a function of node:fs fail or wait on demand, as a broken, full or slow disk does. In a process of its own it is
// preloaded (`node --import`), told by DURABLE_FAULT what is to fail, such as `fdatasync:EIO`, and switched by SIGUSR2.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** What may fail: functions that end with a callback. */
export type FaultyCall = 'fdatasync' | 'writev' | 'mkdir' | 'read';

type Call = (...args: unknown[]) => void;
type Callback = (error: Error) => void;

/** Puts something in the place of a function; returns what puts the function back. */
function replaceCall(call: FaultyCall, replacement: (original: Call) => Call): () => void {
  // All of these take a callback last, and whoever calls them knows their other arguments.
  const functions = fs as unknown as Record<FaultyCall, Call>;
  const original = functions[call];
  functions[call] = replacement(original);
  // Those who imported the function by name, or the module as a namespace, get the new one.
  syncBuiltinESMExports();
  return () => {
    functions[call] = original;
    syncBuiltinESMExports();
  };
}

/** A function that fails while the fault is on. */
export class Fault {
  readonly #call: FaultyCall;
  readonly #code: string;
  readonly #restore: () => void;
  #onFailure: (() => void)[] = [];
  isOn = false;

  constructor(call: FaultyCall, code: string) {
    this.#call = call;
    this.#code = code;
    this.#restore = replaceCall(call, (original) => (...args) => {
      if (this.isOn) process.nextTick(args.at(-1) as Callback, this.#error());
      else original(...args);
    });
  }

  nextFailure(): Promise<void> {
    return new Promise((resolve) => this.#onFailure.push(resolve));
  }

  /** Puts the function back. */
  end(): void {
    this.#restore();
    this.isOn = false;
  }

  #error(): Error {
    const told = this.#onFailure;
    this.#onFailure = [];
    for (const tell of told) tell();
    const text = `${this.#code}: a fault that a test makes, ${this.#call}`;
    return Object.assign(new Error(text), { code: this.#code, syscall: this.#call });
  }
}

/** A function that is not called before it is let go. */
export class Hold {
  readonly #restore: () => void;
  #held: (() => void)[] = [];
  #onCall: () => void = () => undefined;
  /** Resolves when the function was called. */
  readonly called = new Promise<void>((resolve) => {
    this.#onCall = resolve;
  });

  constructor(call: FaultyCall) {
    this.#restore = replaceCall(call, (original) => (...args) => {
      this.#held.push(() => original(...args));
      this.#onCall();
    });
  }

  /** Puts the function back, and does what was asked of it. */
  end(): void {
    this.#restore();
    const held = this.#held;
    this.#held = [];
    for (const call of held) call();
  }
}

const wanted = /^(\w+):(E[A-Z]+)(:on)?$/.exec(process.env.DURABLE_FAULT ?? '');
if (wanted !== null) {
  const [, call, code, isOn] = wanted;
  const fault = new Fault(call as FaultyCall, code);
  fault.isOn = isOn !== undefined;
  process.on('SIGUSR2', () => {
    fault.isOn = !fault.isOn;
    process.stdout.write(`fault is ${fault.isOn ? 'on' : 'off'}\n`);
  });
}
