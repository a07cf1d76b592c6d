import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { type BusinessRuleViolation, checkBusinessRules } from '../events/rules.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import { renderState } from '../text/words.ts';
import type { DoctorCheck, DoctorExamination, DoctorFinding, MigrationCounts } from './check.ts';

/** A trigger that does not fire. */
interface DisabledTrigger {
  schema: string;
  table: string;
  trigger: string;
  /** The foreign key that it guards; null for one that somebody wrote. */
  constraint: string | null;
}

async function readDisabledTriggers(session: Session): Promise<DisabledTrigger[]> {
  const rows = await session.run(`
select
    n.nspname::text as "schema",
    c.relname::text as "table",
    t.tgname::text as "trigger",
    (select x.conname::text from pg_catalog.pg_constraint as x where x.oid = t.tgconstraint and t.tgisinternal)
        as "constraint"
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.tgenabled = 'D'
order by 1, 2, 3`);
  return rows as unknown as DisabledTrigger[];
}

/** Triggers that were switched off, mostly for a load of data, and never on again. */
export function judgeDisabledTriggers(rows: DisabledTrigger[]): DoctorFinding[] {
  const keys = new Set<string>();
  return rows.flatMap(({ schema, table, trigger, constraint }): DoctorFinding[] => {
    const name = `${schema}.${table}`;
    const sql = `${quoteIdent(schema)}.${quoteIdent(table)}`;
    if (constraint === null) {
      return [
        {
          severity: 'warning',
          message: `trigger ${trigger} of ${name} is disabled`,
          objects: [`${name}.${trigger}`],
          fix: `alter table ${sql} enable trigger ${quoteIdent(trigger)};`,
        },
      ];
    }
    // Two internal triggers on either side guard one key.
    const key = `${name}.${constraint}`;
    if (keys.has(key)) return [];
    keys.add(key);
    return [
      {
        severity: 'error',
        message: `foreign key ${constraint} is not checked on ${name}: its triggers are disabled`,
        objects: [key],
        fix: `alter table ${sql} enable trigger all; -- then look for rows that broke it meanwhile`,
      },
    ];
  });
}

export const DISABLED_TRIGGERS: DoctorCheck = {
  name: 'disabled-triggers',
  group: 'tables',
  async examine(session) {
    return {
      findings: judgeDisabledTriggers(await readDisabledTriggers(session)),
      summary: 'all triggers are enabled',
    };
  },
};

/** Rows and guards of the event schema that break its rules. */
export function judgeBusinessRules(rows: BusinessRuleViolation[]): DoctorFinding[] {
  return rows.map(({ code, severity, message, fix, details }) => ({
    severity,
    message: `${code}: ${details.count} (${message})`,
    objects: [code],
    ...(fix !== undefined && {
      fix: `${commandLine('rules repair', { 'dry-run': true }, { args: [code] })} (then with --confirm instead)`,
    }),
  }));
}

export const BUSINESS_RULES: DoctorCheck = {
  name: 'business-rules',
  group: 'event-schema',
  command: 'rules check',
  // It looks at every registration: of a million in about a second, on a busy machine in several.
  timeoutMs: 30_000,
  async examine(session, { schema }): Promise<DoctorExamination> {
    try {
      const { rows } = await checkBusinessRules(session, { schema });
      return { findings: judgeBusinessRules(rows), summary: 'no rule is broken' };
    } catch (error) {
      if (!(error instanceof EvdbError) || error.code !== 'EVENT_SCHEMA_MISSING') throw error;
      return { findings: [], summary: error.message, isSkipped: true };
    }
  },
};

/** A column of an audited table that the audit log does not treat as somebody meant it to. */
export interface UnauditedColumn {
  schema: string;
  table: string;
  column: string;
  /** `unwatched`: a change of it alone writes no entry; `unknown`: to be redacted, and not there. */
  problem: 'unwatched' | 'unknown';
}

interface AuditedTables {
  tables: number;
  columns: UnauditedColumn[];
}

/**
 * Tables whose triggers `attach_audit()` made: those for inserts carry its arguments, each as
 * `redacted=column` or `left_out=column` with a zero byte behind it.
 */
