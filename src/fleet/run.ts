import { setTimeout as sleep } from 'node:timers/promises';
import { createSessionKeeper, type SessionKeeper } from '../connection/session-keeper.ts';
import { EvdbError } from '../errors.ts';
import { renderDuration, timerMs } from '../text/units.ts';
import type { FleetMember } from './members.ts';
import type { Wave } from './waves.ts';

/**
 * `found`: a check found something. `doneBefore`: an earlier part of the same run did it. `notBegun`: the
 * run stopped before.
 */
export type MemberState = 'done' | 'found' | 'failed' | 'interrupted' | 'doneBefore' | 'notBegun';

/** What became of one member. */
export interface MemberOutcome {
  member: string;
  state: MemberState;
  /** What the command alone would have ended with; null where it did not run. */
  exitCode: number | null;
  durationMs: number;
  error?: { code: string; message: string; hint?: string };
}

/** What the work on a member says of itself. */
export interface MemberVerdict {
  state: 'done' | 'found' | 'failed' | 'interrupted';
  exitCode?: number | undefined;
  error?: EvdbError | undefined;
}

/** What the work on a member is given. */
export interface MemberUse {
  /** For its `ConnectionOptions`: sessions stay open for the next member of the same database. */
  keeper: SessionKeeper;
  /** Aborted where the run is interrupted, or the member takes too long. */
  signal: AbortSignal;
}

/** How a fleet is run. */
export interface RunFleetOptions {
  waves: readonly Wave[];
  /** How many members at a time; default 8. */
  concurrency?: number | undefined;
  /** How many members may fail before no other one begins; default: any number. */
  failureBudget?: number | undefined;
  /** How long one member may take, in ms; default: any time. */
  memberTimeoutMs?: number | undefined;
  /** How long to wait after each wave but the last, in ms; default 0. */
  wavePauseMs?: number | undefined;
  /** Asked after each wave but the last; what it gives is why no other wave begins; default: nothing is. */
  checkWave?: ((wave: Wave) => Promise<string | undefined>) | undefined;
  /** Whether an earlier part of this run has done a member; default: of none. */
  isDone?: ((member: FleetMember) => boolean) | undefined;
  /** Called before each wave, with how many there are; default: nothing is. */
  onWave?: ((wave: Wave, waves: number) => void) | undefined;
  /** Called as a member begins; default: nothing is. */
  onStart?: ((member: FleetMember) => void) | undefined;
  /** Called as each member ends, before its place is taken by another; default: nothing is. */
  onEnd?: ((outcome: MemberOutcome, member: FleetMember) => void) | undefined;
  /** Lets what is under way wind up, and begins nothing more; default: nothing does. */
  signal?: AbortSignal | undefined;
}

/** What became of a fleet. */
export interface FleetResult {
  /** In their order. */
  members: MemberOutcome[];
  /** Why members were not begun; absent where all were. */
  stopped?: { by: 'failures' | 'check' | 'interrupt'; reason: string };
  durationMs: number;
}

const DEFAULT_CONCURRENCY = 8;

/** What winds up in an orderly way has this long; a runner of migrations needs 15 s at most. */
const WIND_UP_MS = 20_000;

/**
 * Runs work for the members of a fleet, wave after wave, a bounded number of them at a time. One that
 * hangs holds one place only. Each worker keeps at most two sessions for members of the same database.
 *
 * @param work what is done for one member; what it throws is that member's failure
 * @throws {EvdbError} CONFIRM_REQUIRED of any member, and what is no EvdbError: both concern the whole run
 * @example
 * const result = await runFleet(
 *   { waves: planWaves(members, { canary: '1' }), failureBudget: 0 },
 *   async ({ schema }, { keeper, signal }) => {
 *     await migrateUp({ connection: { ...connection, keeper }, schema, directory, signal });
 *     return undefined;
 *   },
 * );
 */
export async function runFleet(
  options: RunFleetOptions,
  work: (member: FleetMember, use: MemberUse) => Promise<MemberVerdict | undefined>,
): Promise<FleetResult> {
  const startedAt = performance.now();
  const { waves, concurrency = DEFAULT_CONCURRENCY } = options;
  const run: Run = { options, work, outcomes: new Map(), failures: 0, stopped: undefined };
  const most = Math.max(...waves.map(({ members }) => members.length), 1);
  const workers = Array.from({ length: Math.min(concurrency, most) }, createWorker);
  for (const [index, wave] of waves.entries()) {
    if (run.stopped) break;
    options.onWave?.(wave, waves.length);
    await runWave(wave, workers, run);
    if (index < waves.length - 1 && !run.stopped) await pauseAfter(wave, run);
  }
  const members = waves
    .flatMap((wave) => wave.members)
    .map(({ name }) => run.outcomes.get(name) ?? leftOut(name, 'notBegun'));
  return {
    members,
    ...(run.stopped && { stopped: run.stopped }),
    durationMs: performance.now() - startedAt,
  };
}

interface Run {
  options: RunFleetOptions;
  work: (member: FleetMember, use: MemberUse) => Promise<MemberVerdict | undefined>;
  outcomes: Map<string, MemberOutcome>;
  failures: number;
  stopped: FleetResult['stopped'];
}

interface Worker {
  keeper: SessionKeeper;
}

function createWorker(): Worker {
  return { keeper: createSessionKeeper() };
}

function leftOut(member: string, state: 'notBegun' | 'doneBefore'): MemberOutcome {
  return { member, state, exitCode: null, durationMs: 0 };
}

