import { dirname } from 'node:path';
import { isConnectionLoss } from '../../connection/connection-error.ts';
import { isLockFailure } from '../../connection/retry.ts';
import type { Asked } from '../../connection/session.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { commandLine } from '../../text/command-line.ts';
import { type Gate, isBuildAtLeast } from '../files/gates.ts';
import { ScriptError } from '../files/script-error.ts';
import { listMigrations, type MigrationFile, readReplaces, type Script } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { type LedgerRow, readLedger } from '../ledger/ledger.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import { BEGIN_READ_ONLY, END_READ_ONLY_SQL } from '../plan/transaction-modes.ts';
import type { ApplyContext } from './context.ts';
import { searchPathSql } from './worker-session.ts';

/** A gate, and what was found when it was asked. */
export interface GateAnswer {
  /** As the header of the migration writes it, such as `require select …`. */
  text: string;
  line: number;
  isOpen: boolean;
  /** What the database said, such as `false`. */
  found: string;
}

/** What gates are asked on: nothing runs in it meanwhile. */
export interface GateSource {
  session: Asked;
  targetSchema: string;
  searchPath: string[];
  readRows: () => Promise<readonly Pick<LedgerRow, 'version' | 'state'>[]>;
}

/** A query of a gate must neither hold up a deployment nor wait in the queue of a table. */
const LIMITS_SQL = "set local statement_timeout = '30s'; set local lock_timeout = '2s'";

/**
 * Asks the gates of one migration. Writes nothing.
 *
 * @param isAsked which of them; default: all
 */
export async function askGates(
  step: Pick<MigrationStep, 'script'>,
  source: GateSource,
  isAsked: (gate: Gate) => boolean = () => true,
): Promise<GateAnswer[]> {
  const answers: GateAnswer[] = [];
  for (const gate of (step.script.directives.gates ?? []).filter(isAsked)) {
    const { text, line } = gate;
    answers.push({ text, line, ...(await askGate(gate, step.script, source)) });
  }
  return answers;
}

/**
 * Asks before anything runs what earlier migrations of the run cannot change: who is connected. Other
 * gates are asked when their migration comes, as its queries may need what an earlier one makes.
 *
 * @throws {ScriptError} GATE_CLOSED
 */
export async function refuseOldBuilds(
  steps: readonly MigrationStep[],
  context: ApplyContext,
): Promise<void> {
  for (const step of steps) {
    if (step.script.directives.gates)
      await refuseClosedGates(step, context, ({ kind }) => kind === 'require-build');
  }
}

/**
 * Refuses a migration with a gate that is closed.
 *
 * @throws {ScriptError} GATE_CLOSED
 */
export async function refuseClosedGates(
  step: MigrationStep,
  { worker, key, settings }: ApplyContext,
  isAsked?: (gate: Gate) => boolean,
): Promise<void> {
  const answers = await askGates(
    step,
    {
      session: worker,
      targetSchema: key.targetSchema,
      searchPath: settings.searchPath,
      readRows: async () => (await readLedger(worker, key)).rows,
    },
    isAsked,
  );
  const closed = answers.filter(({ isOpen }) => !isOpen);
  const [first, ...others] = closed;
  if (!first) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const error = new ScriptError(
    'GATE_CLOSED',
    `${fullName(step)} must not run yet: ${first.text}: ${first.found}${more}`,
    { script: step.script, line: first.line, column: 1 },
    {
      hint: `Nothing of it was run. Run the command again once that holds. \`${commandLine('migrate up', { expand: true })}\` applies what comes before migrations that contract the schema.`,
    },
  );
  Object.assign(error.details, { version: step.version, gates: answers });
  throw error;
}

type Answer = Pick<GateAnswer, 'isOpen' | 'found'>;

