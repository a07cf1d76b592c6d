import { restUnderName } from '../../connection/blockers.ts';
import { codeOf } from '../../connection/connection-error.ts';
import { withLockRetries } from '../../connection/retry.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import type { ApplyContext } from '../apply/context.ts';
import { applyRepeatables, applySteps, type MigrationResult } from '../apply/migrator.ts';
import { withRunner } from '../apply/runner.ts';
import { resetSessionSql } from '../apply/worker-session.ts';
import { listRepeatables } from '../files/repeatables.ts';
import type { MigrationFile } from '../files/source.ts';
import { fenceSql, isFenced, leaseLost } from '../ledger/lock.ts';
import { deleteTargetSql, insertHistorySql } from '../ledger/record.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from '../options.ts';
import { compareWithLedger } from '../plan/compare.ts';
import { planUp } from '../plan/plan.ts';
import { type MigrationStep, prepareSteps } from '../plan/prepare.ts';
import {
  prepareOptionsOf,
  prepareRepeatables,
  type RepeatableStep,
} from '../plan/prepare-repeatables.ts';
import { requireMigrations, withSession } from '../plan/read.ts';
import { compareRepeatables } from '../plan/repeatables.ts';
import { type DroppedObjects, tellWarnings } from '../progress.ts';
import { dropDefaultPrivilegesSql, type Outside, readOutside } from './reset-outside.ts';

const DEPENDENT_OBJECTS = '2BP01';

/** What `resetSchema` needs in addition to the options of every command on migrations. */
export interface ResetSchemaOptions extends MigrateOptions {
  /** Must be true: everything in the target schema is lost. */
  confirm: boolean;
}

/** What was applied again, and what was dropped outside the schema. */
export interface ResetSchemaResult extends MigrationResult {
  /** How many migrations the ledger held for this target. */
  forgotten: number;
  /** What was in the schema: independent objects, not the indexes and columns of tables. */
  dropped: DroppedObjects[];
  /**
   * Objects outside the schema that were dropped too, and are created again: such as
   * `extension citext`.
   */
  alsoDropped: string[];
}

/**
 * Drops everything in the target schema that no extension owns, forgets its ledger rows, and
 * applies all migrations again. The history is kept and records the reset. The scripts are checked
 * before anything is dropped, and the drop is one transaction. Extensions and schemas that the
 * migrations create again are dropped too, unless something else needs them.
 *
 * @throws {EvdbError} CONFIRM_REQUIRED, RESET_BLOCKED if something outside the schema depends on
 *   its contents, and those of `migrateUp`
 * @example
 * const { steps } = await resetSchema({ ...options, confirm: true });
 */
export async function resetSchema(options: ResetSchemaOptions): Promise<ResetSchemaResult> {
  if (!options.confirm) throw confirmRequired(ledgerKey(options).targetSchema);
  const startedAt = performance.now();
  const files = requireMigrations(options);
  return withSession(options, async (worker) => {
    const { steps, warnings } = await prepareAll(worker, options, files);
    const again = await prepareRepeatables(
      compareRepeatables(listRepeatables(options.directory), [], noChecksums),
      prepareOptionsOf(worker, options),
    );
    const { targetSchema, ledgerSchema } = ledgerKey(options);
    const outside = await readOutside(steps, worker, [targetSchema, ledgerSchema]);
    warnings.push(
      ...outside.along.map((name) => ({
        code: 'ALSO_DROPPED' as const,
        message: `${name} is dropped too, because the migrations create it again`,
      })),
    );
    tellWarnings(warnings, options);
    return withRunner(worker, options, async (context, rows) => {
      const dropped = await dropContents(context, outside);
      context.onProgress({ kind: 'dropped', objects: dropped });
      const { repeatables, ...applied } = await applyAll(steps, again, context).catch(
        (error: unknown) => {
          throw afterDrop(error, targetSchema);
        },
      );
      return {
        schema: targetSchema,
        forgotten: rows.length,
        dropped,
        alsoDropped: outside.along,
        ...applied,
        ...(repeatables.length > 0 && { repeatables }),
        pending: [],
        warnings,
        durationMs: performance.now() - startedAt,
      };
    });
  });
}

function confirmRequired(schema: string): EvdbError {
  return new EvdbError('CONFIRM_REQUIRED', `reset drops everything in schema "${schema}"`, {
    hint: `Nothing was changed. If that is intended: ${sameCommand('migrate reset', { confirm: true })}`,
  });
}

const noChecksums = () => ({ checksum: '', tokenChecksum: () => '' });

