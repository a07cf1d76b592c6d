import { isConnectionLoss } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { loadParser, type SqlParser } from '../../sql/parser.ts';
import { offsetOfByte } from '../../sql/position.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { type Statement, splitStatements } from '../../sql/statements.ts';
import { asKind, stringsOf, visitObjects } from '../../sql/tree.ts';
import { changesServer } from '../../trace/treatment.ts';
import {
  beginSql,
  openSessionSql,
  searchPathSql,
  sendStatement,
} from '../apply/session-settings.ts';
import { batchesOf } from '../files/batches.ts';
import { statementError } from '../files/script-error.ts';
import { readScript, type Script, scriptFromText } from '../files/source.ts';
import { readStoredTexts } from '../ledger/ledger.ts';
import { applySettings, ledgerKey, type MigrateOptions } from '../options.ts';
import { isApplied, type MigrationStatus } from '../plan/compare.ts';
import { fullName } from '../plan/plan.ts';

export const REPLAY_HINT =
  'A scratch database is empty: what the migrations need from elsewhere, such as an extension or another schema, is not there.';

interface Replay {
  /** A session on the target, to read the ledger. */
  target: Session;
  statuses: MigrationStatus[];
  options: MigrateOptions;
}

/**
 * Runs what is applied on the target again in a scratch database, as far as they
 * make something. The texts are those that the ledger kept, else the files.
 *
 * @throws {EvdbError} REPLAY_FAILED where a text is missing, or does not run
 */
export async function replayApplied(
  scratch: Session,
  { target, statuses, options }: Replay,
): Promise<void> {
  const applied = statuses.filter(isApplied);
  const scripts = await readAppliedScripts({ target, statuses: applied, options });
  for (const [index, status] of applied.entries()) {
    const script = scripts(status);
    try {
      await runScript(scratch, script, { options, createTarget: index === 0 });
    } catch (cause) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw new EvdbError(
        'REPLAY_FAILED',
        `${fullName(status)} is applied, and cannot be run again in a scratch database: ${cause instanceof Error ? cause.message : cause}`,
        { hint: REPLAY_HINT, cause },
      );
    }
  }
}

async function readAppliedScripts({
  target,
  statuses,
  options,
}: Replay): Promise<(status: MigrationStatus) => Script> {
  const versions = statuses.map(({ version }) => version);
  // who may not read them may still have the files
  const texts = await readStoredTexts(target, ledgerKey(options), versions).catch(
    (error: unknown) => {
      if (error instanceof EvdbError && error.code === 'PERMISSION_DENIED') return undefined;
      throw error;
    },
  );
  return (status) => {
    // A reworded file is the same SQL, and may be mended where another tool's did not run here.
    const isReworded = status.state === 'reworded' && status.file !== undefined;
    const stored = isReworded ? undefined : texts?.get(status.version)?.up;
    if (stored) return scriptFromText(`ledger:${fullName(status)}.sql`, stored);
    const isSame = status.state === 'applied' || status.state === 'reworded';
    if (status.file && isSame) return readScript(status.file.upPath);
    throw new EvdbError('REPLAY_FAILED', `the text of ${fullName(status)} is not to be had`, {
      hint: 'The ledger did not keep it, and there is no file that is the same.',
    });
  };
}

interface ReplayContext {
  options: Omit<MigrateOptions, 'connection'>;
  createTarget: boolean;
}

/** Runs a script in one transaction, or statement by statement; what would change the whole server is left out. */
export async function runScript(
  session: Session,
  script: Script,
  { options, createTarget }: ReplayContext,
): Promise<void> {
  const { signal } = options;
  const send = async (statement: Statement, rows?: Iterable<Buffer>) => {
    try {
      await sendStatement(statement, { script, rows }, { worker: session, signal });
    } catch (error) {
      throw isConnectionLoss(error) ? error : statementError(error, script, statement);
    }
  };
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const statements = splitStatements(script.text);
  const roles = roleStandInOf(session);
  const sendAdapted = async (one: Statement, rows?: Iterable<Buffer>) => {
    if (staysInDatabase(one)) await send(await roles.adapt(one), rows);
    else roles.leaveOut(one);
  };
  const begin = beginSql({
    ...settings,
    facts: session.facts,
    createTarget,
    lockTimeoutMs: 0,
    statementTimeoutMs: undefined,
  });
  if (!script.directives.noTransaction) {
    await session.run(begin);
    for (const batch of batchesOf({ script, statements })) {
      for (const one of batch.statements) await sendAdapted(one, batch.rows);
    }
    await session.run('commit');
    return;
  }
  await session.run(`${begin}; commit; ${openSessionSql(session.facts)}
    set search_path = ${searchPathSql(settings)}`);
  for (const one of statements.filter(isWorthReplaying)) await sendAdapted(one);
}

function staysInDatabase(statement: Statement): boolean {
  return statement.psqlCommand === null && !changesServer(statement) && !mayMakeRole(statement);
}

