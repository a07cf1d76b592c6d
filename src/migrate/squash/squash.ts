import { randomInt } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { describeDifferences, diffStructures } from '../../structure/diff.ts';
import type { LintSettingsOptions } from '../checks/lint.ts';
import { cannotWrite, makeFolder, writeNew } from '../files/create.ts';
import { renderReplaces } from '../files/replaces.ts';
import {
  fileNamesOf,
  type MigrationFile,
  readReplaces,
  readScript,
  type Script,
  scriptFromText,
} from '../files/source.ts';
import { displayPath, isVersion, parseVersion } from '../files/version.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { requireMigrations } from '../plan/read.ts';
import { squashedFolder } from '../plan/replaced.ts';
import { type BaselineTarget, judgeBaseline, renderBaselineBody } from './baseline.ts';
import { type ReplayContext, type Replayed, replayScripts } from './replay.ts';
import { type LeftToDefault, refused, sameColumns, settleRows } from './rows.ts';

/** Which migrations become one file. */
export interface SquashOptions extends Omit<MigrateOptions, 'connection'> {
  /** Beside which database the scratch databases are made; default: on the embedded server. */
  connection?: MigrateOptions['connection'] | undefined;
  /** The last version that the baseline replaces. */
  to: string;
  /** What follows the version in the name of the baseline; default `baseline`. */
  name?: string | undefined;
  /** Tables whose rows are left out, as `table` or `schema.table`; default none. */
  withoutRows?: readonly string[] | undefined;
  /** How the baseline is judged; default as `lintMigrations` does. */
  lint?: LintSettingsOptions | undefined;
  /** The folder of the embedded server, for a role that may not create databases; default: that is an error. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch databases; default none. */
  onScratch?: ((message: string) => void) | undefined;
}

/** A baseline, and what it replaces. */
export interface Squash {
  version: string;
  label: string;
  name: string;
  /** What it replaces, such as `001-016`. */
  replaces: string;
  baseline: { path: string; text: string };
  migrations: { version: string; label: string; name: string }[];
  /** Where the old files go. */
  moves: { from: string; to: string }[];
  /** Rows that the migrations write and that are in the baseline, by table. */
  rows: { table: string; rows: number }[];
  /** Columns of them that their default fills, because their values differ each time. */
  leftToDefault: LeftToDefault[];
  /** Tables whose rows were left out. */
  withoutRows: string[];
  /** Whether the baseline goes into any schema; false where the migrations name theirs. */
  isRelocatable: boolean;
  /** How many objects were found equal. */
  objects: number;
}

/**
 * Makes one file of all migrations up to a version: runs them in a scratch database, writes what they made
 * as SQL, runs that in another one, and finds both equal, structure and rows. Writes nothing.
 *
 * @throws {EvdbError} UNKNOWN_VERSION, USAGE, SQUASH_REFUSED, SQUASH_UNPROVEN, REPLAY_FAILED, FILE_EXISTS,
 *   and those of `requireMigrations` and `withScratchDatabase`
 * @example
 * const { baseline, moves } = await planSquash({ connection, directory: 'migrations', to: '016' });
 */
export async function planSquash(options: SquashOptions): Promise<Squash> {
  const { files, last } = selectFiles(options);
  const name = options.name ?? 'baseline';
  const path = join(dirname(last.upPath), fileNamesOf({ label: last.label, name }).up);
  if (name === last.name) throw nameTaken(last);
  const moves = listMoves(files, last);
  const scripts = files.map(({ upPath }) => readScript(upPath));
  refuseVariables(scripts);
  const made = await makeProved(scripts, options);
  const parser = await loadSqlParser();
  const baseline = { path, body: made.body, header: headerOf(files, last) };
  const text = judgeBaseline(baseline, { options, parser });
  return {
    ...{ version: last.version, label: last.label, name },
    replaces: renderReplaces(files),
    baseline: { path, text },
    migrations: files.map(({ version, label, name: own }) => ({ version, label, name: own })),
    moves,
    rows: made.rows,
    leftToDefault: made.leftToDefault,
    withoutRows: [...(options.withoutRows ?? [])],
    isRelocatable: made.isRelocatable,
    objects: made.objects,
  };
}

/**
 * The same, then moves the old files to `squashed/<version>` beside them and writes the baseline in their
 * place.
 *
 * @throws {EvdbError} those of `planSquash`, FILE_UNREADABLE
 * @example
 * const { replaces } = await writeSquash({ connection, directory: 'migrations', to: '016' });
 */
export async function writeSquash(options: SquashOptions): Promise<Squash> {
  const squash = await planSquash(options);
  const done: Squash['moves'] = [];
  try {
    for (const move of squash.moves) {
      makeFolder(dirname(move.to));
      rename(move);
      done.push(move);
    }
    writeNew(squash.baseline.path, squash.baseline.text);
  } catch (error) {
    for (const { from, to } of done.reverse()) rename({ from: to, to: from });
    throw error;
  }
  return squash;
}

