import { codeOf, isConnectionLoss } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { CATALOG } from './read/catalogs.ts';
import { readStructure } from './read/structure.ts';
import { planRebuild, type RebuiltPart } from './render/rebuild.ts';

/** A view or routine by its name, as SQL: `"public"."f"("pg_catalog"."int4")`. */
export interface NamedObject {
  isRoutine: boolean;
  name: string;
}

/** Takes down what stands in the way of a change, and makes it again, in the transaction of the session. */
export interface Rebuilding {
  /**
   * Drops an object with all that depends on it.
   *
   * @param upcoming what the caller makes itself later, in another form
   * @param keepsRoot whether what was said of the object itself comes back once the caller has made it
   * @returns what goes down beside the object; undefined where there is no such object
   * @throws {EvdbError} DEPENDENTS_REFUSED
   */
  takeDown(
    root: NamedObject,
    upcoming: readonly NamedObject[],
    keepsRoot: boolean,
  ): Promise<string[] | undefined>;
  /** The caller has made this object: it is given back what was said of the one before, and what can be is made. */
  made(object: NamedObject): Promise<void>;
  /**
   * Makes all that is left.
   *
   * @throws {EvdbError} DEPENDENTS_REFUSED with what cannot be made again
   */
  finish(): Promise<void>;
}

/** What is part of a view that is told. */
const GOES_ALONG = /^(?:refresh|index|statistics) /;

/** What is down, and waits to be made. */
interface Waiting extends RebuiltPart {
  /** Who makes it: the caller, under this name; undefined where it is made as it was. */
  by: string | undefined;
  /** Whether it gets back what was said of the one before, once it is made. */
  isKept: boolean;
  /** Its privileges as they were, as text; null where they are the usual ones. */
  acl: string | null;
}

export function createRebuilding(session: Session): Rebuilding {
  let waiting: Waiting[] = [];
  let last = '';
  const make = async (isLast: boolean): Promise<void> => {
    const failures: string[] = [];
    const missing = new Set(waiting.filter(({ by }) => by !== undefined).map(({ key }) => key));
    const left: Waiting[] = [];
    await withSettingsKept(session, async () => {
      for (const part of waiting) {
        const isReady = part.by === undefined && !part.needs.some((key) => missing.has(key));
        const failure = isReady ? await tryToMake(session, part, part.make) : undefined;
        if (isReady && failure === undefined) continue;
        missing.add(part.key);
        left.push(part);
        if (failure !== undefined) failures.push(`${part.key} (${failure})`);
      }
    });
    waiting = left;
    if (isLast && waiting.length > 0) throw refused(last, failures, waiting);
  };
  return {
    async takeDown(root, upcoming, keepsRoot) {
      const [key, ...others] = await readKeys(session, [root, ...upcoming]);
      if (key === undefined) return undefined;
      last = key;
      const down = await dropAll(session, key, keepsRoot);
      const makers = new Map(others.map((one, index) => [one, upcoming[index]?.name]));
      makers.set(key, root.name);
      const parts = down.map((part) => ({
        ...part,
        by: makers.get(part.key),
        isKept: keepsRoot || part.key !== key,
      }));
      waiting.push(...parts);
      return shownOf(parts, key);
    },
    async made({ name }) {
      const part = waiting.find(({ by }) => by === name);
      if (!part) return;
      waiting = waiting.filter((one) => one !== part);
      const attached = part.attach(await readColumns(session, part.key));
      if (!part.isKept) return make(false);
      await withSettingsKept(session, async () => {
        const failure = await tryToMake(session, part, attached);
        if (failure !== undefined) throw refused(part.key, [`${part.key} (${failure})`], []);
      });
      await make(false);
    },
    finish: () => (waiting.length === 0 ? Promise.resolve() : make(true)),
  };
}

function refused(key: string, failures: string[], left: readonly Waiting[]): EvdbError {
  const others = left
    .filter((part) => !failures.some((failure) => failure.startsWith(`${part.key} (`)))
    .map((part) => `${part.key} (it needs one of these)`);
  return cannotRebuild(key, [...failures, ...others]);
}

function cannotRebuild(key: string, objects: string[]): EvdbError {
  return new EvdbError(
    'DEPENDENTS_REFUSED',
    `${key} cannot be changed like this, because what depends on it cannot be made again: ${objects.join(', ')}`,
    {
      hint: 'Change these too, in the same repeatables, or drop them in a migration with a version. New columns at the end of a view need none of this.',
      details: { object: key, dependents: objects },
    },
  );
}

