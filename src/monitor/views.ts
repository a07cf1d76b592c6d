import type { ReportColumn } from '../report/columns.ts';
import { ACTIVITY_VIEW } from '../stats/activity.ts';
import { LOCKS_VIEW } from '../stats/locks.ts';
import { REPLICATION_VIEW } from '../stats/replication.ts';
import { renderDuration, renderNumber } from '../text/units.ts';
import type { SessionTarget } from './end-session.ts';
import type { MonitorLook, MonitorView } from './look.ts';
import {
  type EventRate,
  type RateRow,
  rateRows,
  rateStatements,
  type StatementRate,
  saleRows,
  type WaitShare,
  waitShares,
} from './rates.ts';

/** A table that a view shows, as the screen needs it: without the type of its rows. */
export interface ShownTable {
  columns: ReportColumn<unknown>[];
  rows: unknown[];
  /** In the order in which `s` goes through them; the first is the one to begin with. */
  sorts: string[];
  /** The session that a row is about. */
  targetOf(row: unknown): SessionTarget | undefined;
  empty: string;
}

interface ViewParts<Row> {
  /** Whether its rows form a tree, which no sorting may tear. */
  isTree?: boolean;
  columns: ReportColumn<Row>[];
  rowsOf(looks: readonly MonitorLook[]): Row[];
  sorts?: Record<string, (a: Row, b: Row) => number>;
  targetOf?(row: Row): SessionTarget | undefined;
  empty: string;
}

const most =
  <Row>(value: (row: Row) => number | null) =>
  (a: Row, b: Row) =>
    (value(b) ?? -1) - (value(a) ?? -1);

const last = (looks: readonly MonitorLook[]) => looks.at(-1);

const STATEMENTS: ViewParts<StatementRate> = {
  columns: [
    { header: 'time', unit: 'ratio', value: (row) => row.shareOfTime },
    { header: 'calls/s', unit: 'count', value: (row) => renderRate(row.callsPerSecond) },
    { header: 'mean', unit: 'ms', value: (row) => row.meanMs },
    { header: 'rows/s', unit: 'count', value: (row) => renderRate(row.rowsPerSecond), priority: 3 },
    { header: 'statement', value: (row) => row.query ?? '(hidden)', priority: 0 },
  ],
  rowsOf: rateStatements,
  sorts: {
    time: most((row) => row.shareOfTime),
    mean: most((row) => row.meanMs),
    calls: most((row) => row.callsPerSecond),
  },
  empty: 'no statement was counted since the monitor began to look',
};

const WAITS: ViewParts<WaitShare> = {
  columns: [
    { header: 'waits for', value: (row) => row.event },
    { header: 'now', unit: 'count', value: (row) => row.now },
    { header: 'sessions', unit: 'count', value: (row) => renderRate(row.sessions) },
    { header: 'share', unit: 'ratio', value: (row) => row.share },
    { header: '', value: (row) => '█'.repeat(Math.round(row.share * 20)), priority: 2 },
  ],
  rowsOf: waitShares,
  sorts: { share: most((row) => row.share), now: most((row) => row.now) },
  empty: 'no session was active since the monitor began to look',
};

const RATES: ViewParts<RateRow> = {
  columns: [
    { header: 'a second', value: (row) => row.name },
    { header: 'now', unit: 'count', value: (row) => row.now },
    { header: 'mean', unit: 'count', value: (row) => row.mean },
    { header: 'most', unit: 'count', value: (row) => row.most },
    { header: 'last minute', value: (row) => row.history, priority: 1 },
  ],
  rowsOf: rateRows,
  empty: 'rates need a second look',
};