function rename({ from, to }: Squash['moves'][number]): void {
  try {
    renameSync(from, to);
  } catch (cause) {
    throw cannotWrite(to, cause);
  }
}

function selectFiles(options: SquashOptions): { files: MigrationFile[]; last: MigrationFile } {
  const all = requireMigrations(options);
  const wanted = isVersion(options.to) ? parseVersion(options.to) : undefined;
  const at = all.findIndex(({ version }) => version === wanted);
  const last = all[at];
  if (!last) {
    throw new EvdbError('UNKNOWN_VERSION', `there is no file of version ${options.to}`, {
      hint: `The newest is ${all.at(-1)?.label}.`,
      details: { version: options.to },
    });
  }
  if (at === 0) {
    throw refused(
      `${basename(last.upPath)} is the only migration up to ${last.label}`,
      'There is nothing to squash.',
    );
  }
  return { files: all.slice(0, at + 1), last };
}

function nameTaken({ label, name }: MigrationFile): EvdbError {
  return new EvdbError('USAGE', `${label}_${name} is the name of a migration that is replaced`, {
    hint: 'Choose another one with --name.',
  });
}

function listMoves(files: readonly MigrationFile[], last: MigrationFile): Squash['moves'] {
  const folder = squashedFolder(last);
  const moves = files
    .flatMap(({ upPath, downPath }) => [upPath, ...(downPath === undefined ? [] : [downPath])])
    .map((from) => ({ from, to: join(folder, basename(from)) }));
  const taken = moves.find(({ to }) => existsSync(to));
  if (!taken) return moves;
  throw new EvdbError('FILE_EXISTS', `${displayPath(taken.to)} already exists`, {
    hint: 'Old files are moved there. Remove it, or move it away.',
    details: { file: taken.to },
  });
}

/** The values of this environment would be in the file, and go to all others. */
function refuseVariables(scripts: readonly Script[]): void {
  const using = scripts.filter(({ directives }) => directives.variables !== undefined);
  if (using.length === 0) return;
  const said = using.map(
    ({ path, directives }) =>
      `${path} (${directives.variables?.map(({ name }) => name).join(', ')})`,
  );
  throw refused(
    `what these make differs between environments, because they use variables: ${said.join(', ')}`,
    'Squash up to a version before them.',
  );
}

interface Made {
  body: string;
  isRelocatable: boolean;
  rows: Squash['rows'];
  leftToDefault: LeftToDefault[];
  objects: number;
}

/** Without the name of the schema where that can be; else with it. */
async function makeProved(scripts: readonly Script[], options: SquashOptions): Promise<Made> {
  const { targetSchema } = ledgerKey(options);
  const schema = `evdb_squash_${randomInt(0x1000_0000).toString(16).padStart(7, '0')}`;
  try {
    const made = await make(scripts, { options, schema, isRelocatable: true });
    if (made) return made;
  } catch (error) {
    if (!(error instanceof EvdbError)) throw error;
    if (!MAY_NAME_ITS_SCHEMA.has(error.code)) throw withNameOf(error, schema, targetSchema);
  }
  const made = await make(scripts, { options, schema: targetSchema, isRelocatable: false });
  if (made === undefined) throw new Error('a text that may name its schema was not made');
  return made;
}

const MAY_NAME_ITS_SCHEMA: ReadonlySet<string> = new Set(['REPLAY_FAILED', 'SQUASH_UNPROVEN']);

/** Nobody knows the schema of the replay. */
function withNameOf(
  { code, message, hint, details, cause }: EvdbError,
  schema: string,
  target: string,
): EvdbError {
  const named = JSON.stringify(details).replaceAll(schema, target);
  return new EvdbError(code, message.replaceAll(schema, target), {
    hint,
    details: JSON.parse(named),
    cause,
  });
}