async function runWave(wave: Wave, workers: readonly Worker[], run: Run): Promise<void> {
  const members = wave.members.values();
  let escaped: unknown;
  const takeTurns = async (worker: Worker) => {
    // One iterator for all: each takes the next member that nobody has.
    for (const member of members) {
      stopIfInterrupted(run);
      if (run.stopped || escaped) return;
      if (run.options.isDone?.(member)) {
        note(run, member, leftOut(member.name, 'doneBefore'));
        continue;
      }
      const outcome = await runMember(member, worker, run);
      note(run, member, outcome);
      judge(wave, run);
    }
  };
  const turns = workers.map((worker) =>
    takeTurns(worker).catch((error: unknown) => {
      escaped ??= error;
    }),
  );
  await Promise.all(turns);
  await Promise.all(workers.map(({ keeper }) => keeper.release()));
  if (escaped) throw escaped;
}

function note(run: Run, member: FleetMember, outcome: MemberOutcome): void {
  run.outcomes.set(member.name, outcome);
  if (outcome.state === 'failed') run.failures += 1;
  run.options.onEnd?.(outcome, member);
}

function judge(wave: Wave, run: Run): void {
  const { failureBudget = Number.POSITIVE_INFINITY } = run.options;
  stopIfInterrupted(run);
  // The canary group is there to fail before others do.
  const budget = wave.isCanary && Number.isFinite(failureBudget) ? 0 : failureBudget;
  // Those that were under way when the first ones failed may fail too.
  if (run.failures <= budget || run.stopped?.by === 'interrupt') return;
  const most = budget === 0 ? 'none may' : `at most ${budget} may`;
  const where = wave.isCanary ? ' in the canary group' : '';
  const failed = run.failures === 1 ? '1 member failed' : `${run.failures} members failed`;
  run.stopped = { by: 'failures', reason: `${failed}${where}, and ${most}` };
}

function stopIfInterrupted(run: Run): void {
  if (run.options.signal?.aborted) run.stopped ??= { by: 'interrupt', reason: 'interrupted' };
}

async function runMember(
  member: FleetMember,
  worker: Worker,
  { options, work }: Run,
): Promise<MemberOutcome> {
  const startedAt = performance.now();
  options.onStart?.(member);
  const end = watchEnd(options);
  const { keeper } = worker;
  const working = work(member, { keeper, signal: end.signal }).then(
    (verdict) => verdict ?? { state: 'done' as const },
    (error: unknown) => verdictOf(error, end.signal),
  );
  const verdict = await Promise.race([working, end.isGivenUp]);
  end.stop();
  if (end.signal.aborted) {
    // Whatever still runs in them is cancelled.
    keeper.destroy();
    worker.keeper = createSessionKeeper();
  }
  const { state, exitCode = null, error } = verdict;
  return {
    member: member.name,
    ...{ state, exitCode, durationMs: performance.now() - startedAt },
    ...(error && { error: describeError(error) }),
  };
}

function describeError({ code, message, hint }: EvdbError): NonNullable<MemberOutcome['error']> {
  return { code, message, ...(hint !== undefined && { hint }) };
}

/** What asks for consent, and a fault in evdb, concern the whole run. */
function verdictOf(error: unknown, signal: AbortSignal): MemberVerdict {
  if (!(error instanceof EvdbError) || error.code === 'CONFIRM_REQUIRED') throw error;
  const isInterrupted = signal.aborted && error.code === 'INTERRUPTED';
  return { state: isInterrupted ? 'interrupted' : 'failed', error };
}

/** Ends the work on one member where it takes too long, or the run is interrupted. */
function watchEnd({ signal, memberTimeoutMs }: RunFleetOptions) {
  const controller = new AbortController();
  let giveUp: ((verdict: MemberVerdict) => void) | undefined;
  const isGivenUp = new Promise<MemberVerdict>((resolve) => {
    giveUp = resolve;
  });
  let windUp: NodeJS.Timeout | undefined;
  const abort = (error: EvdbError, state: 'failed' | 'interrupted') => {
    controller.abort(error);
    windUp = setTimeout(() => giveUp?.({ state, error }), WIND_UP_MS);
  };
  const onInterrupt = () => abort(interrupted(), 'interrupted');
  if (signal?.aborted) onInterrupt();
  signal?.addEventListener('abort', onInterrupt, { once: true });
  const timer =
    memberTimeoutMs === undefined
      ? undefined
      : setTimeout(() => abort(tookTooLong(memberTimeoutMs), 'failed'), timerMs(memberTimeoutMs));
  return {
    signal: controller.signal,
    isGivenUp,
    stop: () => {
      clearTimeout(timer);
      clearTimeout(windUp);
      signal?.removeEventListener('abort', onInterrupt);
    },
  };
}

function interrupted(): EvdbError {
  return new EvdbError('INTERRUPTED', 'interrupted while this member was under way');
}

function tookTooLong(timeoutMs: number): EvdbError {
  return new EvdbError(
    'MEMBER_TIMEOUT',
    `the member took longer than ${renderDuration(timeoutMs)} and was stopped`,
    { hint: 'Look at what it waits for, or give it more time with --member-timeout.' },
  );
}

async function pauseAfter(wave: Wave, run: Run): Promise<void> {
  const { wavePauseMs = 0, checkWave, signal } = run.options;
  if (wavePauseMs > 0)
    await sleep(timerMs(wavePauseMs), undefined, { signal }).catch(() => undefined);
  stopIfInterrupted(run);
  if (run.stopped || checkWave === undefined) return;
  const reason = await checkWave(wave);
  stopIfInterrupted(run);
  if (reason !== undefined) run.stopped ??= { by: 'check', reason };
}