async function applyAll(steps: MigrationStep[], again: RepeatableStep[], context: ApplyContext) {
  const ran = await applySteps(steps, context);
  return { ...ran, ...(await applyRepeatables(again, context, ran.steps)) };
}

/** Every file counts as pending, whatever the ledger says now. */
function prepareAll(
  worker: Session,
  options: MigrateOptions,
  files: MigrationFile[],
): Promise<{ steps: MigrationStep[]; warnings: MigrationResult['warnings'] }> {
  const statuses = compareWithLedger(files, [], noChecksums);
  return prepareSteps(planUp(statuses), {
    storedTextLimitBytes: options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES,
    ...{ session: worker, key: ledgerKey(options), variables: options.variables },
  });
}

/** Whoever reads why a script failed has to know that nothing is left of what was there. */
function afterDrop(error: unknown, schema: string): unknown {
  if (!(error instanceof EvdbError)) return error;
  return error.addHint(
    `What was in schema "${schema}" was dropped before. Once this is corrected: ${commandLine('migrate up')}`,
  );
}

async function dropContents(
  { worker, key, settings, provenance, signal }: ApplyContext,
  outside: Outside,
): Promise<DroppedObjects[]> {
  const { targetSchema } = key;
  return withLockRetries(
    async ({ lockTimeoutMs }) => {
      try {
        await worker.run(
          `${resetSessionSql(worker.facts)} begin isolation level read committed, read write; set local lock_timeout = ${lockTimeoutMs};`,
        );
        await worker.run(rememberOutsideSql(targetSchema));
        const dropped = await worker.run(countContentsSql(targetSchema));
        await worker.run(dropContentsSql(targetSchema));
        const lost = await worker.run(lostOutsideSql(targetSchema));
        if (lost.length > 0)
          throw blocked(
            targetSchema,
            lost.map((row) => String(row.object)),
          );
        if (outside.setsDefaultPrivileges) await worker.run(dropDefaultPrivilegesSql(targetSchema));
        for (const sql of outside.alongSql) await dropAlong(worker, sql);
        await worker.run(
          `${fenceSql(key)}${deleteTargetSql(key)} ${insertHistorySql(key, { action: 'reset' }, provenance)} commit;`,
        );
        return dropped.map(({ type, count }) => ({ type: String(type), count: Number(count) }));
      } catch (error) {
        if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
        throw isFenced(error, key) ? leaseLost() : error;
      }
    },
    {
      signal,
      budgetMs: settings.lockWaitBudgetMs,
      rest: restUnderName({ worker, work: `the reset of schema ${targetSchema}` }),
    },
  );
}

async function dropAlong(worker: Session, sql: string): Promise<void> {
  try {
    await worker.run(sql);
  } catch (error) {
    if (codeOf(error) !== DEPENDENT_OBJECTS) throw error;
    const { detail = '' } = error as { detail?: string };
    throw new EvdbError(
      'RESET_BLOCKED',
      `the migrations create again what cannot be dropped: ${sql}: ${detail.replaceAll('\n', '; ')}`,
      {
        hint: 'Nothing was changed. Drop what needs it first, or write: if not exists.',
        cause: error,
      },
    );
  }
}

function blocked(schema: string, lost: string[]): EvdbError {
  const shown = lost.slice(0, 5).join(', ');
  const more = lost.length > 5 ? ` and ${lost.length - 5} more` : '';
  return new EvdbError(
    'RESET_BLOCKED',
    `dropping what is in schema "${schema}" would also drop ${shown}${more}`,
    {
      hint: 'Nothing was changed. Drop these first, or move them into the schema.',
      details: { objects: lost },
    },
  );
}

/**
 * What lives outside the schema, by catalog row: taken before and after the drop, it shows what
 * `cascade` would have carried away with it. Comparing what happened is simpler, and safer, than
 * predicting it from pg_depend. Extensions count as outside, wherever their objects live.
 */
