import type { Session } from '../connection/session.ts';
import type { ReportNote, StatsReport } from '../report/columns.ts';
import { DAY_MS, renderCount } from '../text/units.ts';

/** How far the counters of this server can be believed. */
export interface CounterAge {
  /** The counters began no earlier. Null where the server does not count. */
  countedSince: Date | null;
  ageMs: number;
  isStandby: boolean;
  /** Servers that stream from this one; their reads are counted there. */
  standbys: number;
  notes: ReportNote[];
}

// After a crash all counters start at zero and the database's own reset time is null; that of the
// background writer is set then.
const AGE = `select
    pg_catalog.current_setting('track_counts') = 'on' as "isCounting",
    coalesce(
      (select d.stats_reset from pg_catalog.pg_stat_database d
        where d.datname = pg_catalog.current_database()),
      (select b.stats_reset from pg_catalog.pg_stat_bgwriter b),
      pg_catalog.pg_postmaster_start_time()
    ) as "since",
    pg_catalog.clock_timestamp() as "now",
    pg_catalog.pg_is_in_recovery() as "isStandby",
    (select pg_catalog.count(*)::int from pg_catalog.pg_stat_replication) as "standbys",
    pg_catalog.has_function_privilege('pg_catalog.pg_stat_file(text,boolean)', 'execute')
      as "mayReadFiles"`;

// A database younger than the server's counters: this file is written once, when it is created.
const BIRTH = `select (pg_catalog.pg_stat_file('base/' || d.oid || '/PG_VERSION', true)).modification
    as "born"
  from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`;

/** Since when the server counts scans, reads and writes of this database, and what they lack. */
export async function readCounterAge(session: Session): Promise<CounterAge> {
  const [row] = await session.run(AGE);
  const facts = row as unknown as {
    isCounting: boolean;
    since: Date;
    now: Date;
    isStandby: boolean;
    standbys: number;
    mayReadFiles: boolean;
  };
  const [birth] = facts.mayReadFiles ? await session.run(BIRTH) : [];
  const bornMs = birth?.born instanceof Date ? birth.born.getTime() : 0;
  const since = new Date(Math.max(bornMs, facts.since.getTime()));
  const { isStandby, standbys } = facts;
  return {
    countedSince: facts.isCounting ? since : null,
    ageMs: facts.isCounting ? facts.now.getTime() - since.getTime() : 0,
    isStandby,
    standbys,
    notes: facts.isCounting ? [] : [NOT_COUNTING],
  };
}

const NOT_COUNTING: ReportNote = {
  level: 'unknown',
  text: 'this server does not count reads and writes: track_counts is off',
  hint: 'alter system set track_counts = on; select pg_reload_conf();',
};

/** Says whose reads the counters lack, for reports that conclude something from their absence. */
export function replicaNotes({ isStandby, standbys }: CounterAge): ReportNote[] {
  if (isStandby) {
    return [
      {
        level: 'warning',
        text: 'this is a standby: it counts its own reads only, and the primary may need what is unused here',
        hint: 'Run the same on the primary before dropping anything.',
      },
    ];
  }
  if (standbys === 0) return [];
  return [
    {
      level: 'warning',
      text: `${renderCount(standbys, 'server replicates', 'servers replicate')} from this one, and each counts its own reads`,
      hint: 'Run the same on every standby before dropping anything.',
    },
  ];
}

/** ` in 34 days of statistics`, for sentences about what was not found. */
export function countedFor({ countedSince }: StatsReport<unknown>): string {
  if (countedSince === null) return '';
  const days = Math.floor((Date.now() - countedSince.getTime()) / DAY_MS);
  if (days < 1) return ' in less than a day of statistics';
  return ` in ${renderCount(days, 'day')} of statistics`;
}
