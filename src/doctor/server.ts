import { listColumns } from '../connection/inspection.ts';
import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { type ConnectionLimits, readConnections } from '../stats/connections.ts';
import { commandLine } from '../text/command-line.ts';
import { type DoctorCheck, type DoctorFinding, severityOf } from './check.ts';

/** From here on a burst, such as a deployment that starts new pools beside the old, may fail. */
const TAKEN_SHARE = { warning: 0.8, error: 0.95 };

/** How near the server, a database or a role is to refusing connections. */
export function judgeConnectionLimit(limits: ConnectionLimits): DoctorFinding[] {
  const { taken, usable, own } = limits;
  const server = judgeShare(taken, usable, {
    what: 'the server',
    fix: `\`${commandLine('stats connections')}\` shows whose they are; use smaller pools or a pooler before raising max_connections.`,
  });
  return [
    ...server,
    ...own.flatMap(({ kind, name, limit, taken: used }) =>
      judgeShare(used, limit, {
        object: `${kind} ${name}`,
        what: `${kind} ${name}`,
        fix: `alter ${kind} ${quoteIdent(name)} connection limit ${Math.max(1, limit) * 2};`,
      }),
    ),
  ];
}

function judgeShare(
  taken: number,
  limit: number,
  { object, what, fix }: { object?: string; what: string; fix: string },
): DoctorFinding[] {
  // A limit of 0 keeps everybody out on purpose.
  if (limit <= 0) return [];
  const severity = severityOf(taken / limit, TAKEN_SHARE);
  if (severity === undefined) return [];
  const message = `${taken} of ${limit} connections of ${what} are taken`;
  return [{ severity, message, objects: object === undefined ? [] : [object], fix }];
}

export const CONNECTION_LIMIT: DoctorCheck = {
  name: 'connection-limit',
  group: 'connections',
  async examine(_session, context) {
    const { limits } = await context.once(readConnections);
    return {
      findings: judgeConnectionLimit(limits),
      summary: `${limits.taken} of ${limits.usable} connections are taken`,
    };
  },
};

/** A collation that indexes were built with. */
interface CollationVersion {
  /** `database` for the one that columns have where nothing else is said. */
  kind: 'database' | 'collation';
  schema: string | null;
  name: string;
  /** Of the operating system or ICU when the indexes were built. */
  recorded: string | null;
  actual: string | null;
}

async function readCollationVersions(session: Session): Promise<CollationVersion[]> {
  const columns = await listColumns(session, 'pg_catalog.pg_database');
  // PostgreSQL 14 does not record it.
  const ofDatabase = columns.has('datcollversion')
    ? `
select 'database' as "kind", null::text as "schema", datname::text as "name", datcollversion as "recorded",
    pg_catalog.pg_database_collation_actual_version(oid) as "actual"
from pg_catalog.pg_database
where datname = pg_catalog.current_database()
union all`
    : '';
  const rows = await session.run(`${ofDatabase}
select 'collation' as "kind", n.nspname::text as "schema", c.collname::text as "name", c.collversion as "recorded",
    pg_catalog.pg_collation_actual_version(c.oid) as "actual"
from pg_catalog.pg_collation as c
join pg_catalog.pg_namespace as n on n.oid = c.collnamespace
where c.collversion is not null
    and c.oid in (select pg_catalog.unnest(i.indcollation::oid[]) from pg_catalog.pg_index as i)
order by 1, 2, 3`);
  return rows as unknown as CollationVersion[];
}