const SALE: ViewParts<EventRate> = {
  columns: [
    { header: 'event', unit: 'text', value: (row) => row.id },
    { header: 'title', value: (row) => row.title, priority: 1 },
    {
      header: 'left',
      unit: 'count',
      value: (row) => row.left,
      tone: (row) => (row.left === 0 ? 'critical' : undefined),
    },
    { header: 'of', unit: 'count', value: (row) => row.capacity, priority: 2 },
    { header: 'held', unit: 'count', value: (row) => row.held, priority: 4 },
    { header: 'seats/s', unit: 'count', value: (row) => renderRate(row.seatsPerSecond) },
    {
      header: 'sold out in',
      value: (row) =>
        row.left === 0
          ? 'sold out'
          : row.soldOutInMs === null
            ? null
            : renderDuration(row.soldOutInMs),
      tone: (row) => (row.soldOutInMs !== null && row.soldOutInMs < 60_000 ? 'warning' : undefined),
    },
    {
      header: 'waiting',
      unit: 'count',
      value: (row) => (row.waiting === 0 ? null : row.waiting),
      tone: (row) => (row.waiting > 0 ? 'warning' : undefined),
    },
    { header: 'longest', unit: 'ms', value: (row) => row.longestWaitMs, priority: 3 },
    { header: 'who waits', value: (row) => row.waiters, priority: 2 },
  ],
  rowsOf: saleRows,
  sorts: {
    sold: most((row) => row.seatsPerSecond),
    waiting: most((row) => row.waiting),
    left: (a, b) => a.left - b.left,
  },
  empty: 'no event of the event schema is to come',
};

/** Two digits below ten: an event that sells one seat in ten seconds sells some. */
export function renderRate(perSecond: number): string {
  if (perSecond === 0) return '0';
  return Math.abs(perSecond) < 9.95 ? perSecond.toFixed(1) : renderNumber(Math.round(perSecond));
}

const target = (row: {
  pid: number;
  user: string | null;
  application: string | null;
}): SessionTarget | undefined =>
  row.pid > 0 ? { pid: row.pid, user: row.user, application: row.application } : undefined;

/** The view as a table of what the last looks saw, sorted and filtered. */
export function tableOf(
  view: MonitorView,
  looks: readonly MonitorLook[],
  { sort, filter }: { sort: number; filter: string },
): ShownTable {
  switch (view) {
    case 'activity':
      return shown(
        {
          columns: ACTIVITY_VIEW.columns,
          rowsOf: (all) => last(all)?.activity ?? [],
          sorts: {
            transaction: most((row) => row.transactionMs),
            running: most((row) => row.statementMs),
            pid: (a, b) => a.pid - b.pid,
          },
          targetOf: target,
          empty: 'no other session runs anything or has a transaction open',
        },
        looks,
        { sort, filter },
      );
    case 'locks':
      return shown(
        {
          isTree: true,
          columns: LOCKS_VIEW.columns,
          rowsOf: (all) => last(all)?.locks ?? [],
          targetOf: target,
          empty: 'no session waits for a lock',
        },
        looks,
        { sort, filter },
      );
    case 'replication':
      return shown(
        {
          columns: REPLICATION_VIEW.columns,
          rowsOf: (all) => last(all)?.replication ?? [],
          empty: 'no replication slot, and nothing streams from this server',
        },
        looks,
        { sort, filter },
      );
    case 'statements':
      return shown(STATEMENTS, looks, { sort, filter });
    case 'waits':
      return shown(WAITS, looks, { sort, filter });
    case 'rates':
      return shown(RATES, looks, { sort, filter });
    default:
      return shown(SALE, looks, { sort, filter });
  }
}

function shown<Row>(
  parts: ViewParts<Row>,
  looks: readonly MonitorLook[],
  { sort, filter }: { sort: number; filter: string },
): ShownTable {
  const sorts = Object.entries(parts.sorts ?? {});
  const all = parts.rowsOf(looks);
  const compare = sorts.length === 0 ? undefined : sorts[sort % sorts.length]?.[1];
  const sorted = compare && !parts.isTree ? [...all].sort(compare) : all;
  const wanted = filter.toLowerCase();
  const rows = wanted === '' ? sorted : sorted.filter((row, at) => says(parts, row, at, sorted));
  return {
    columns: parts.columns as ReportColumn<unknown>[],
    rows,
    sorts: sorts.map(([name]) => name),
    targetOf: (parts.targetOf ?? (() => undefined)) as ShownTable['targetOf'],
    empty: wanted === '' ? parts.empty : `nothing here says "${filter}"`,
  };

  function says({ columns }: ViewParts<Row>, row: Row, at: number, rows: Row[]): boolean {
    return columns.some(({ value }) =>
      String(value(row, at, rows) ?? '')
        .toLowerCase()
        .includes(wanted),
    );
  }
}
