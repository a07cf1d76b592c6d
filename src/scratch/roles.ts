import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';
import { loadSqlParser, type SqlParser } from '../sql/parser.ts';
import { offsetOfByte } from '../sql/position.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import type { Statement } from '../sql/statements.ts';
import { asKind, stringsOf, visitObjects } from '../sql/tree.ts';

/**
 * Makes the roles of a server on the embedded one, so that migrations can grant something to them.
 * They may not log in, and stay: they belong to no database.
 */
export async function copyRoles(
  from: ConnectionOptions,
  scratch: Session,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = await openSession(from, { signal });
  try {
    const rows = await target.run(
      `select rolname::text as "name" from pg_catalog.pg_roles where rolname !~ '^pg_' order by 1`,
    );
    for (const { name } of rows) await ensureRole(scratch, String(name));
  } finally {
    await target.close();
  }
}

async function ensureRole(scratch: Session, name: string): Promise<void> {
  const known = await scratch.run(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(name)}`,
  );
  if (known.length === 0) await scratch.run(`create role ${quoteIdent(name)} nologin`);
}

/**
 * In a scratch database and in a trace the statements that make roles are left out, because roles
 * belong to the whole server. Where the server lacks them, as in a fresh pipeline, the current user
 * stands in for them, and what is granted to them alone is left out: making them would leave them
 * behind when the check is killed, and the migration would then find them there.
 */
interface RoleStandIn {
  /** Tells of a statement that is left out. */
  leaveOut(statement: Statement): void;
  /** The statement as it can run: itself, or with a stand-in for roles that were left out. */
  adapt(statement: Statement): Promise<Statement>;
  /** The roles that were left out and that the server lacks. */
  missing(): Promise<string[]>;
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
    async missing() {
      missing ??= listMissing(session, leftOut);
      return missing;
    },
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
      const isNamed = (name: string) => text.includes(name.toLowerCase().replaceAll('"', '""'));
      if (!names.some(isNamed)) return statement;
      return { ...statement, text: replaceRoles(statement.text, names, await loadSqlParser()) };
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