/** Collations that sort otherwise now than when the indexes were built. */
export function judgeCollationVersions(rows: CollationVersion[]): DoctorFinding[] {
  return rows
    .filter(({ recorded, actual }) => recorded !== null && actual !== null && recorded !== actual)
    .map(({ kind, schema, name, recorded, actual }) => {
      const object = schema === null ? name : `${schema}.${name}`;
      const sql = [schema, name].filter((part) => part !== null).map(quoteIdent);
      const reindex =
        kind === 'database'
          ? `reindex database concurrently ${sql.join('.')};`
          : 'Reindex what uses it,';
      return {
        severity: 'error',
        message: `${kind} ${object} was indexed with version ${recorded} of its collation, and the system has ${actual}: indexes may miss rows and let duplicates in`,
        objects: [object],
        fix: `${reindex} then: alter ${kind} ${sql.join('.')} refresh ${kind === 'database' ? 'collation ' : ''}version;`,
      };
    });
}

export const COLLATION_VERSIONS: DoctorCheck = {
  name: 'collation-versions',
  group: 'indexes',
  async examine(session) {
    return {
      findings: judgeCollationVersions(await readCollationVersions(session)),
      summary: 'text is sorted as when the indexes were built',
    };
  },
};

/** Settings under which what was committed may be lost, or broken data goes unnoticed. */
const DANGEROUS: Record<string, { bad: string; severity: 'warning' | 'error'; why: string }> = {
  fsync: { bad: 'off', severity: 'error', why: 'a crash of the machine destroys the database' },
  full_page_writes: {
    bad: 'off',
    severity: 'error',
    why: 'a crash of the machine can leave pages half written',
  },
  synchronous_commit: {
    bad: 'off',
    severity: 'warning',
    why: 'a crash loses the last commits, which clients were told are done',
  },
  zero_damaged_pages: {
    bad: 'on',
    severity: 'error',
    why: 'damaged pages are emptied without an error',
  },
  ignore_checksum_failure: {
    bad: 'on',
    severity: 'error',
    why: 'damaged pages are used as if they were whole',
  },
};

type SettingValues = Record<string, string | undefined>;

async function readValues(session: Session, names: string[]): Promise<SettingValues> {
  const list = names.map((name) => `('${name}')`).join(', ');
  const rows = await session.run(`
select name as "name", pg_catalog.current_setting(name, true) as "value"
from (values ${list}) as wanted (name)`);
  return Object.fromEntries(rows.map(({ name, value }) => [String(name), value as string]));
}

/** Which settings endanger data. */
export function judgeDurability(values: SettingValues): DoctorFinding[] {
  return Object.entries(DANGEROUS)
    .filter(([name, { bad }]) => values[name] === bad)
    .map(([name, { bad, severity, why }]) => ({
      severity,
      message: `${name} is ${bad}: ${why}`,
      objects: [name],
      fix: `alter system set ${name} = ${bad === 'on' ? 'off' : 'on'}; select pg_reload_conf();`,
    }));
}

export const DURABILITY: DoctorCheck = {
  name: 'durability',
  group: 'configuration',
  async examine(session) {
    const names = Object.keys(DANGEROUS);
    const values = await readValues(session, names);
    const isHidden = names.every((name) => values[name] === undefined);
    return {
      findings: isHidden ? [HIDDEN] : judgeDurability(values),
      summary: 'what is committed is on disk',
    };
  },
};

const HIDDEN: DoctorFinding = {
  severity: 'unknown',
  message: 'the settings are hidden from this role',
  objects: [],
  hint: 'Let an administrator grant pg_read_all_settings to it.',
};

/** Settings that somebody changed, and that wait for a restart to hold. */
function judgePendingRestart(names: string[]): DoctorFinding[] {
  return names.map((name) => ({
    severity: 'warning',
    message: `${name} was changed in the configuration and waits for a restart`,
    objects: [name],
    hint: 'Restart the server at a quiet time, or undo the change: the next crash applies it.',
  }));
}

export const PENDING_RESTART: DoctorCheck = {
  name: 'pending-restart',
  group: 'configuration',
  async examine(session) {
    const rows = await session.run(
      `select name as "name" from pg_catalog.pg_settings where pending_restart order by name`,
    );
    return {
      findings: judgePendingRestart(rows.map(({ name }) => String(name))),
      summary: 'the running settings are those of the configuration',
    };
  },
};
