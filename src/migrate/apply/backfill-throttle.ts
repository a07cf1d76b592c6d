import { setTimeout as sleep } from 'node:timers/promises';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount, renderNumber } from '../../text/units.ts';
import { createFiguresReader, type FiguresReader, waitersSql } from '../backfill/server-figures.ts';
import {
  DEFAULT_THROTTLE,
  listHidden,
  listReasons,
  type RestReason,
  renderWindow,
  restForShare,
  type ServerFigures,
  type ThrottleLimits,
  untilOpen,
} from '../backfill/throttle.ts';
import { readWantedSql, setRestSql, wantSql } from '../ledger/backfill.ts';
import { fenceSql } from '../ledger/lock.ts';
import { fullName } from '../plan/plan.ts';
import type { Walk } from './backfill.ts';
import { stepName } from './context.ts';

/** Lets a backfill rest between its batches, all of its workers, as the server and its operator want it. */
export interface Throttle {
  /** Before the first batch: waits where it is paused, or its window is closed. */
  open(): Promise<void>;
  /** Looks during a batch of the backend `pid` whether others wait for it. */
  during<T>(pid: number, batch: () => Promise<T>): Promise<T>;
  /** After a batch. Returns when the worker's next one may begin. */
  after(batch: { tookMs: number; rowsChanged: number; wanted: string }): Promise<void>;
}

/** So often at most the server is asked how it copes. */
const LOOK_EVERY_MS = 1000;

interface About {
  batchTimeMs: number;
  /** The backends of the workers. */
  pids: number[];
  /** Is told that others waited for a batch. */
  hindered: () => void;
}

export async function createThrottle(walk: Walk, about: About): Promise<Throttle> {
  const { throttle: limits = DEFAULT_THROTTLE, maxRate } = walk.context.settings.backfill;
  const rest = createRest(walk);
  const gate = createGate(walk, rest);
  const isWatching = Object.values(limits).some((limit) => limit !== null);
  const watch = isWatching ? await createWatch(walk, rest, { ...about, limits }) : undefined;
  const share = createQuiet(rest, { code: 'share', message: SHARE });
  const rate = createQuiet(rest, {
    code: 'max-rate',
    message: `it changes at most ${renderNumber(maxRate ?? 0)} rows/s`,
  });
  const inTurn = createTurns();
  return {
    open: async () => {
      await gate.pass(await readWanted(walk));
      await rest.end();
    },
    during: (pid, batch) => (watch ? watch.during(pid, batch) : batch()),
    after: async ({ tookMs, rowsChanged, wanted }) => {
      const endedAt = performance.now();
      if (maxRate !== undefined) rate.extend(endedAt - tookMs, (1000 * rowsChanged) / maxRate);
      if (watch) share.until(endedAt + (await watch.shareMs(tookMs)));
      // While one worker rests here, the others wait behind it as soon as their batches are done.
      await inTurn(async () => {
        walk.context.signal?.throwIfAborted();
        await gate.pass(wanted);
        await watch?.after(tookMs);
        await share.pass();
        await rate.pass();
        await rest.end();
      });
    },
  };
}

const SHARE = 'other sessions are active and get their share of the time';

/** Lets work through one after the other. */
export function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };
}

/** A time before which no batch begins, whichever worker asked for it. */
function createQuiet(rest: Rest, reason: RestReason) {
  let endsAt = 0;
  return {
    until: (at: number) => {
      endsAt = Math.max(endsAt, at);
    },
    /** The time of several batches adds up. */
    extend: (from: number, ms: number) => {
      endsAt = Math.max(endsAt, from) + ms;
    },
    pass: async () => {
      for (let leftMs = 1; leftMs > 0; ) {
        leftMs = endsAt - performance.now();
        if (leftMs > 0) await rest.because([reason], leftMs);
      }
    },
  };
}

/** What people say: whether it is paused, and when it may work. */
function createGate(walk: Walk, rest: Rest) {
  const { window } = walk.context.settings.backfill;
  return {
    pass: async (first: string): Promise<void> => {
      for (let wanted = first; wanted !== 'run'; wanted = await readWanted(walk)) {
        if (wanted === 'cancel') throw await cancelled(walk);
        // Without the command line: the ledger keeps it, and that may hold a password.
        const message = 'it is paused until `backfill resume`';
        await rest.because([{ code: 'paused', message }], LOOK_EVERY_MS);
      }
      for (;;) {
        const closedMs = window ? untilOpen(window, new Date()) : 0;
        if (!window || closedMs <= 0) return;
        const message = `it works in ${renderWindow(window)} only`;
        await rest.because([{ code: 'window', message }], Math.min(closedMs, LOOK_EVERY_MS));
      }
    },
  };
}