async function make(
  scripts: readonly Script[],
  {
    options,
    schema,
    isRelocatable,
  }: Omit<BaselineTarget, 'searchPath'> & { options: SquashOptions },
): Promise<Made | undefined> {
  const { targetSchema } = ledgerKey(options);
  const searchPath = [schema, ...(options.searchPath ?? []), 'pg_temp'].map(quoteIdent).join(', ');
  const own = `${targetSchema}.`;
  const contextOf = (inSchema: string): ReplayContext => ({
    ...{ options, schema: inSchema },
    withoutRows: (options.withoutRows ?? []).map(
      (table) =>
        `${table.includes('.') && !table.startsWith(own) ? '' : `${inSchema}.`}${table.replace(own, '')}`,
    ),
  });
  const context = contextOf(schema);
  const replayed = await replayScripts(scripts, context);
  if (isRelocatable && replayed.structure.objects.some(({ name }) => name.startsWith(own)))
    return undefined;
  const again = await replayScripts(scripts, context);
  refuseUnsteady(diffStructures(replayed.structure, again.structure));
  const { rows, leftToDefault } = settleRows(replayed.rows, again.rows);
  const body = renderBaselineBody(replayed, rows, { schema, isRelocatable, searchPath });
  if (body === undefined) return undefined;
  const wanted = { ...replayed, rows };
  await prove(body, wanted, context);
  if (isRelocatable && scripts.some(({ text }) => mentions(text, targetSchema)))
    await proveInTarget(body, scripts, contextOf(targetSchema));
  const shown = (table: string) =>
    table.startsWith(`${schema}.`) ? table.slice(schema.length + 1) : table;
  return {
    ...{
      body,
      isRelocatable,
      objects: replayed.structure.objects.filter(({ kind }) => kind !== 'schema').length,
    },
    rows: rows.tables.map((one) => ({ table: shown(one.table), rows: one.rows.length })),
    leftToDefault: leftToDefault.map((one) => ({ ...one, table: shown(one.table) })),
  };
}

/** What depends on chance or on the time would be fixed by a file. */
function refuseUnsteady(differences: ReturnType<typeof diffStructures>): void {
  if (differences.length === 0) return;
  throw refused(
    `the migrations make something else each time they run:\n${describeDifferences(differences).join('\n')}`,
    'Squash up to a version before them.',
  );
}

/** @throws {EvdbError} SQUASH_UNPROVEN */
async function prove(
  body: string,
  wanted: Pick<Replayed, 'structure' | 'rows' | 'computed'>,
  context: ReplayContext,
): Promise<void> {
  const found = await replayBaseline(body, context);
  requireSameStructure(wanted, found);
  const rows = sameColumns(found.rows, wanted.rows);
  if (JSON.stringify(sorted(rows)) !== JSON.stringify(sorted(wanted.rows)))
    throw unproven('the rows or the sequences differ');
}

function mentions(text: string, schema: string): boolean {
  return text.toLowerCase().includes(schema.toLowerCase());
}

/**
 * Scripts that name the target mean other things where another schema stands for it: `grant … on all tables
 * in schema public` finds none there. What they make in the target itself tells.
 *
 * @throws {EvdbError} REPLAY_FAILED, SQUASH_UNPROVEN
 */
async function proveInTarget(
  body: string,
  scripts: readonly Script[],
  context: ReplayContext,
): Promise<void> {
  requireSameStructure(await replayScripts(scripts, context), await replayBaseline(body, context));
}

/** @throws {EvdbError} SQUASH_UNPROVEN where it does not run */
async function replayBaseline(body: string, context: ReplayContext): Promise<Replayed> {
  try {
    return await replayScripts([scriptFromText('the baseline', body)], context);
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'REPLAY_FAILED') throw error;
    throw unproven(`it does not run: ${error.message}`, error);
  }
}

/** @throws {EvdbError} SQUASH_UNPROVEN */
function requireSameStructure(
  wanted: Pick<Replayed, 'structure' | 'computed'>,
  found: Replayed,
): void {
  const isComputed = (of: string | undefined) => wanted.computed.has(of ?? '');
  const differences = diffStructures(wanted.structure, found.structure).filter(
    // Made later, they take over comments that were changed after the old ones were made.
    ({ of, parts }) => !isComputed(of) || !parts.every(({ part }) => part === 'comment'),
  );
  if (differences.length === 0) return;
  throw unproven(`something differs:\n${describeDifferences(differences).join('\n')}`);
}

/** The order of rows that are equal in what is compared says nothing. */
function sorted({ tables, sequences }: Replayed['rows']) {
  return [
    sequences,
    ...tables.map(({ table, rows }) => [
      table,
      rows.map(({ values }) => JSON.stringify(values)).sort(),
    ]),
  ];
}

function unproven(found: string, cause?: unknown): EvdbError {
  return new EvdbError(
    'SQUASH_UNPROVEN',
    `the baseline does not make what the migrations make: ${found}`,
    {
      hint: 'Nothing was written or moved. Squash up to an earlier version, or report it as a defect with the migrations.',
      cause,
    },
  );
}

function headerOf(files: readonly MigrationFile[], last: MigrationFile): string[] {
  const [first] = files;
  const earlier = files.flatMap(readReplaces).map(({ text }) => text);
  return [
    `-- Makes what ${files.length} migrations made, from ${first?.label}_${first?.name} to ${last.label}_${last.name}.`,
    '-- Written by evdb, which ran both in scratch databases and found them equal.',
    `-- evdb: replaces ${renderReplaces(files)}`,
    ...earlier.map((text) => `-- evdb: replaces ${text}`),
    `-- evdb: irreversible it makes all that is there; the old files are in squashed/${last.label}`,
  ];
}
