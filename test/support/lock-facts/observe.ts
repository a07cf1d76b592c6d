import type postgres from 'postgres';
import { isStronger, type LockMode } from '../../../src/impact/impact.ts';
import type { LockFact, Observation } from './facts.ts';

interface Seen {
  name: string;
  /** Whether it is read row by row; indexes count their scans in the same place. */
  hasRows: boolean;
  filenode: string | null;
  modes: LockMode[] | null;
  scans: number;
  rows: number;
}

/**
 * Runs a statement in a transaction that is rolled back and looks at what it did, by other ways than
 * the library where there are any, so that the library can be tested against it.
 *
 * @param sql one session whose notices go to `notices`
 */
export async function observe(
  sql: postgres.Sql,
  fact: LockFact,
  notices: string[],
): Promise<Observation> {
  await sql.unsafe('begin').simple();
  try {
    await sql.unsafe("set local lc_messages = 'C'").simple();
    if (fact.setup) await sql.unsafe(fact.setup).simple();
    const before = await look(sql);
    await sql.unsafe('set local client_min_messages = debug1').simple();
    notices.length = 0;
    await sql.unsafe(fact.statement).simple();
    const said = [...notices];
    await sql.unsafe('set local client_min_messages = error').simple();
    return compare(before, await look(sql), said);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { error: `${code} ${message}` };
  } finally {
    await sql.unsafe('rollback').simple();
  }
}

/** Every relation of the user by its id; those that are gone keep their lock until the end. */
async function look(sql: postgres.Sql): Promise<Map<string, Seen>> {
  const rows = await sql.unsafe(`
    select coalesce(c.oid, l.relation)::text as oid,
        c.relkind in ('r', 'm') as "hasRows",
        n.nspname || '.' || c.relname as name,
        pg_relation_filenode(c.oid)::text as filenode,
        l.modes,
        coalesce(pg_stat_get_xact_numscans(coalesce(c.oid, l.relation)), 0)::int as scans,
        coalesce(pg_stat_get_xact_tuples_returned(coalesce(c.oid, l.relation)), 0)::int as rows
    from (
        select c.oid, c.relname, c.relnamespace, c.relkind
        from pg_class as c
        where c.relnamespace not in (
            select oid from pg_namespace where nspname ~ '^pg_' or nspname = 'information_schema'
        )
    ) as c
    join pg_namespace as n on n.oid = c.relnamespace
    full join (
        select relation, array_agg(replace(mode, 'Lock', '')) as modes
        from pg_locks
        where pid = pg_backend_pid() and locktype = 'relation'
            and mode <> 'AccessShareLock'
        group by relation
    ) as l on l.relation = c.oid`);
  return new Map(rows.map(({ oid, ...seen }) => [oid as string, seen as unknown as Seen]));
}

function compare(before: Map<string, Seen>, after: Map<string, Seen>, said: string[]): Observation {
  const known = [...before]
    .filter(([, { name }]) => name !== null)
    .map(([oid, was]) => ({ name: was.name, was, is: after.get(oid) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const locks: Record<string, LockMode> = {};
  const scans: Record<string, number> = {};
  const rewrites: string[] = [];
  for (const { name, was, is } of known) {
    const modes = is?.modes?.filter((mode) => !was.modes?.includes(mode)) ?? [];
    const [strongest] = modes.sort((a, b) => (isStronger(a, b) ? -1 : 1));
    if (strongest) locks[name] = strongest;
    if (was.hasRows && is && is.scans > was.scans) scans[name] = is.rows - was.rows;
    if (is?.name && is.filenode !== was.filenode) rewrites.push(name);
  }
  const find = (pattern: RegExp) =>
    said.flatMap((message) => pattern.exec(message)?.slice(1, 3).join(' on ') ?? []).sort();
  const builds = find(/^building index "(?!pg_toast_)(.+)" on table "(.+)"/);
  const proven = find(/^existing constraints on column "(.+)" are sufficient/);
  return withoutEmpty({ locks, rewrites, scans, builds, proven });
}

function withoutEmpty(observation: Observation): Observation {
  return Object.fromEntries(
    Object.entries(observation).filter(([, value]) => Object.keys(value).length > 0),
  );
}
