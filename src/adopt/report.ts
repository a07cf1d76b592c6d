import { renderFindingLine, type Style } from '../report/table.ts';
import { commandLine, sameCommand } from '../text/command-line.ts';
import { renderCount, renderTime } from '../text/units.ts';
import type { AdoptedMigration, AdoptionResult } from './adopt.ts';
import type { UndoneAdoption } from './record.ts';

export interface AdoptionRenderOptions {
  style: Style;
  /** Whether this is only what would be done. */
  dryRun: boolean;
  /** List so many of each kind at most; default: all. */
  limit?: number | undefined;
  /** The folder that is configured, where it is another than the one that was written to. */
  configuredFolder?: string | undefined;
  /** The version up to which lint judges nothing, as configured. */
  startAfter?: string | undefined;
}

/** What was taken over, what is pending, what is odd, and what to do next. */
export function renderAdoption(result: AdoptionResult, options: AdoptionRenderOptions): string {
  const { tool, table, findings, adopted, known, pending, files } = result;
  const { style, dryRun } = options;
  if (adopted.length === 0 && files.length === 0 && known > 0) {
    return [
      ...findings.map((finding) => renderFindingLine(finding, style)),
      `already adopted: ${renderCount(known, 'migration')} of ${tool}, nothing new in ${table ?? 'its folder'}`,
    ].join('\n');
  }
  return [
    ...renderSome(adopted, style.good(dryRun ? 'would adopt' : 'adopted    '), options),
    ...renderSome(pending, style.warn('pending    '), options),
    ...findings.map((finding) => renderFindingLine(finding, style)),
    '',
    ...renderOutcome(result, options),
  ].join('\n');
}

function renderSome(
  migrations: AdoptedMigration[],
  verb: string,
  { style, limit = Number.POSITIVE_INFINITY }: AdoptionRenderOptions,
): string[] {
  const hidden = Math.max(0, migrations.length - limit);
  const more =
    hidden > 0 ? [style.dim(`             … and ${hidden} before (--all lists them)`)] : [];
  return [
    ...more,
    ...migrations.slice(hidden).map((one) => {
      const facts = [
        `from ${one.file}`,
        ...(one.appliedAt ? [renderTime(one.appliedAt)] : []),
        ...(one.verifiedBy === 'checksum' ? ['checksum matches'] : []),
      ];
      return `${verb}  ${one.label}_${one.name}  ${style.dim(facts.join(', '))}`;
    }),
  ];
}

function renderOutcome(
  result: AdoptionResult,
  { dryRun, configuredFolder, startAfter }: AdoptionRenderOptions,
): string[] {
  const { adopted, known, pending, tool, table, schema, directory, files } = result;
  const before = known > 0 ? ` (${known} in the ledger before)` : '';
  const head = `${dryRun ? 'would adopt' : 'adopted'} ${renderCount(adopted.length, 'migration')}${before} of ${tool} from ${table ?? 'its files alone'} into schema ${schema}, ${pending.length} pending; ${dryRun ? 'would write' : 'wrote'} ${renderCount(files.length, 'file')} to ${directory || '.'}`;
  if (dryRun) return [head, 'Nothing was changed (--dry-run).'];
  const configure =
    configuredFolder === undefined
      ? []
      : [`  set "migrationsDir": "${directory}" in evdb.config.json (it is ${configuredFolder})`];
  const target = {
    schema: schema === 'public' ? undefined : schema,
    'migrations-dir': configuredFolder === undefined ? undefined : directory || '.',
  };
  const validate = commandLine('migrate validate', target);
  const undo = sameCommand(
    'migrate adopt',
    { undo: true, schema: target.schema },
    { without: ['from-dir', 'table', 'reason', 'all', 'confirm'] },
  );
  const last = table === null ? pending.at(-1) : undefined;
  const baseline = last && commandLine('migrate baseline', target, { args: [last.label] });
  return [
    head,
    `Nothing was run${table === null ? '' : `, and ${table} is as it was`}. Next:`,
    ...configure,
    ...lintFrom(result, startAfter),
    ...(baseline === undefined
      ? []
      : [`  where the database has all of it already, count it as applied: ${baseline}`]),
    `  commit ${directory || '.'}, and look at it: ${validate}`,
    `  from here on, only evdb may migrate; to take this back: ${undo}`,
  ];
}

/** What is applied cannot be written anew, so what lint says of it is noise. */
function lintFrom({ adopted }: AdoptionResult, startAfter: string | undefined): string[] {
  const newest = adopted.at(-1)?.label;
  if (newest === undefined || (startAfter !== undefined && BigInt(startAfter) >= BigInt(newest))) {
    return [];
  }
  return [
    `  set "lint": { "startAfter": "${newest}" } in evdb.config.json: lint then judges only what is new`,
  ];
}

/** What undoing an adoption removed, and what stays. */
export function renderUndoneAdoption(
  { forgotten, removed, kept, applied, schema }: UndoneAdoption,
  { style, dryRun }: AdoptionRenderOptions,
): string {
  if (forgotten.length === 0 && removed.length === 0) return `nothing to undo in schema ${schema}`;
  const head = `${dryRun ? 'would forget' : 'forgot'} ${renderCount(forgotten.length, 'migration')} in schema ${schema}, ${dryRun ? 'would remove' : 'removed'} ${renderCount(removed.length, 'file')}`;
  return [
    ...kept.map(
      (name) => `${style.warn('kept')}  ${name}  ${style.dim('changed since it was written')}`,
    ),
    ...applied.map(({ label, name, files }) => {
      const why = `evdb applied it since, so it stays in the ledger${files.length > 0 ? `, and ${files.join(' and ')}` : ''}`;
      return `${style.warn('kept')}  ${label}_${name}  ${style.dim(why)}`;
    }),
    head,
    ...(applied.length > 0
      ? [
          `${dryRun ? 'would stay' : 'stays'}: ${renderCount(applied.length, 'migration')} that evdb applied since, which the other tool does not know of`,
        ]
      : []),
    dryRun
      ? 'Nothing was changed (--dry-run).'
      : "The other tool's table and files are as they were.",
  ].join('\n');
}