/** A block that makes a role unless it exists. */
function mayMakeRole({ command, text }: Statement): boolean {
  return command === 'do' && /\b(?:create|alter|drop)\s+(?:role|user|group)\b/i.test(text);
}

/** An empty database needs no `vacuum`. */
function isWorthReplaying(statement: Statement): boolean {
  const { needsNoTransaction, isConcurrently } = classifyStatement(statement);
  return isConcurrently || !needsNoTransaction;
}

/**
 * In a scratch database and in a trace the statements that make roles are left out, because roles
 * belong to the whole server. Where the server lacks them, as in a fresh pipeline, the current user
 * stands in for them, and what is granted to them alone is left out: making them would leave them behind when the check is killed, and the
 * migration would then find them there.
 */
interface RoleStandIn {
  /** Tells of a statement that is left out. */
  leaveOut(statement: Statement): void;
  /** The statement as it can run: itself, or with a stand-in for roles that were left out. */
  adapt(statement: Statement): Promise<Statement>;
}

const ofSessions = new WeakMap<Session, RoleStandIn>();

/** The stand-in of a session: what one script leaves out, the next ones miss. */
export function roleStandInOf(session: Session): RoleStandIn {
  const known = ofSessions.get(session);
  if (known) return known;
  const made = createRoleStandIn(session);
  ofSessions.set(session, made);
  return made;
}

function createRoleStandIn(session: Session): RoleStandIn {
  const leftOut = new Set<string>();
  let missing: Promise<string[]> | undefined;
  return {
    leaveOut(statement) {
      for (const name of rolesMadeBy(statement)) {
        if (!leftOut.has(name)) missing = undefined;
        leftOut.add(name);
      }
    },
    async adapt(statement) {
      if (leftOut.size === 0) return statement;
      missing ??= listMissing(session, leftOut);
      const names = await missing;
      const text = statement.text.toLowerCase();
      if (!names.some((name) => text.includes(name.toLowerCase()))) return statement;
      return { ...statement, text: replaceRoles(statement.text, names, await loadParser()) };
    },
  };
}

async function listMissing(session: Session, names: ReadonlySet<string>): Promise<string[]> {
  const rows = await session.run('select rolname::text as "name" from pg_catalog.pg_roles');
  const known = new Set(rows.map(({ name }) => String(name)));
  return [...names].filter((name) => !known.has(name));
}

const MAKES_ROLE =
  /\bcreate\s+(?:role|user(?!\s+mapping)|group)\s+("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)/giu;

/** Also those that a `do` block makes, mostly unless they exist. */
function rolesMadeBy({ command, text }: Statement): string[] {
  if (!/^(?:create (?:role|user|group)|do)$/.test(command)) return [];
  return [...text.matchAll(MAKES_ROLE)].map(([, written = '']) =>
    written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase(),
  );
}

function replaceRoles(text: string, missing: readonly string[], parser: SqlParser): string {
  const node = parser.parse(text);
  if (node === null) return text;
  const set = asKind(node, 'VariableSetStmt');
  if (set?.name === 'role' || set?.name === 'session_authorization') {
    const [value = ''] = (set.args ?? []).flatMap((arg) => {
      const constant = asKind(arg, 'A_Const')?.sval?.sval;
      return constant === undefined ? stringsOf([arg]) : [constant];
    });
    if (missing.includes(value))
      return `reset ${set.name === 'role' ? 'role' : 'session authorization'}`;
  }
  const granted = asKind(node, 'GrantStmt') ?? asKind(node, 'AlterDefaultPrivilegesStmt')?.action;
  const grantees = (granted?.grantees ?? []).map((one) => asKind(one, 'RoleSpec'));
  const others = grantees.filter((one) => !missing.includes(one?.rolename ?? ''));
  // To grant to the owner changes nothing, but to revoke from the owner does.
  if (grantees.length > 0 && others.length === 0) return 'select';
  const [other] = others;
  const standIn = other?.rolename
    ? quoteIdent(other.rolename)
    : other?.roletype === 'ROLESPEC_PUBLIC'
      ? 'public'
      : 'current_user';
  const places: { from: number; name: string }[] = [];
  visitObjects(node, ({ roletype, rolename, location }) => {
    if (roletype !== 'ROLESPEC_CSTRING' || !missing.includes(String(rolename))) return;
    places.push({ from: offsetOfByte(text, Number(location ?? 0)), name: String(rolename) });
  });
  let replaced = text;
  for (const { from, name } of places.sort((a, b) => b.from - a.from)) {
    const rest = replaced
      .slice(from)
      .replace(/^(?:group\s+)?(?:"(?:[^"]|"")+"|[^\s,;()]+)/i, () => standIn);
    replaced = nameSchema(replaced.slice(0, from), name) + rest;
  }
  return replaced;
}

/** `create schema authorization x` names the schema after the role. */
function nameSchema(before: string, role: string): string {
  return before.replace(
    /^(create\s+schema\s+(?:if\s+not\s+exists\s+)?)(authorization\s+)$/i,
    (_, create: string, authorization: string) => `${create}${quoteIdent(role)} ${authorization}`,
  );
}
