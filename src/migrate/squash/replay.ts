import type { Session } from '../../connection/session.ts';
import type { EvdbError } from '../../errors.ts';
import { roleStandInOf } from '../../scratch/roles.ts';
import { withScratch } from '../../scratch/scratch.ts';
import type { Statement } from '../../sql/statements.ts';
import { readStructure } from '../../structure/read/structure.ts';
import { objectKeyOf, type Structure } from '../../structure/structure.ts';
import { replayFailed, runScript, staysInDatabase } from '../checks/replay.ts';
import type { Script } from '../files/source.ts';
import { bindVariables, statementsOf } from '../files/variables.ts';
import { ledgerKey } from '../options.ts';
import { type DatabaseRows, readRows, refused } from './rows.ts';
import type { SquashOptions } from './squash.ts';

/** What scripts made in a scratch database. */
export interface Replayed {
  structure: Structure;
  rows: DatabaseRows;
  /** Statements on the whole server, which a scratch database must not run. */
  ofServer: string[];
  /** Statements that make partitions whose names they compute, such as those of this month. */
  computing: string[];
  /** Keys of those partitions. */
  computed: Set<string>;
}

/** How the scripts are run again. */
export interface ReplayContext {
  options: SquashOptions;
  /** The schema that stands for the target. */
  schema: string;
  /** As `schema.table`. */
  withoutRows: readonly string[];
}

/**
 * Runs scripts in an empty scratch database and reads all that they made.
 *
 * @throws {EvdbError} REPLAY_FAILED, SQUASH_REFUSED, and those of `withScratch` and `readStructure`
 */
export function replayScripts(
  scripts: readonly Script[],
  { options, schema, withoutRows }: ReplayContext,
): Promise<Replayed> {
  const { connection, embeddedDirectory, onScratch, signal } = options;
  const { ledgerSchema } = ledgerKey(options);
  const making = { beside: connection, embeddedDirectory, onScratch, signal };
  return withScratch(making, async ({ session }) => {
    const partitions = new Map<string, Script>();
    for (const [index, script] of scripts.entries()) {
      await runOne(session, script, { options, schema, isFirst: index === 0 });
      for (const key of await listPartitions(session))
        if (!partitions.has(key)) partitions.set(key, script);
    }
    const missing = await roleStandInOf(session).missing();
    if (missing.length > 0) throw lacksRoles(missing);
    const all = await readStructure(session, { exceptSchemas: [ledgerSchema], owners: true });
    return {
      structure: await withoutOwnOwner(session, all),
      rows: await readRows(session, ledgerSchema, withoutRows),
      ofServer: scripts.flatMap((script) => listOfServer(script, options)),
      ...findComputed(partitions, scripts),
    };
  });
}

async function runOne(
  session: Session,
  script: Script,
  { options, schema, isFirst }: { options: SquashOptions; schema: string; isFirst: boolean },
): Promise<void> {
  try {
    await runScript(session, script, { options: { ...options, schema }, createTarget: isFirst });
  } catch (cause) {
    const what = `${script.path} cannot be run in a scratch database`;
    throw replayFailed(what, { script, cause, signal: options.signal });
  }
}

/** Who runs a baseline owns what it makes; other owners were given by the scripts. */
async function withoutOwnOwner(session: Session, structure: Structure): Promise<Structure> {
  const [row] = await session.run('select pg_catalog.quote_ident(current_user) as "name"');
  const objects = structure.objects.map((object) => {
    const { owner, ...parts } = object.parts;
    const isOwn = owner === undefined || owner === row?.name || object.kind === 'schema';
    return isOwn ? { ...object, parts } : object;
  });
  return { ...structure, objects };
}

function lacksRoles(names: readonly string[]): EvdbError {
  return refused(
    `the server lacks ${names.length === 1 ? 'a role' : 'roles'} that the migrations make, so what they grant to it cannot be read: ${names.join(', ')}`,
    'Create them there, or name a server that has them with --url.',
    { roles: names },
  );
}

function listOfServer(script: Script, options: SquashOptions): string[] {
  const bound = bindVariables(script, options.variables);
  return statementsOf(bound)
    .filter((one) => one.psqlCommand === null && !staysInDatabase(one))
    .map((statement) => {
      if (statement.command === 'do' && DOES_MORE.test(statement.text))
        throw doesMore(bound, statement);
      return statement.text;
    });
}

const DOES_MORE =
  /\b(?:(?:grant|revoke)\b[^;]*\bon|(?:create|alter)\s+(?:table|function|view|type|schema|index))\b/i;

/** It was left out whole, and with it what belongs to the database. */
function doesMore({ path }: Script, { line }: Statement): EvdbError {
  return refused(
    `the block at ${path}:${line} makes a role and more, and a scratch database must not make roles`,
    'Squash up to a version before it.',
    { file: path, line },
  );
}

async function listPartitions(session: Session): Promise<string[]> {
  const rows = await session.run(`
select pg_catalog.format('%I.%I', n.nspname, c.relname) as "name"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relispartition and c.relkind in ('r', 'p')`);
  return rows.map(({ name }) => objectKeyOf({ kind: 'table', name: String(name) }));
}

const MAY_COMPUTE = new Set(['do', 'select', 'call']);

/**
 * Partitions that no script names were named by a statement that ran; a baseline lets that statement make
 * them, so that those of the month in which it runs are made.
 */
function findComputed(
  partitions: ReadonlyMap<string, Script>,
  scripts: readonly Script[],
): Pick<Replayed, 'computing' | 'computed'> {
  const computed = new Set<string>();
  const makers = new Set<Script>();
  for (const [key, script] of partitions) {
    const own = key.slice(key.lastIndexOf('.') + 1).replaceAll('"', '');
    if (scripts.some(({ text }) => text.includes(own))) continue;
    computed.add(key);
    makers.add(script);
  }
  const computing = [...makers].map((script) =>
    statementsOf(script).filter(({ command }) => MAY_COMPUTE.has(command)),
  );
  // Of several it is not known which one it was.
  if (computing.some((statements) => statements.length !== 1))
    return { computing: [], computed: new Set() };
  return { computing: computing.flat().map(({ text }) => text), computed };
}
