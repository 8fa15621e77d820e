// The experiment: the broker lives and dies over and over on one data folder, clients work with it, and the model is compared
// with what it has after each death or after several.
import { cpSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { BrokerProcess } from './broker-process.ts';
import { CHAIN_PLANS } from './chain-plans.ts';
import { Consumer } from './consumer.ts';
import { Courier } from './courier.ts';
import type { Figures, FindingKind } from './findings.ts';
import { drawPlan, Executioner, FolderWatch, type KillPlan } from './kill-plan.ts';
import { MessageFactory } from './messages.ts';
import { Model } from './model.ts';
import { Owner } from './owner.ts';
import { countPaged } from './paged.ts';
import { type Actor, Publisher } from './publisher.ts';
import { Source } from './publishing.ts';
import { diceOf, mixSeeds } from './random.ts';
import { Session } from './session.ts';
import { addSharedQueues, checkTopology } from './topology.ts';
import { Transactor } from './transactor.ts';
import { verify } from './verify.ts';
import { verifyChains } from './verify-chains.ts';

/** A signal or an exit code. */
type End = 'SIGKILL' | 0;

export interface ExperimentOptions {
  readonly seed: number;
  /** Deaths by SIGKILL until it ends. */
  readonly kills: number;
  /** Ends it earlier. */
  readonly deadlineMs?: number;
  /** More deaths, until so much has happened: how many that takes is the machine's doing. */
  readonly isEnough?: (figures: Figures) => boolean;
  /** `none` for a broker that keeps nothing: it must be found out. */
  readonly folder: string;
  /** Always the same, for tests of the experiment itself. */
  readonly plan?: KillPlan;
  /** Short lives. */
  readonly brief?: boolean;
  /** More arguments for the command. */
  readonly brokerArgs?: readonly string[];
  /** Findings that do not count. */
  readonly tolerated?: readonly FindingKind[];
  /** More arguments for Node.js, which runs the command. */
  readonly nodeArgs?: readonly string[];
  /** Called when the broker is dead; a test of the experiment may damage its data here. */
  readonly afterDeath?: () => void;
  readonly print?: (line: string) => void;
}

/** Small enough that segments, pages, checkpoints and merges happen all the time. */
const BROKER_ARGS = ['--segment-size-bytes', '1MiB', '--memory-budget-bytes', '1MiB'];
/** The chains are shared out among so many. */
const COURIERS = 4;
/** A start that takes longer is none. */
const START_LIMIT_MS = 60_000;
/** Clients that were told to stop, and a broker that was, do so within this time. */
const STOP_LIMIT_MS = 30_000;

export class Experiment {
  readonly #options: ExperimentOptions;
  readonly #factory: MessageFactory;
  readonly #actors: readonly Actor[];
  readonly #verifier: Source;
  readonly #startedAt = performance.now();
  readonly model: Model;
  #sharedDeclared = false;
  #recoveryMs = 100;
  #lastOutput = '';
  #plan: KillPlan | undefined;
  #life = 1;
  #isComparing = false;

  constructor(options: ExperimentOptions) {
    this.#options = options;
    const model = new Model(options.tolerated);
    this.model = model;
    const factory = new MessageFactory(options.seed);
    this.#factory = factory;
    addSharedQueues(model);
    this.#actors = [
      ...[0, 1, 2].map((index) => new Publisher(index, model, factory)),
      ...[0, 1, 2, 3].map((index) => new Consumer(index, model, factory)),
      ...[0, 1].map((index) => new Owner(index, model, factory)),
      new Owner(2, model, factory, [{ maxPriority: 5 }, { isQuorum: true }]),
      ...[0, 1].map((index) => new Transactor(index, model, factory)),
      ...Array.from({ length: COURIERS }, (_, index) => {
        const plans = CHAIN_PLANS.filter((_, i) => i % COURIERS === index);
        return new Courier(index, plans, model, factory);
      }),
    ];
    this.#verifier = new Source('verifier', { sizes: 'small', transientOneIn: 0 }, factory);
    if (options.folder !== 'none') mkdirSync(options.folder, { recursive: true });
  }

  /** Runs to the end, or to the first finding. */
  async run(): Promise<void> {
    const { model } = this;
    const { seed, print, plan, afterDeath } = this.#options;
    while (this.#isGood && !this.#isOver) {
      const { life } = model;
      this.#life = life;
      const dice = diceOf(seed, life);
      if (life > 1 && plan === undefined && dice.once(8)) await this.#dieInRecovery();
      else await this.#live(plan ?? drawPlan(dice, this.#options.brief === true));
      afterDeath?.();
      if (this.#isGood) this.#keepCopy();
      print?.(this.progress());
    }
    if (!this.#isGood) return;
    this.#life = model.life;
    await this.#live(undefined);
  }

  /** What went wrong, and what it takes to find out why. */
  failure(): string {
    const { findings } = this.model;
    const { seed, folder } = this.#options;
    return [
      `${findings.total} findings in life ${this.#life}, seed ${seed}; the data folder is ${folder}, and ${folder}.before as it was before that life`,
      findings.toString(),
      `the plan was ${JSON.stringify(this.#plan)}; the broker's last output:`,
      this.#lastOutput,
    ].join('\n');
  }

  progress(): string {
    const { figures } = this.model;
    const { how = 'end', moment = '', nth = 0, delayMs = 0 } = this.#plan ?? {};
    const all = [...this.model.ledgers, ...this.model.chains];
    const queued = all.reduce((sum, ledger) => sum + ledger.size, 0);
    return (
      `life ${this.#life}: ${how} ${nth}. ${moment} + ${delayMs} ms; ${figures.kills} kills, ${figures.published} published, ` +
      `${figures.confirmed} confirmed, ${figures.delivered} delivered, ${figures.commits} commits, ${figures.deadLetters} dead letters, ${queued} open, ` +
      `recovery ${Math.round(this.#recoveryMs)} ms`
    );
  }

  /** What a death left behind is worth more than what the next life made of it. */
  #keepCopy(): void {
    const { folder } = this.#options;
    if (folder === 'none') return;
    rmSync(`${folder}.before`, { recursive: true, force: true });
    // The lock is a socket, which can't be copied.
    cpSync(folder, `${folder}.before`, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
  }

  /** Removes the data. */
  clean(): void {
    const { folder } = this.#options;
    if (folder === 'none') return;
    for (const path of [folder, `${folder}.before`]) rmSync(path, { recursive: true, force: true });
  }

  get #isOver(): boolean {
    const { kills, deadlineMs = Number.POSITIVE_INFINITY, isEnough } = this.#options;
    if (performance.now() - this.#startedAt >= deadlineMs) return true;
    const { figures } = this.model;
    return figures.kills >= kills && isEnough?.(figures) !== false;
  }

  get #isGood(): boolean {
    return this.model.findings.total === 0;
  }

  #startBroker(): BrokerProcess {
    this.model.figures.lives++;
    const { folder, brokerArgs = [], nodeArgs } = this.#options;
    return new BrokerProcess(['--data-dir', folder, ...BROKER_ARGS, ...brokerArgs], nodeArgs);
  }

  /** Kills it at some time between its first touch of the data folder and the end of its recovery, judged by the one before. */
  async #dieInRecovery(): Promise<void> {
    const dice = diceOf(this.#options.seed, this.model.life, 1);
    const broker = this.#startBroker();
    const delayMs = dice.roll(Math.ceil(this.#recoveryMs) + 20);
    this.#plan = { moment: 'file', nth: 1, delayMs, how: 'kill', stopMs: 0, latestMs: START_LIMIT_MS };
    const executioner = new Executioner(this.#plan, () => broker.kill('SIGKILL'));
    const watch = new FolderWatch(this.#options.folder, () => executioner.notice('file'));
    void broker.ready.then((ready) => {
      if (ready !== undefined) executioner.notice('file');
    });
    const tooLong = this.#limitStart(broker);
    await broker.exited;
    clearTimeout(tooLong);
    watch.close();
    executioner.dismiss();
    await this.#judge(broker, ['SIGKILL']);
    this.model.figures.killsInRecovery++;
    this.model.crash();
  }

  /** @param plan how it ends; without one it ends gracefully, when all has been compared */
  async #live(plan: KillPlan | undefined): Promise<void> {
    const { model } = this;
    const { seed, folder } = this.#options;
    this.#plan = plan;
    const broker = this.#startBroker();
    const tooLong = this.#limitStart(broker);
    let touchedAt = performance.now();
    const first = new FolderWatch(folder, () => {
      touchedAt = performance.now();
      first.close();
    });
    const ready = await broker.ready;
    first.close();
    clearTimeout(tooLong);
    if (ready === undefined) {
      model.findings.add('broker', 'ended before it was ready');
      await this.#judge(broker, []);
      return;
    }
    this.#recoveryMs = performance.now() - touchedAt;
    model.figures.recoveryMs.push(this.#recoveryMs);

    /** How it may end. */
    let ends: readonly End[] = [];
    const die = (): void => {
      ends = this.#kill(broker, session, plan);
    };
    const executioner =
      plan === undefined
        ? undefined
        : new Executioner(plan, () => {
            if (plan.how === 'rest') session.stopping = true;
            else die();
          });
    const session = new Session(ready.port, model.findings, (moment) => executioner?.notice(moment));
    const watch = new FolderWatch(folder, () => executioner?.notice('file'));
    // A finding ends the life at once, so that the data folder shows how it came about; but a comparison tells all that it finds.
    model.findings.onFirst = () => {
      if (!this.#isComparing) die();
    };
    void broker.exited.then(() => session.brokerDies());

    const dice = diceOf(seed, model.life, 2);
    const work = session.attempt('life', this.#liveOut(session, plan, dice));
    await Promise.race([work, broker.exited]);
    if (ends.length === 0) die();
    await broker.exited;
    executioner?.dismiss();
    watch.close();
    await session.ended();
    await work;
    await this.#judge(broker, ends);
    model.crash();
  }

  /** From the start to the death of the broker, or to a moment at which nothing is left to do. */
  async #liveOut(session: Session, plan: KillPlan | undefined, dice: ReturnType<typeof diceOf>): Promise<void> {
    const { model } = this;
    const compare = async (): Promise<void> => {
      this.#isComparing = true;
      const parts = { session, model, factory: this.#factory, source: this.#verifier, dice };
      const wait = plan === undefined || (this.#options.brief !== true && dice.once(4));
      try {
        await verifyChains({ ...parts, wait });
        await verify(session, model, this.#factory, this.#verifier, dice);
      } finally {
        this.#isComparing = false;
      }
    };
    await checkTopology(session, model, this.#sharedDeclared);
    this.#sharedDeclared = true;
    if (plan === undefined || plan.moment === 'drain' || dice.once(3)) await compare();
    if (plan === undefined || !this.#isGood) return;
    session.notice('started');
    const seeds = this.#actors.map((_, index) => mixSeeds(this.#options.seed, model.life, 3, index));
    const actors = this.#actors.map((actor, index) => session.attempt(actor.name, actor.run(session, seeds[index])));
    await this.#finish(session, Promise.all(actors));
    if (plan.how === 'rest') await compare();
  }

  /** Clients that were told to stop must come to an end: a confirm that never comes is found here. */
  async #finish(session: Session, actors: Promise<unknown>): Promise<void> {
    let asked = 0;
    const patience = setInterval(() => {
      if (session.stopping && ++asked > STOP_LIMIT_MS / 100) {
        this.model.findings.add('stalled', `clients did not come to an end within ${STOP_LIMIT_MS} ms`);
      }
    }, 100);
    await session.call(actors).finally(() => clearInterval(patience));
  }

  #limitStart(broker: BrokerProcess): NodeJS.Timeout {
    return setTimeout(() => {
      this.model.findings.add('broker', `did not start within ${START_LIMIT_MS} ms`);
      broker.kill('SIGKILL');
    }, START_LIMIT_MS);
  }

  /** @returns how it may end now */
  #kill(broker: BrokerProcess, session: Session, plan: KillPlan | undefined): readonly End[] {
    session.brokerDies();
    const isGraceful = this.#isGood && (plan === undefined || plan.how === 'graceful' || plan.how === 'stop');
    if (!isGraceful) {
      broker.kill('SIGKILL');
      return ['SIGKILL'];
    }
    this.model.stopping();
    broker.kill('SIGTERM');
    const limitMs = plan?.how === 'stop' ? plan.stopMs : STOP_LIMIT_MS;
    const patience = setTimeout(() => broker.kill('SIGKILL'), limitMs);
    void broker.exited.then(() => clearTimeout(patience));
    return plan?.how === 'stop' ? ['SIGKILL', 0] : [0];
  }

  /** Any end but the one that was asked for is a finding, and so is a defect that the broker logged. */
  async #judge(broker: BrokerProcess, ends: readonly End[]): Promise<void> {
    const { findings, figures } = this.model;
    const { code, signal } = await broker.exited;
    this.#lastOutput = broker.output();
    countPaged(this.#options.folder, figures);
    if (signal === 'SIGKILL') figures.kills++;
    else figures.gracefulStops++;
    if (broker.defect !== undefined) findings.add('broker', `logged ${broker.defect}`);
    if (!ends.some((end) => end === (signal ?? code))) findings.add('broker', `ended with ${signal ?? `code ${code}`}`);
  }
}
