import { join } from 'node:path';
import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { withInspection } from '../../connection/inspection.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { lintScripts } from '../../lint/engine.ts';
import type { LintFinding } from '../../lint/finding.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { commandLine } from '../../text/command-line.ts';
import { type LintSettingsOptions, lintScriptOf, readLintScripts } from '../checks/lint.ts';
import { makeFolder, nextVersions, writeNew } from '../files/create.ts';
import { fileNamesOf, listMigrations, scriptFromText } from '../files/source.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { isApplied, type MigrationStatus } from '../plan/compare.ts';
import { fullName, listNames } from '../plan/plan.ts';
import { readStanding } from '../plan/read.ts';
import { type DraftMigration, type DraftScript, type Recipe, renderDraft } from './draft.ts';
import { type NewFile, proveFiles } from './prove.ts';
import { type ExpandRequest, recipeFor } from './requests.ts';

/** What is to be written, and where. */
export interface ExpandOptions extends MigrateOptions {
  request: ExpandRequest;
  /** How the files are judged; default as `lintMigrations` does. */
  lint?: LintSettingsOptions | undefined;
  /** Default: as the folder does it. */
  numbering?: 'timestamp' | 'sequential' | undefined;
  /** The folder of the embedded server, for a role that may not create databases; default: not proved then. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch database; default none. */
  onScratch?: ((message: string) => void) | undefined;
  /** Default: now. */
  now?: Date | undefined;
}

/** The migrations of an expansion. */
export interface Expansion {
  migrations: ExpandedMigration[];
  /** Whether they were run up, down and up again in a scratch database. */
  isProven: boolean;
  /** Why not. */
  unprovenReason?: string;
  /** What lint still says of them. */
  findings: LintFinding[];
  /** What the user has to know or do, as sentences. */
  notes: string[];
}

/** One migration with its two files. */
export interface ExpandedMigration {
  version: string;
  name: string;
  /** Whether `up --expand` stops before it. */
  isContract: boolean;
  files: {
    path: string;
    text: string;
  }[];
}

/**
 * Makes the migrations that change a table while old and new builds of an application use it: reads the
 * table, and tries the migrations in a scratch database. Writes nothing.
 *
 * @throws {EvdbError} USAGE, EXPAND_REFUSED, and those of `requireMigrations` and of
 *   the connection
 * @example
 * const request = { recipe: 'rename-column', column: 'events.location', to: 'venue' } as const;
 * const { migrations } = await planExpansion({ connection, directory: 'migrations', request });
 */
export async function planExpansion(options: ExpandOptions): Promise<Expansion> {
  return (await makeExpansion(options)).expansion;
}

async function makeExpansion(options: ExpandOptions) {
  const { connection, signal } = options;
  const { recipe, pending } = await withInspection(
    connection,
    async (session) => ({
      recipe: await recipeFor(session, options.request, ledgerKey(options).targetSchema),
      pending: await listPending(session, options),
    }),
    { signal },
  );
  refuseBegun(recipe, pending);
  const { migrations, findings } = await numberAndJudge(recipe, options);
  const files = migrations.flatMap((one) =>
    one.files.map(({ path, text }) => ({ name: path.slice(path.search(/[^/\\]+$/)), text })),
  );
  const failure = await prove(files, recipe, options);
  const notes = [...recipe.notes, ...(pending.length === 0 ? [] : [PENDING])];
  const expansion: Expansion = {
    migrations,
    isProven: failure === undefined,
    ...(failure && { unprovenReason: failure.message }),
    ...{ findings, notes },
  };
  return { expansion, failure };
}

/**
 * The same, and writes the files, unless they failed in the scratch database. None that is there is touched.
 *
 * @throws {EvdbError} those of `planExpansion`, EXPAND_UNPROVEN, FILE_EXISTS, FILE_UNREADABLE
 * @example
 * const request = { recipe: 'change-type', column: 'events.id', type: 'bigint' } as const;
 * const { migrations } = await writeExpansion({ connection, directory: 'migrations', request });
 */
export async function writeExpansion(options: ExpandOptions): Promise<Expansion> {
  const { expansion, failure } = await makeExpansion(options);
  if (failure?.code === 'EXPAND_UNPROVEN') throw failure;
  writeFiles(expansion.migrations, options.directory);
  return expansion;
}

/** What is needed to write migrations that no database has to be read for. */
export type WriteIndexMigrationOptions = Omit<
  ExpandOptions,
  'request' | 'connection' | 'embeddedDirectory'
>;

/** An index that a migration creates, and its down script drops. */
export interface IndexToWrite {
  createSql: string;
  dropSql: string;
  /** Its schema, which is left out where it is the one that migrations run in. */
  schema: string;
}

/**
 * Writes a migration that creates indexes without locking out anybody.
 *
 * @param about what it is for, as sentences
 * @throws {EvdbError} FILE_EXISTS, FILE_UNREADABLE, and those of `requireMigrations`
 * @example
 * const index = {
 *   schema: 'public',
 *   createSql: 'create index concurrently events_location_idx on public.events (location);',
 *   dropSql: 'drop index concurrently public.events_location_idx;',
 * };
 * await writeIndexMigration([index], 'Finds events by place.', { directory: 'migrations' });
 */
