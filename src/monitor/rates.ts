import { renderBytes, renderNumber } from '../text/units.ts';
import { COUNTERS, type CounterName, type MonitorLook, type StatementCounters } from './look.ts';

/*
 * What happened between looks, made of counters that only grow. A smaller one was reset in between, and
 * then nothing is known of that time.
 */

/** A statement in the time that the monitor has looked at it, at most half a minute. */
export interface StatementRate {
  query: string | null;
  /** 0 to 1, of the time of all that were counted. */
  shareOfTime: number;
  callsPerSecond: number;
  rowsPerSecond: number;
  meanMs: number;
}

/** What sessions waited for, over all looks that are kept. */
export interface WaitShare {
  event: string;
  now: number;
  /** On average in each look. */
  sessions: number;
  /** 0 to 1, of all active sessions. */
  share: number;
}

/** A rate as it is shown. */
export interface RateRow {
  name: string;
  now: string;
  mean: string;
  most: string;
  /** The last minute in small columns. */
  history: string;
}

/** An event on sale. */
export interface EventRate {
  id: number;
  title: string;
  left: number;
  capacity: number;
  held: number;
  /** Seats that were taken, less those that became free. */
  seatsPerSecond: number;
  /** Null if nothing is sold, or everything is. */
  soldOutInMs: number | null;
  waiting: number;
  longestWaitMs: number | null;
  /** Such as `4711 api, 4712 api`. */
  waiters: string;
}

function secondsBetween(before: MonitorLook, after: MonitorLook): number {
  return (after.pulse.at.getTime() - before.pulse.at.getTime()) / 1000;
}

/** What a counter rose by a second; null if that is unknown. */
export function counterRate(
  before: MonitorLook,
  after: MonitorLook,
  name: CounterName,
): number | null {
  const [from, to] = [before.pulse.counters[name], after.pulse.counters[name]];
  const seconds = secondsBetween(before, after);
  if (from === null || to === null || to < from || seconds <= 0) return null;
  return (to - from) / seconds;
}

const WINDOW_MS = 30_000;

/** The last look that shows something, and the oldest of the last half minute that shows it too. */
function windowOf(
  looks: readonly MonitorLook[],
  shows: (look: MonitorLook) => boolean,
): [MonitorLook, MonitorLook] | undefined {
  const after = looks.at(-1);
  if (after === undefined || !shows(after)) return undefined;
  const from = after.pulse.at.getTime() - WINDOW_MS;
  const before = looks.find((look) => look.pulse.at.getTime() >= from && shows(look));
  return before === undefined || before === after ? undefined : [before, after];
}

/** Without those on the system catalog: else a monitor would mostly show itself. */
export function rateStatements(looks: readonly MonitorLook[]): StatementRate[] {
  const compared = windowOf(looks, ({ statements }) => statements !== undefined);
  if (!compared) return [];
  const [before, after] = compared;
  const seconds = secondsBetween(before, after);
  const known = new Map((before.statements ?? []).map((one) => [one.id, one]));
  const ran = (after.statements ?? []).flatMap((now) => {
    const was = countedBefore(known.get(now.id), now);
    const calls = now.calls - was.calls;
    if (calls <= 0 || now.query?.includes('pg_catalog.')) return [];
    return [{ query: now.query, calls, ms: now.totalMs - was.totalMs, rows: now.rows - was.rows }];
  });
  const totalMs = ran.reduce((sum, { ms }) => sum + ms, 0);
  return ran.map(({ query, calls, ms, rows }) => ({
    query,
    shareOfTime: totalMs === 0 ? 0 : ms / totalMs,
    callsPerSecond: calls / seconds,
    rowsPerSecond: rows / seconds,
    meanMs: ms / calls,
  }));
}

/** One that was not counted before, or whose counters were reset, began at zero. */
function countedBefore(
  before: StatementCounters | undefined,
  now: StatementCounters,
): Pick<StatementCounters, 'calls' | 'totalMs' | 'rows'> {
  if (before && before.calls <= now.calls) return before;
  return { calls: 0, totalMs: 0, rows: 0 };
}

