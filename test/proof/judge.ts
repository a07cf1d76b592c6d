import type postgres from 'postgres';
import { type ProofMigration, ROWS } from './folders.ts';

/** What a run must have led to. */
export interface Expected {
  schema: string;
  folder: ProofMigration[];
  /** Versions that are applied by the end. */
  applied: number[];
  /** Of those, the ones that only count as applied. */
  baselined?: number[];
}

/**
 * Reads the catalog, the data and the ledger with statements of its own, and gives what is wrong. Nothing
 * of evdb decides here.
 */
export async function judge(sql: postgres.Sql, expected: Expected): Promise<string[]> {
  const wrong: string[] = [];
  for (const migration of expected.folder) {
    wrong.push(...(await judgeObjects(sql, migration, expected)));
    wrong.push(...(await judgeRuns(sql, migration, expected)));
  }
  wrong.push(...(await judgeRepeatables(sql, expected)));
  wrong.push(...(await judgeLedger(sql, expected)), ...(await judgeLeftovers(sql, expected)));
  return wrong;
}

function isApplied({ applied }: Expected, version: number): boolean {
  return applied.includes(version);
}

async function judgeObjects(
  sql: postgres.Sql,
  { version, kind, table }: ProofMigration,
  expected: Expected,
): Promise<string[]> {
  const { schema, folder } = expected;
  if (kind === 'backfill') return [];
  const [found] = await sql`
    select c.oid::text as oid,
      (select i.indisvalid and i.indisready from pg_index i
        join pg_class x on x.oid = i.indexrelid
        where i.indrelid = c.oid and x.relname = ${`${table}_n`}) as valid
    from pg_class c
    where c.relnamespace = (select n.oid from pg_namespace n where n.nspname = ${schema})
      and c.relname = ${table}`;
  const isThere = found !== undefined;
  if (isThere !== isApplied(expected, version)) {
    return [`${table} is ${isThere ? 'there' : 'missing'}`];
  }
  if (!isThere) return [];
  const wrong = found.valid === true ? [] : [`${table}_n is missing or invalid`];
  const backfill = folder.find((one) => one.kind === 'backfill' && one.table === table);
  const n = backfill && isApplied(expected, backfill.version) ? 1 : 0;
  const [rows] = await sql`
    select count(*)::int as count, count(*) filter (where n <> ${n})::int as odd
    from ${sql(schema)}.${sql(table)}`;
  if (rows?.count !== ROWS) wrong.push(`${table} holds ${rows?.count} rows instead of ${ROWS}`);
  if (rows?.odd !== 0) wrong.push(`${table} has ${rows?.odd} rows whose n is not ${n}`);
  return wrong;
}

/** What ran is what the history says that ran, and what is applied. */
async function judgeRuns(
  sql: postgres.Sql,
  { version, kind }: ProofMigration,
  expected: Expected,
): Promise<string[]> {
  const { schema, baselined = [] } = expected;
  if (kind === 'backfill') return [];
  const [ran] = await sql`
    select count(*) filter (where direction = 'up')::int as ups,
      count(*) filter (where direction = 'down')::int as downs
    from proof.ran where schema = ${schema} and version = ${version}`;
  const [told] = await sql`
    select count(*) filter (where action = 'up')::int as ups,
      count(*) filter (where action = 'down')::int as downs,
      count(*) filter (where action = 'reset')::int as resets
    from evdb.history where target_schema = ${schema} and (version = ${version} or action = 'reset')`;
  const wrong: string[] = [];
  // A reset forgets one that was cut short amid its statements, and the history never told of its end.
  const mayBeForgotten = kind === 'no-transaction' && told?.resets > 0 && ran?.ups > told?.ups;
  if (ran?.ups !== told?.ups && !mayBeForgotten) {
    wrong.push(`${version} ran up ${ran?.ups} times, the history says ${told?.ups}`);
  }
  if (ran?.downs !== told?.downs) {
    wrong.push(`${version} ran down ${ran?.downs} times, the history says ${told?.downs}`);
  }
  const net = ran?.ups - ran?.downs - told?.resets;
  const wanted = isApplied(expected, version) && !baselined.includes(version) ? 1 : 0;
  if (told?.resets === 0 && net !== wanted) wrong.push(`${version} ran ${net} times on balance`);
  return wrong;
}

/** They stay when migrations are rolled back, and no command leaves them out. */
async function judgeRepeatables(sql: postgres.Sql, { schema }: Expected): Promise<string[]> {
  const [row] = await sql`select n from ${sql(schema)}.counted`.catch(() => []);
  return row?.n === 7 ? [] : ['the repeatables are not applied'];
}

async function judgeLedger(sql: postgres.Sql, expected: Expected): Promise<string[]> {
  const rows = await sql`
    select version::int, state from evdb.migration where target_schema = ${expected.schema}
    order by version`;
  const found = rows.map(({ version, state }) => `${version} ${state}`).join();
  const wanted = expected.applied.map((version) => `${version} applied`).join();
  const wrong = found === wanted ? [] : [`the ledger says "${found}" instead of "${wanted}"`];
  const backfills = await sql`select from evdb.backfill where target_schema = ${expected.schema}`;
  if (backfills.length > 0) wrong.push('the ledger keeps a backfill that is done');
  return wrong;
}

/** Sessions that are on their way out may take a moment. */
async function judgeLeftovers(sql: postgres.Sql, { schema }: Expected): Promise<string[]> {
  const invalid = await sql`
    select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
    where x.relnamespace = (select n.oid from pg_namespace n where n.nspname = ${schema})
      and not (i.indisvalid and i.indisready)`;
  const wrong = invalid.map(({ relname }) => `${relname} is invalid`);
  for (let look = 0; look < 200; look++) {
    const [left] = await sql`
      select count(*)::int as sessions,
        (select count(*)::int from pg_locks l
          where l.locktype = 'advisory'
            and l.database = (select oid from pg_database where datname = current_database())) as locks
      from pg_stat_activity
      where datname = current_database() and application_name = 'evdb'`;
    if (left?.sessions === 0 && left.locks === 0) return wrong;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return [...wrong, 'a session or a lock of evdb is still there'];
}