async function readAuditedTables(session: Session): Promise<AuditedTables> {
  const rows = await session.run(`
with audited as (
    select t.tgrelid, n.nspname::text as "schema", c.relname::text as "table", t.tgargs,
        (
            select u.tgattr::smallint[]
            from pg_catalog.pg_trigger as u
            where u.tgrelid = t.tgrelid and u.tgname = c.relname || '_90_audit_update' and u.tgtype & 1 = 1
        ) as watched
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid and p.proname = left('audit_changes_of_' || c.relname, 63)
    where t.tgname = c.relname || '_90_audit_insert'
),
arguments as (
    select a.tgrelid, split_part(v.value, '=', 1) as "name", substr(v.value, strpos(v.value, '=') + 1) as "column"
    from audited as a
    cross join unnest(
        string_to_array(regexp_replace(encode(a.tgargs, 'hex'), '(..)', '\\1 ', 'g'), '00 ')
    ) as b (bytes)
    cross join lateral (
        select convert_from(decode(replace(b.bytes, ' ', ''), 'hex'), getdatabaseencoding())
    ) as v (value)
    where b.bytes <> ''
),
columns as (
    select a.tgrelid, f.attname::text as "column", f.attnum
    from audited as a
    join pg_catalog.pg_attribute as f on f.attrelid = a.tgrelid and f.attnum > 0 and not f.attisdropped
),
found as (
    -- By row and column means that some are left out on purpose; updated_at never changes alone.
    select f.tgrelid, f."column", 'unwatched' as problem
    from columns as f
    join audited as a on a.tgrelid = f.tgrelid
    where a.watched is not null
        and f.attnum <> all (a.watched)
        and f."column" <> 'updated_at'
        and f."column" not in (
            select g."column" from arguments as g where g.tgrelid = f.tgrelid and g."name" = 'left_out'
        )
    union all
    select g.tgrelid, g."column", 'unknown'
    from arguments as g
    where g."name" = 'redacted'
        and not exists (select from columns as f where f.tgrelid = g.tgrelid and f."column" = g."column")
)
select a."schema", a."table", f."column", f.problem
from audited as a
left join found as f on f.tgrelid = a.tgrelid
order by 1, 2, 4, 3`);
  const listed = rows as unknown as {
    [Key in keyof UnauditedColumn]: UnauditedColumn[Key] | null;
  }[];
  return {
    tables: new Set(listed.map((row) => `${row.schema}.${row.table}`)).size,
    columns: listed.filter((row): row is UnauditedColumn => row.column !== null),
  };
}

/** Columns that were added to an audited table later, and redacted ones that were renamed. */
export function judgeUnauditedColumns(
  rows: readonly UnauditedColumn[],
  target = 'public',
): DoctorFinding[] {
  return rows.map(({ schema, table, column, problem }): DoctorFinding => {
    // A migration runs with the target schema in its search_path.
    const prefix = schema === target ? '' : `${quoteIdent(schema)}.`;
    const name = /^[a-z_][a-z0-9_]*$/.test(table) ? table : quoteIdent(table);
    const attach = `select ${prefix}attach_audit(${literal(prefix + name)}`;
    const object = `${schema}.${table}.${column}`;
    if (problem === 'unwatched') {
      return {
        severity: 'warning',
        message: `column ${object} is not audited: a change of it alone writes no entry`,
        objects: [object],
        hint: IN_MIGRATION,
        fix: `${attach});`,
      };
    }
    return {
      severity: 'error',
      message: `column ${column}, which the audit of ${schema}.${table} redacts, does not exist: under another name its values enter the log`,
      objects: [object],
      hint: IN_MIGRATION,
      fix: `${attach}, p_redacted => '{…}'); -- with the columns as they are named now`,
    };
  });
}

const IN_MIGRATION =
  'Put the fix into a new migration: run by hand, its triggers are drift from the migrations.';

/** As people write it, where that means the same under every setting. */
function literal(text: string): string {
  return /['\\]/.test(text) ? quoteLiteral(text) : `'${text}'`;
}

export const UNAUDITED_COLUMNS: DoctorCheck = {
  name: 'unaudited-columns',
  group: 'event-schema',
  async examine(session, { schema }) {
    const { tables, columns } = await readAuditedTables(session);
    return {
      findings: judgeUnauditedColumns(columns, schema),
      summary:
        tables === 0 ? 'no table is audited' : 'every column of the audited tables is audited',
      isSkipped: tables === 0,
    };
  },
};

type Judgement = [severity: 'warning' | 'error', what: string, fix: () => string];

/** What each state that is not plain means; see `evdb migrate status`. */
const STATES: Record<string, Judgement> = {
  pending: ['warning', 'pending', () => commandLine('migrate up')],
  outOfOrder: [
    'warning',
    'pending although newer ones are applied',
    () => commandLine('migrate up', { 'out-of-order': true }),
  ],
  incomplete: ['error', 'stopped between their statements', () => commandLine('migrate up')],
  changed: ['error', 'different from what was applied', () => commandLine('migrate status')],
  missing: ['error', 'applied although their file is gone', () => commandLine('migrate status')],
  ahead: ['warning', 'applied by a newer build than this one', () => commandLine('migrate status')],
};

/** Whether the database is what the files of the project make it. */
export function judgeMigrations({ counts }: MigrationCounts): DoctorFinding[] {
  return Object.entries(STATES).flatMap(([state, [severity, what, fix]]): DoctorFinding[] => {
    const count = counts[state] ?? 0;
    if (count === 0) return [];
    const message = `${renderCount(count, 'migration is', 'migrations are')} ${what}`;
    return [{ severity, message, objects: [renderState(state)], fix: fix() }];
  });
}

function noFiles(error: unknown): undefined {
  const isWithout =
    error instanceof EvdbError &&
    ['MIGRATIONS_DIR_MISSING', 'MIGRATIONS_DIR_EMPTY'].includes(error.code);
  if (!isWithout) throw error;
}

export const MIGRATIONS: DoctorCheck = {
  name: 'migrations',
  group: 'evdb',
  async examine(_session, { readMigrationCounts }) {
    const status = await readMigrationCounts?.().catch(noFiles);
    if (!status) {
      return { findings: [], summary: 'there are no migration files here', isSkipped: true };
    }
    return {
      findings: judgeMigrations(status),
      summary: `${renderCount(status.counts.applied ?? 0, 'migration')} applied, none is pending`,
    };
  },
};