/** What their names in a structure are; undefined for what is not there. */
async function readKeys(
  session: Session,
  objects: readonly NamedObject[],
): Promise<(string | undefined)[]> {
  const values = objects.map(({ isRoutine, name }, index) => {
    const find = isRoutine ? 'to_regprocedure' : 'to_regclass';
    return `(${index}, ${isRoutine}, pg_catalog.${find}(${quoteLiteral(name)})::pg_catalog.oid)`;
  });
  const found = await session.run(
    `select * from (values ${values.join(', ')}) as v (place, "isRoutine", oid) where oid is not null`,
  );
  if (found.length === 0) return objects.map(() => undefined);
  const oids = found.map((row) => `(${row.place}, ${row.isRoutine}, ${row.oid}::pg_catalog.oid)`);
  const keys = await session.run(`savepoint evdb_names; set local search_path = '';
    select
        v.place,
        case
            when v.routine then case p.prokind when 'p' then 'procedure ' else 'function ' end || v.oid::pg_catalog.regprocedure::text
            else case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' else 'relation ' end
                || pg_catalog.format('%I.%I', n.nspname, c.relname)
        end as "key"
    from (values ${oids.join(', ')}) as v (place, routine, oid)
    left join pg_catalog.pg_proc as p on v.routine and p.oid = v.oid
    left join pg_catalog.pg_class as c on not v.routine and c.oid = v.oid
    left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace;
    rollback to savepoint evdb_names; release savepoint evdb_names`);
  const keyOf = new Map(keys.map(({ place, key }) => [Number(place), String(key)]));
  return objects.map((_, index) => keyOf.get(index));
}

/** The schemas of an object and of all that depends on it, as the catalogs know it. */
async function readSchemas(session: Session, key: string): Promise<string[]> {
  const isRoutine = /^(?:function|procedure) /.test(key);
  const name = quoteLiteral(key.replace(/^(?:materialized view|view|function|procedure) /, ''));
  const root = isRoutine
    ? `${CATALOG.proc}::pg_catalog.oid, ${name}::pg_catalog.regprocedure::pg_catalog.oid`
    : `${CATALOG.class}::pg_catalog.oid, ${name}::pg_catalog.regclass::pg_catalog.oid`;
  const rows = await session.run(`
    with recursive found (catalog, oid) as (
        select ${root}
        union
        select
            case when r.oid is null then d.classid else ${CATALOG.class}::pg_catalog.oid end,
            coalesce(r.ev_class, d.objid)
        from found as f
        join pg_catalog.pg_depend as d on d.refclassid = f.catalog and d.refobjid = f.oid and d.deptype in ('n', 'a', 'i')
        left join pg_catalog.pg_rewrite as r on d.classid = ${CATALOG.rewrite} and r.oid = d.objid
    )
    select distinct n.nspname as "schema"
    from found as f
    left join pg_catalog.pg_trigger as t on f.catalog = ${CATALOG.trigger} and t.oid = f.oid
    left join pg_catalog.pg_policy as p on f.catalog = ${CATALOG.policy} and p.oid = f.oid
    left join pg_catalog.pg_attrdef as a on f.catalog = ${CATALOG.attrdef} and a.oid = f.oid
    left join pg_catalog.pg_constraint as o on f.catalog = ${CATALOG.constraint} and o.oid = f.oid
    left join pg_catalog.pg_proc as r on f.catalog = ${CATALOG.proc} and r.oid = f.oid
    left join pg_catalog.pg_class as c
        on c.oid = coalesce(t.tgrelid, p.polrelid, a.adrelid, case when f.catalog = ${CATALOG.class} then f.oid end)
    join pg_catalog.pg_namespace as n on n.oid = coalesce(c.relnamespace, r.pronamespace, o.connamespace)`);
  return rows.map(({ schema }) => String(schema)).filter((schema) => !/^pg_toast/.test(schema));
}

async function planFor(session: Session, key: string, keepsRoot: boolean) {
  const structure = await readStructure(session, {
    schemas: await readSchemas(session, key),
    ...{ exceptSchemas: [], owners: true, isInTransaction: true },
  });
  return planRebuild(structure, key, keepsRoot);
}

/**
 * What goes down with a view or routine that is replaced, and what refuses that. Only reads, in the
 * session's transaction.
 *
 * @returns undefined where there is none of this name
 */
export async function readRebuild(session: Session, root: NamedObject) {
  const [object] = await readKeys(session, [root]);
  if (object === undefined) return undefined;
  const { parts, refused: stuck } = await planFor(session, object, true);
  return { object, dependents: shownOf(parts, object), refused: stuck };
}

/** What people are told of what goes down beside an object. */
function shownOf(parts: readonly { key: string }[], root: string): string[] {
  return parts.map(({ key }) => key).filter((key) => key !== root && !GOES_ALONG.test(key));
}

async function dropAll(
  session: Session,
  key: string,
  keepsRoot: boolean,
): Promise<Omit<Waiting, 'by' | 'isKept'>[]> {
  const { parts, drops, refused: stuck } = await planFor(session, key, keepsRoot);
  if (stuck.length > 0) throw cannotRebuild(key, stuck);
  const acls = await readAcls(
    session,
    parts.map((part) => part.key),
  );
  for (const sql of drops) {
    try {
      await session.run(sql);
    } catch (error) {
      // What the structure does not have, such as what belongs to an extension.
      if (codeOf(error) !== '2BP01') throw error;
      const { detail = '' } = error as { detail?: string };
      throw cannotRebuild(key, detail.split('\n'));
    }
  }
  return parts.map((part) => ({ ...part, acl: acls.get(part.key) ?? null }));
}