/** What the server shows. */
async function createWatch(walk: Walk, rest: Rest, about: About & { limits: ThrottleLimits }) {
  const { batchTimeMs, pids, hindered, limits } = about;
  const { observer } = walk.context;
  const own = () => [...pids, ...observer.pids];
  const reader = await createFiguresReader(observer, walk.table, own);
  const look = createLook(reader);
  const hidden = listHidden(await look(), limits);
  if (hidden.length > 0) tellHidden(walk, hidden);
  let waiting = 0;
  const sample = async (pid: number) => {
    const [row] = await observer.run(waitersSql(pid, pids));
    waiting = Math.max(waiting, Number(row?.waiting));
  };
  return {
    during: async <T>(pid: number, batch: () => Promise<T>): Promise<T> => {
      const timer = setTimeout(() => void sample(pid).catch(() => undefined), batchTimeMs / 2);
      try {
        return await batch();
      } finally {
        clearTimeout(timer);
      }
    },
    after: async (tookMs: number): Promise<void> => {
      for (;;) {
        const reasons = listReasons(await look(), limits);
        if (reasons.length === 0) break;
        await rest.because(reasons, LOOK_EVERY_MS);
        look.forget();
      }
      if (waiting > 0) {
        hindered();
        const message = `${renderCount(waiting, 'session')} waited for its last batch`;
        waiting = 0;
        await rest.because([{ code: 'waiting-sessions', message }], tookMs);
      }
    },
    shareMs: async (tookMs: number) => restForShare(tookMs, await look(), limits),
  };
}

/** Reads the figures, and gives them again for a while. */
function createLook(reader: FiguresReader) {
  let last: { figures: ServerFigures; atMs: number } | undefined;
  const look = async (): Promise<ServerFigures> => {
    if (!last || performance.now() - last.atMs > LOOK_EVERY_MS) {
      last = { figures: await reader.read(), atMs: performance.now() };
    }
    return last.figures;
  };
  return Object.assign(look, {
    forget: () => {
      last = undefined;
    },
  });
}

type Rest = ReturnType<typeof createRest>;

/** What lasts no longer needs not be told, nor written down for others. */
const WORTH_TELLING_MS = 1000;

function createRest({ step, context, place }: Walk) {
  let told = '';
  let since = 0;
  const write = async (reason: string | null) => {
    // What is only for others to see must not end the work.
    await context.observer
      .run(`${fenceSql(place.key)}${setRestSql(place, reason)}`)
      .catch(() => undefined);
  };
  return {
    because: async (reasons: RestReason[], ms: number) => {
      const text = reasons.map(({ message }) => message).join('; ');
      const isNew = reasons.map(({ code }) => code).join() !== told;
      if (isNew) since = performance.now();
      const isLong = ms >= WORTH_TELLING_MS;
      if (isNew && isLong) {
        told = reasons.map(({ code }) => code).join();
        await write(text);
      }
      if (isLong) {
        context.onProgress({
          kind: 'backfill-rest',
          step: stepName(step),
          reasons,
          isNew,
          restedMs: Math.round(performance.now() - since),
        });
      }
      const { signal } = context;
      await sleep(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
    },
    end: async () => {
      if (told === '') return;
      told = '';
      await write(null);
    },
  };
}

function tellHidden({ step, context }: Walk, figures: string[]): void {
  context.onProgress({ kind: 'backfill-unknown', step: stepName(step), figures });
}

async function readWanted({ context, place }: Walk): Promise<string> {
  context.signal?.throwIfAborted();
  const [row] = await context.observer.run(readWantedSql(place));
  return String(row?.wanted ?? 'run');
}

/** The next `up` goes on, so what was asked for is done with. */
async function cancelled({ step, context, place }: Walk): Promise<EvdbError> {
  await context.observer.run(`${fenceSql(place.key)}${wantSql(place, 'run')}`);
  const [up, down] = [commandLine('migrate up'), commandLine('migrate down')];
  const isUp = step.direction === 'up';
  return new EvdbError(
    'BACKFILL_CANCELLED',
    `${fullName(step)} was cancelled by \`backfill cancel\``,
    {
      hint: isUp
        ? `Its batches so far are committed. \`${up}\` continues it, \`${down}\` rolls it back.`
        : `Its batches so far are committed. \`${down}\` continues it.`,
      details: { version: step.version },
    },
  );
}