async function askGate(gate: Gate, script: Script, source: GateSource): Promise<Answer> {
  switch (gate.kind) {
    case 'require':
      return askQuery(gate.query, source);
    case 'require-build':
      return askBuilds(gate, source);
    default: {
      const rows = await source.readRows();
      const row = rows.find(({ version }) => version === gate.version);
      if (row?.state === 'applied') return { isOpen: true, found: 'it is applied' };
      const baseline = row ? undefined : findBaseline(gate.version, script, rows);
      if (baseline) return { isOpen: true, found: `${fullName(baseline)} replaces it` };
      return { isOpen: false, found: row ? 'it is not finished' : 'it is not applied' };
    }
  }
}

/** The applied baseline, in the folder of a script, that replaces a version. */
function findBaseline(
  version: Version,
  { path }: Script,
  rows: Awaited<ReturnType<GateSource['readRows']>>,
): MigrationFile | undefined {
  const applied = new Set(
    rows.filter(({ state }) => state === 'applied').map((row) => row.version),
  );
  return listMigrations(dirname(path)).find(
    (file) =>
      applied.has(file.version) &&
      readReplaces(file).some(({ versions }) => versions.includes(version)),
  );
}

/** In a transaction that can write nothing, with the names that the migration would find. */
async function askQuery(query: string, source: GateSource): Promise<Answer> {
  const { session } = source;
  try {
    const rows = await session.run(
      `begin read only; ${LIMITS_SQL}; set local search_path = ${searchPathSql(source)};\n${query}`,
    );
    return answerOf(rows);
  } catch (error) {
    if (isConnectionLoss(error)) throw error;
    return { isOpen: false, found: (error as Error).message };
  } finally {
    await session.run('rollback').catch(() => undefined);
  }
}

function answerOf(rows: Record<string, unknown>[]): Answer {
  const [row, ...others] = rows;
  if (others.length > 0) return { isOpen: false, found: `it gives ${rows.length} rows` };
  if (!row) return { isOpen: false, found: 'it gives no row' };
  const [value] = Object.values(row);
  return { isOpen: value === true, found: value === null ? 'null' : String(value) };
}

/** Every role sees the names of all sessions. */
async function askBuilds(
  { application, build }: Extract<Gate, { kind: 'require-build' }>,
  { session }: GateSource,
): Promise<Answer> {
  const rows = await session.run(`
select pg_catalog.substr(a.application_name, ${application.length + 2}) as "build", pg_catalog.count(*)::int as "sessions"
from pg_catalog.pg_stat_activity as a
where a.datname = pg_catalog.current_database()
    and pg_catalog.starts_with(a.application_name, ${quoteLiteral(`${application}/`)})
group by 1 order by 1`);
  const old = rows.filter((row) => !isBuildAtLeast(String(row.build), build));
  if (old.length > 0) {
    const said = old.map((row) => `${application}/${row.build} (${row.sessions})`);
    return { isOpen: false, found: `connected: ${said.join(', ')}` };
  }
  return {
    isOpen: true,
    found: rows.length === 0 ? 'none is connected' : 'no older one is connected',
  };
}

/**
 * Asks what a migration ensures, in its transaction and after its statements.
 *
 * @throws {ScriptError} ENSURE_FAILED where it does not hold
 */
export async function requireEnsured(
  step: MigrationStep,
  { worker, key, settings }: ApplyContext,
): Promise<void> {
  const path = searchPathSql({ ...settings, targetSchema: key.targetSchema });
  for (const { query, line } of step.script.directives.ensures ?? []) {
    const at = { script: step.script, line, column: 1 };
    const { isOpen, found } = await worker
      .run(`${BEGIN_READ_ONLY.join('; ')}; set local search_path = ${path};\n${query}`)
      .then(answerOf, (error: unknown) => {
        if (isConnectionLoss(error) || isLockFailure(error)) throw error;
        return { isOpen: false, found: (error as Error).message };
      });
    if (!isOpen) {
      throw new ScriptError(
        'ENSURE_FAILED',
        `${fullName(step)} does not ensure what it says: ${found}`,
        at,
        {
          hint: 'It was rolled back. Correct the migration, or the query, and run the command again.',
        },
      );
    }
    await worker.run(END_READ_ONLY_SQL);
  }
}
