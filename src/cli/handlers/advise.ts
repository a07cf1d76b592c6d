import { relative } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { withInspection } from '../../connection/inspection.ts';
import { type Expansion, writeIndexMigration } from '../../migrate/expand/expand.ts';
import { renderReport } from '../../report/render-report.ts';
import { ADVISE_VIEW, type IndexAdvice, readIndexAdvice } from '../../stats/advise/advise.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount, renderPercent } from '../../text/units.ts';
import { loadRenderOptions } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { lintOptionsOf, loadDirectConnection, migrateSettings } from '../settings.ts';

export async function handleAdvise(input: CommandInput): Promise<CommandResult> {
  const { flags } = input;
  const { config, connection } = await loadDirectConnection(input);
  const advice = await withInspection(connection, (session) =>
    readIndexAdvice(session, {
      schema: flags.schema as string | undefined,
      limit: flags.limit as number | undefined,
      ...(config.schema !== 'public' && {
        searchPath: [config.schema, ...config.searchPath, 'public'],
      }),
    }),
  );
  const howOf = await loadRenderOptions(input);
  const text = renderReport(advice, ADVISE_VIEW, howOf());
  if (!flags.write) return { data: { ...advice, written: null }, text };
  const written = await writeAdvice(advice, config, input);
  return { data: { ...advice, written }, text: `${text}\n\n${renderWritten(written)}` };
}

type Written = Pick<Expansion, 'migrations' | 'findings'>;

/** Those of partitioned tables are left out: nothing creates one without a lock in one statement. */
async function writeAdvice(
  { rows }: IndexAdvice,
  config: Config,
  { context, flags }: CommandInput,
): Promise<Written> {
  const indexes = rows.filter(({ createSql }) => createSql.includes(' concurrently '));
  if (indexes.length === 0) return { migrations: [], findings: [] };
  const said = indexes.map(({ schema, table, columns, basis, gain, tableWrites }) => {
    const name = `${schema}.${table} (${columns.join(', ')})`;
    const writes = renderCount(tableWrites, 'row written', 'rows written');
    if (basis === 'foreignKey') return `${name} serves a foreign key (${writes}).`;
    if (gain === null) return `${name} is a candidate, whose gain is unknown (${writes}).`;
    return `${name} saves ${renderPercent(gain * 100)} of the plan cost of its statements (${writes}).`;
  });
  const { paths: _, ...lint } = { paths: [], ...(await lintOptionsOf(config, flags)) };
  const { migrations, findings } = await writeIndexMigration(indexes, said.join(' '), {
    ...migrateSettings(config, context),
    lint,
  });
  return {
    migrations: migrations.map((migration) => ({
      ...migration,
      files: migration.files.map(({ path, text }) => ({ path: relative(context.cwd, path), text })),
    })),
    findings,
  };
}

function renderWritten({ migrations, findings }: Written): string {
  if (migrations.length === 0) return 'no migration was written: there is no index to create';
  return [
    ...migrations.flatMap(({ files }) => files.map(({ path }) => `created  ${path}`)),
    ...findings.map(
      ({ location, code, message }) =>
        `lint     ${location.file}:${location.line}: ${code}: ${message}`,
    ),
    `Read it, then: ${commandLine('migrate up')}`,
  ].join('\n');
}