/** What active sessions waited for, in all looks that are kept. */
export function waitShares(looks: readonly MonitorLook[]): WaitShare[] {
  const sums = new Map<string, number>();
  for (const { pulse } of looks) {
    for (const { event, sessions } of pulse.waits) {
      sums.set(event, (sums.get(event) ?? 0) + sessions);
    }
  }
  const total = [...sums.values()].reduce((sum, sessions) => sum + sessions, 0);
  const now = new Map(looks.at(-1)?.pulse.waits.map(({ event, sessions }) => [event, sessions]));
  return [...sums].map(([event, sessions]) => ({
    event,
    now: now.get(event) ?? 0,
    sessions: sessions / looks.length,
    share: sessions / total,
  }));
}

const NAMES: Record<CounterName, string> = {
  commits: 'commits',
  rollbacks: 'rollbacks',
  rowsRead: 'rows read',
  rowsInserted: 'rows inserted',
  rowsUpdated: 'rows updated',
  rowsDeleted: 'rows deleted',
  blocksHit: 'blocks from memory',
  blocksRead: 'blocks from disk',
  tempBytes: 'temporary files',
  walBytes: 'WAL',
  deadlocks: 'deadlocks',
};

/** Each counter's rate now, on average, and over time. */
export function rateRows(looks: readonly MonitorLook[]): RateRow[] {
  if (looks.length < 2) return [];
  return COUNTERS.map((name) => {
    const rates = ratesOf(looks, name);
    const render = name.endsWith('Bytes') ? renderBytes : (rate: number) => renderNumber(rate);
    const shown = (rate: number | undefined) =>
      rate === undefined ? '-' : render(Math.round(rate));
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    return {
      name: NAMES[name],
      now: shown(rates.at(-1)),
      mean: shown(rates.length === 0 ? undefined : mean),
      most: shown(rates.length === 0 ? undefined : Math.max(...rates)),
      history: sparkline(rates),
    };
  });
}

/** From one look to the next, where it is known. */
function ratesOf(looks: readonly MonitorLook[], name: CounterName): number[] {
  return looks.slice(1).flatMap((look, at) => {
    const rate = counterRate(looks[at] as MonitorLook, look, name);
    return rate === null ? [] : [rate];
  });
}

const STEPS = '▁▂▃▄▅▆▇█';
const MOST_STEPS = 60;

/** The last values as columns of one character, the highest as high as it gets. */
export function sparkline(values: readonly number[]): string {
  const last = values.slice(-MOST_STEPS);
  const top = Math.max(...last);
  return last
    .map((value) => STEPS[top <= 0 ? 0 : Math.round((value / top) * (STEPS.length - 1))])
    .join('');
}

/** Registrations that were inserted a second, of all events; null if that is unknown. */
export function registrationRate(looks: readonly MonitorLook[]): number | null {
  const compared = windowOf(looks, ({ sale }) => sale !== undefined);
  if (!compared) return null;
  const [before, after] = compared;
  const [from, to] = [before.sale?.registered ?? null, after.sale?.registered ?? null];
  if (from === null || to === null || to < from) return null;
  return (to - from) / secondsBetween(before, after);
}

const QUEUES = 1024;

/** The events that are to come, with what was sold of them in the last half minute. */
export function saleRows(looks: readonly MonitorLook[]): EventRate[] {
  const sale = looks.at(-1)?.sale;
  if (!sale) return [];
  const compared = windowOf(looks, (look) => look.sale !== undefined);
  const before = new Map(compared?.[0].sale?.events.map((event) => [event.id, event]));
  const seconds = compared ? secondsBetween(...compared) : 0;
  const queues = new Map(sale.queues.map((queue) => [queue.slot, queue]));
  return sale.events.map(({ id, title, capacity, confirmed, held }) => {
    const was = before.get(id);
    const taken = confirmed + held;
    const perSecond = was && seconds > 0 ? (taken - was.confirmed - was.held) / seconds : 0;
    const left = Math.max(0, capacity - taken);
    const queue = queues.get(id % QUEUES);
    return {
      ...{ id, title, left, capacity, held },
      seatsPerSecond: perSecond,
      soldOutInMs: perSecond > 0 && left > 0 ? (left / perSecond) * 1000 : null,
      waiting: queue?.waiting ?? 0,
      longestWaitMs: queue?.longestMs ?? null,
      waiters: (queue?.sessions ?? [])
        .map(({ pid, application }) => (application === null ? `${pid}` : `${pid} ${application}`))
        .join(', '),
    };
  });
}