export async function writeIndexMigration(
  indexes: readonly IndexToWrite[],
  about: string,
  options: WriteIndexMigrationOptions,
): Promise<Pick<Expansion, 'migrations' | 'findings'>> {
  const { targetSchema } = ledgerKey(options);
  const qualifier = `${quoteWhereNeeded(targetSchema)}.`;
  const sqlOf = (sql: string, schema: string) =>
    (schema === targetSchema ? sql.replace(qualifier, '') : sql).replace(/;$/, '');
  const script = { about, directives: ['no-transaction'] };
  const draft: DraftMigration = {
    name: indexes.length === 1 ? 'add_index' : 'add_indexes',
    up: { ...script, statements: indexes.map(({ createSql, schema }) => sqlOf(createSql, schema)) },
    down: {
      ...script,
      about: 'Drops the indexes again.',
      statements: indexes.map(({ dropSql, schema }) => sqlOf(dropSql, schema)).reverse(),
    },
  };
  const judged = await numberAndJudge({ drafts: [draft] }, options);
  writeFiles(judged.migrations, options.directory);
  return judged;
}

function writeFiles(migrations: readonly ExpandedMigration[], directory: string): void {
  makeFolder(directory);
  for (const { files } of migrations) {
    for (const { path, text } of files) writeNew(path, text);
  }
}

const PENDING =
  'other migrations are pending: the table was read as it is in the database, without them';

async function listPending(session: Session, options: ExpandOptions): Promise<MigrationStatus[]> {
  const files = listIfThere(options.directory);
  const { statuses } = await readStanding(session, options, files);
  return statuses.filter((one) => !isApplied(one));
}

/**
 * Of a column that is changed already, another change would begin with what the first one leaves.
 *
 * @throws {EvdbError} EXPAND_REFUSED with the migrations that are there
 */
function refuseBegun({ drafts }: Recipe, pending: readonly MigrationStatus[]): void {
  const wanted = new Set(drafts.flatMap(({ name }) => namesOfSameColumn(name)));
  const begun = pending.filter(({ name }) => wanted.has(name));
  if (begun.length === 0) return;
  const isOne = begun.length === 1;
  throw new EvdbError(
    'EXPAND_REFUSED',
    `migrations for this are there already, and ${isOne ? 'one is' : 'some are'} not applied: ${listNames(begun.map(fullName))}`,
    {
      hint: `Apply ${isOne ? 'it' : 'them'} first: \`${commandLine('migrate up')}\`. If ${isOne ? 'it is' : 'they are'} not meant, remove the files.`,
      details: { versions: begun.map(({ version }) => version) },
    },
  );
}

/** A draft that ends with a column, and that of another recipe which would end with it. */
function namesOfSameColumn(name: string): string[] {
  const [, of] = /^(?:drop|change_type_of)_(.+)$/.exec(name) ?? [];
  return of === undefined ? [name] : [`drop_${of}`, `change_type_of_${of}`];
}

function listIfThere(directory: string) {
  try {
    return listMigrations(directory);
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'MIGRATIONS_DIR_MISSING') return [];
    throw error;
  }
}

/** Numbers the drafts behind the migrations of the folder, and says in them what lint would report. */
async function numberAndJudge(recipe: Pick<Recipe, 'drafts'>, options: WriteIndexMigrationOptions) {
  const earlier = listIfThere(options.directory);
  const labels = nextVersions(earlier, options, recipe.drafts.length);
  const parser = await loadSqlParser();
  const history = readLintScripts(
    earlier.map(({ upPath }) => ({ path: upPath, isDown: false, isJudged: false })),
    { variables: options.variables },
  ).scripts;
  const { searchPath = [] } = options;
  const judging = {
    ...options.lint,
    searchPath: [ledgerKey(options).targetSchema, ...searchPath],
    parser,
    isHistoryWhole: true,
  };
  const judge = (migrations: ExpandedMigration[]) => {
    const scripts = migrations.flatMap(({ files }) =>
      files.map(({ path, text }, index) =>
        lintScriptOf(scriptFromText(path, text), { isDown: index === 1, isJudged: true }),
      ),
    );
    return lintScripts([...history, ...scripts], judging).findings;
  };
  const told = judge(renderAll(recipe.drafts, labels, options, []));
  const migrations = renderAll(recipe.drafts, labels, options, told);
  const findings = judge(migrations).filter(({ severity }) => severity !== 'info');
  return { migrations, findings };
}

function renderAll(
  drafts: readonly DraftMigration[],
  labels: readonly string[],
  { directory }: WriteIndexMigrationOptions,
  told: readonly LintFinding[],
): ExpandedMigration[] {
  const labelOf = (name: string) =>
    String(labels[drafts.findIndex((draft) => draft.name === name)]);
  return drafts.map(({ name, up, down }) => {
    const names = fileNamesOf({ label: labelOf(name), name });
    const fileOf = (fileName: string, script: DraftScript) => {
      const path = join(directory, fileName);
      return { path, text: renderDraft(script, labelOf, ignoredIn(path, script, told)) };
    };
    return {
      ...{ version: labelOf(name), name, isContract: up.isContract === true },
      files: [fileOf(names.up, up), fileOf(names.down, down)],
    };
  });
}

/** Those of the rules that a draft accepts which lint really reports: others would be unused. */
function ignoredIn(
  path: string,
  { accepts = [] }: DraftScript,
  told: readonly LintFinding[],
): string[] {
  const found = told
    .filter(({ location, severity }) => location.file === path && severity !== 'info')
    .map(({ code }) => code);
  const accepted = new Set(accepts.flatMap(({ rules }) => rules));
  return [...new Set(found)].filter((code) => accepted.has(code)).sort();
}

const UNPROVEN: ReadonlySet<string> = new Set(['SCRATCH_UNAVAILABLE', 'EXPAND_UNPROVEN']);

/** @returns why it could not be proved; undefined where it was */
async function prove(
  files: readonly NewFile[],
  recipe: Recipe,
  options: ExpandOptions,
): Promise<EvdbError | undefined> {
  try {
    await proveFiles(files, recipe, options);
    return undefined;
  } catch (error) {
    if (error instanceof EvdbError && UNPROVEN.has(error.code)) return error;
    throw error;
  }
}