/** An expression for the object of a key, and for its privileges; none for what has no privileges. */
function aclSource(
  key: string,
): { of: string; word: string; type: string; name: string } | undefined {
  const [, kind = '', name = ''] =
    /^(view|materialized view|function|procedure) (.*)$/s.exec(key) ?? [];
  if (name === '') return undefined;
  if (kind === 'function' || kind === 'procedure') {
    const oid = `${quoteLiteral(name)}::pg_catalog.regprocedure`;
    return {
      of: `select proacl, proowner from pg_catalog.pg_proc where oid = ${oid}`,
      word: kind,
      type: 'f',
      name,
    };
  }
  const oid = `${quoteLiteral(name)}::pg_catalog.regclass`;
  return {
    of: `select relacl, relowner from pg_catalog.pg_class where oid = ${oid}`,
    word: 'table',
    type: 'r',
    name,
  };
}

async function readAcls(session: Session, keys: readonly string[]): Promise<Map<string, string>> {
  const queries = keys.flatMap((key) => {
    const source = aclSource(key);
    return source
      ? [
          `select ${quoteLiteral(key)} as "key", o.acl::text as "acl" from (${source.of}) as o (acl, owner)`,
        ]
      : [];
  });
  const rows = await session.run(queries.join(' union all '));
  return new Map(
    rows.flatMap(({ key, acl }) => (acl === null ? [] : [[String(key), String(acl)]])),
  );
}

/** Default privileges of today may have granted what the object did not have. */
async function revokeSurplus(session: Session, { key, acl }: Waiting): Promise<void> {
  const source = aclSource(key);
  if (source === undefined) return;
  const before = acl === null ? 'null::aclitem[]' : `${quoteLiteral(acl)}::aclitem[]`;
  const entries = (list: string) =>
    `select grantee, privilege_type from pg_catalog.aclexplode(coalesce(${list}, pg_catalog.acldefault('${source.type}', o.owner)))`;
  const rows = await session.run(`
    select pg_catalog.format(
        'revoke %s on %s %s from %s', e.privilege_type, ${quoteLiteral(source.word)}, ${quoteLiteral(source.name)},
        case when e.grantee = 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) end
    ) as "sql"
    from (${source.of}) as o (acl, owner)
    cross join lateral (${entries('o.acl')} except ${entries(before)}) as e
    where e.grantee <> o.owner`);
  for (const { sql } of rows) await session.run(String(sql));
}

async function readColumns(session: Session, key: string): Promise<Set<string>> {
  const [, name = ''] = /^(?:view|materialized view) (.*)$/s.exec(key) ?? [];
  if (name === '') return new Set();
  const rows = await session.run(`
    select pg_catalog.quote_ident(attname) as "name"
    from pg_catalog.pg_attribute
    where attrelid = ${quoteLiteral(name)}::pg_catalog.regclass and attnum > 0 and not attisdropped`);
  return new Set(rows.map((row) => String(row.name)));
}

/** Gives what the server says against it; then it is as if it had not been tried. */
async function tryToMake(
  session: Session,
  part: Waiting,
  statements: readonly string[],
): Promise<string | undefined> {
  await session.run('savepoint evdb_part');
  try {
    for (const sql of statements) if (!sql.startsWith('--')) await session.run(sql);
    await revokeSurplus(session, part);
    await session.run('release savepoint evdb_part');
    return undefined;
  } catch (error) {
    if (isConnectionLoss(error) || LOCKS.has(codeOf(error) ?? '')) throw error;
    await session.run('rollback to savepoint evdb_part; release savepoint evdb_part');
    return error instanceof Error ? error.message : String(error);
  }
}

/** What may succeed later is no reason to refuse: lock not available, deadlock, cancelled. */
const LOCKS: ReadonlySet<string> = new Set(['55P03', '40P01', '57014', '57P01']);

/** Definitions are read with an empty search_path, and so are they made; a script's own settings come back. */
async function withSettingsKept(session: Session, work: () => Promise<void>): Promise<void> {
  const [row] = await session.run(
    `select pg_catalog.current_setting('search_path') as "path", pg_catalog.current_setting('check_function_bodies') as "checks"`,
  );
  await session.run(`set local search_path = ''; set local check_function_bodies = off`);
  await work();
  await session.run(
    `select pg_catalog.set_config('search_path', ${quoteLiteral(String(row?.path))}, true), pg_catalog.set_config('check_function_bodies', ${quoteLiteral(String(row?.checks))}, true)`,
  );
}