function outsideSql(targetSchema: string): string {
  const outside = `n.nspname <> ${quoteLiteral(targetSchema)} and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;
  const namespaced = [
    ['pg_class', 'relnamespace'],
    ['pg_proc', 'pronamespace'],
    ['pg_type', 'typnamespace'],
    ['pg_constraint', 'connamespace'],
    ['pg_operator', 'oprnamespace'],
    ['pg_opclass', 'opcnamespace'],
    ['pg_opfamily', 'opfnamespace'],
    ['pg_collation', 'collnamespace'],
    ['pg_conversion', 'connamespace'],
    ['pg_statistic_ext', 'stxnamespace'],
    ['pg_ts_config', 'cfgnamespace'],
    ['pg_ts_dict', 'dictnamespace'],
  ].map(
    ([catalog, column]) =>
      `select tableoid as classid, o.oid as objid, 0 as subid from pg_catalog.${catalog} as o join pg_catalog.pg_namespace as n on n.oid = o.${column} where ${outside}`,
  );
  const onTables = [
    ['pg_trigger', 'tgrelid'],
    ['pg_attrdef', 'adrelid'],
    ['pg_policy', 'polrelid'],
    ['pg_rewrite', 'ev_class'],
  ].map(
    ([catalog, column]) =>
      `select o.tableoid, o.oid, 0 from pg_catalog.${catalog} as o join pg_catalog.pg_class as c on c.oid = o.${column} join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where ${outside}`,
  );
  const columns = `select 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum from pg_catalog.pg_attribute as a join pg_catalog.pg_class as c on c.oid = a.attrelid join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'c') and ${outside}`;
  const global = [
    'pg_extension',
    'pg_event_trigger',
    'pg_language',
    'pg_am',
    'pg_foreign_data_wrapper',
  ].map((catalog) => `select tableoid, oid, 0 from pg_catalog.${catalog}`);
  // a cast has no schema: one of the schema's own types goes with the type
  const casts = `select o.tableoid, o.oid, 0 from pg_catalog.pg_cast as o where not exists (select from pg_catalog.pg_type as t join pg_catalog.pg_namespace as n on n.oid = t.typnamespace where t.oid in (o.castsource, o.casttarget) and n.nspname = ${quoteLiteral(targetSchema)})`;
  return [
    ...namespaced.map((sql) => sql.replace('tableoid', 'o.tableoid')),
    ...onTables,
    columns,
    ...global,
    casts,
  ].join('\nunion all\n');
}

/** Remembers, with a name to show, what must still be there after the drop. */
function rememberOutsideSql(targetSchema: string): string {
  return `create temporary table evdb_outside on commit drop as
select o.classid, o.objid, o.subid, i.type, i.identity
from (
${outsideSql(targetSchema)}
) as o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, o.subid) as i`;
}

/** The names of what the drop took outside the schema. */
function lostOutsideSql(targetSchema: string): string {
  return `select b.type || ' ' || b.identity as "object"
from pg_temp.evdb_outside as b
where b.objid not in (
        select oid from pg_catalog.pg_class where relname = 'evdb_outside' and relnamespace = pg_catalog.pg_my_temp_schema()
    )
    and not exists (
        select
        from (
${outsideSql(targetSchema)}
        ) as o
        where (o.classid, o.objid, o.subid) = (b.classid, b.objid, b.subid)
    )
order by 1`;
}

/**
 * What the schema contains and no extension owns. Everything in a schema depends on its namespace, so
 * pg_depend lists it: extensions too, which stay, and parts such as an identity column's sequence,
 * which PostgreSQL drops with the whole only. (A partitioned table is an internal part of itself.)
 */
function contentsSql(targetSchema: string): string {
  return `pg_catalog.pg_depend as d
        join pg_catalog.pg_namespace as n on n.oid = d.refobjid
        where d.refclassid = 'pg_catalog.pg_namespace'::regclass
            and d.deptype = 'n'
            and d.classid <> 'pg_catalog.pg_extension'::regclass
            and n.nspname = ${quoteLiteral(targetSchema)}
            and not exists (
                select
                from pg_catalog.pg_depend as e
                where e.classid = d.classid
                    and e.objid = d.objid
                    and (e.deptype = 'e' or e.deptype = 'i' and e.refobjid <> e.objid)
            )`;
}

/** How many of each type there are, tables first, then as many. */
function countContentsSql(targetSchema: string): string {
  return `select i.type as "type", count(*)::integer as "count"
from (
    select d.classid, d.objid
    from ${contentsSql(targetSchema)}
) as o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, 0) as i
group by i.type
order by i.type <> 'table', count(*) desc, i.type`;
}

/** Drops the contents. The schema itself stays, with its owner, privileges and comment. */
function dropContentsSql(targetSchema: string): string {
  return `do $evdb$
declare
    v_object record;
    v_identity record;
begin
    for v_object in
        select d.classid, d.objid
        from ${contentsSql(targetSchema)}
    loop
        select i.type, i.identity
        into v_identity
        from pg_catalog.pg_identify_object(v_object.classid, v_object.objid, 0) as i;
        -- an earlier drop may have taken it along
        continue when v_identity.identity is null;
        execute pg_catalog.format(
            'drop %s if exists %s cascade',
            case
                when v_identity.type in ('function', 'procedure', 'aggregate') then 'routine'
                when v_identity.type = 'statistics object' then 'statistics'
                else v_identity.type
            end,
            v_identity.identity
        );
    end loop;
end
$evdb$`;
}
