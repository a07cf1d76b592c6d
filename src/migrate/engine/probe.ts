import { randomBytes } from 'node:crypto';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import type { Asked, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { LedgerKey } from '../ledger/ledger.ts';
import { createSchemaSql } from '../ledger/ledger-schema.ts';
import { retakeLockSql, runnerLock } from '../ledger/lock.ts';
import {
  type BrokenPromise,
  type EnginePromise,
  judgeEngine,
  PROMISES,
  type ProbeStep,
  type Seen,
} from './judge.ts';

/*
 * Looks how a server behaves before evdb relies on it, whatever it calls itself. One round trip: the
 * worker sends its messages behind each other, and the observer one beside them. The tables have names
 * that nobody else has, and are in a transaction that is rolled back.
 */

interface Probing {
  worker: Session;
  /** Asks for the lock that the worker holds; undefined where runners have no advisory lock. */
  observer: Asked | undefined;
  key: LedgerKey;
  /** Whether the ledger's schema is there; else the probe makes one for itself. */
  hasSchema: boolean;
}

/**
 * Proves that the server does what evdb's promises rest on.
 *
 * @returns what was seen to hold
 * @throws {EvdbError} ENGINE_UNFIT
 */
export async function proveEngine(probing: Probing): Promise<EnginePromise[]> {
  const { worker, observer } = probing;
  const names = nameObjects(probing);
  const [lock, tables] = await Promise.all([
    observer ? askForLock(observer, probing.key) : NOT_ASKED,
    tryTables(worker, names, probing.hasSchema),
  ]);
  const left = tables.after.tablesLeft > 0 ? await cleanUp(worker, names, probing) : undefined;
  const { broken, held } = judgeEngine({ lock, ...tables }, observer !== undefined);
  if (broken.length > 0) throw unfit(broken, left);
  return held;
}

const NOT_ASKED = { isShared: false };

/** The worker holds it, so a second session must not get it; what it gets all the same it gives back. */
async function askForLock(observer: Asked, key: LedgerKey): Promise<Seen['lock']> {
  const id = runnerLock(key);
  const giveBack = `pg_catalog.pg_advisory_unlock(${id.join(', ')})`;
  try {
    const [row] = await observer.run(
      `select case when ${retakeLockSql(id)} then ${giveBack} is not null else false end as "isShared"`,
    );
    return { isShared: row?.isShared === true };
  } catch (error) {
    const sqlstate = codeOf(error);
    if (isConnectionLoss(error) || sqlstate === undefined) throw error;
    return { sqlstate };
  }
}

interface Names {
  token: string;
  schema: string;
  first: string;
  second: string;
}

function nameObjects({ key, hasSchema }: Probing): Names {
  const token = `evdb_probe_${randomBytes(8).toString('hex')}`;
  return {
    token,
    schema: hasSchema ? key.ledgerSchema : token,
    first: `${token}_1`,
    second: `${token}_2`,
  };
}

async function tryTables(
  worker: Session,
  names: Names,
  hasSchema: boolean,
): Promise<Omit<Seen, 'lock'>> {
  const { token, schema, first, second } = names;
  const table = (name: string) =>
    `create table ${quoteIdent(schema)}.${quoteIdent(name)} (id integer)`;
  const parts: [ProbeStep, string][] = [
    ['begin', `select pg_catalog.set_config('${SETTING}', ${quoteLiteral(token)}, false)`],
    ['begin', 'begin isolation level read committed, read write'],
    ...(hasSchema ? [] : [['create', createSchemaSql(worker, schema)] as [ProbeStep, string]]),
    ['create', table(first)],
    ['savepoint', 'savepoint evdb_probe'],
    ['savepoint', table(second)],
    ['savepoint', 'rollback to savepoint evdb_probe'],
    ['within', `select ${countSql(first)} as "first", ${countSql(second)} as "second"`],
    ['rollback', 'rollback'],
    [
      'after',
      `select pg_catalog.current_setting('${SETTING}', true) = ${quoteLiteral(token)} as "isKept",
    ${countSql(first)} + ${countSql(second)} as "tablesLeft"`,
    ],
    ['after', `set ${SETTING} = ''`],
  ];
  // One behind the other without waiting, each a message: so the refusal has its place, and where
  // something between gives each message a backend of its own, these get different ones.
  const answers = await Promise.allSettled(parts.map(([, text]) => worker.run(text)));
  const lost = answers.find(isLost);
  if (lost) throw lost.reason;
  const rowOf = (step: ProbeStep) => {
    const answer = answers[parts.findIndex(([one]) => one === step)];
    return answer?.status === 'fulfilled' ? answer.value[0] : undefined;
  };
  const [within, after] = [rowOf('within'), rowOf('after')];
  const failedAt = answers.findIndex(({ status }) => status === 'rejected');
  return {
    ...(failedAt >= 0 && {
      refused: {
        at: (parts[failedAt] as [ProbeStep, string])[0],
        sqlstate: codeOf((answers[failedAt] as PromiseRejectedResult).reason) ?? '',
      },
    }),
    ...(within && {
      within: { hasFirst: Number(within.first) > 0, hasSecond: Number(within.second) > 0 },
    }),
    after: { isKept: after?.isKept === true, tablesLeft: Number(after?.tablesLeft ?? 0) },
  };
}

/** Not an answer of the server to this statement. */
function isLost(answer: PromiseSettledResult<unknown>): answer is PromiseRejectedResult {
  if (answer.status === 'fulfilled') return false;
  return isConnectionLoss(answer.reason) || codeOf(answer.reason) === undefined;
}

/** Of the session; what holds the token tells that the next message reached the same one. */
const SETTING = 'evdb.probe';

function countSql(relation: string): string {
  return `(select pg_catalog.count(*) from pg_catalog.pg_class where relname = ${quoteLiteral(relation)})::integer`;
}

/** A server that does not roll DDL back keeps the tables of the probe; says how to remove what stays. */
async function cleanUp(
  worker: Session,
  { schema, first, second }: Names,
  { hasSchema }: Probing,
): Promise<string | undefined> {
  const sql = [first, second].map(
    (name) => `drop table if exists ${quoteIdent(schema)}.${quoteIdent(name)}`,
  );
  if (!hasSchema) sql.push(`drop schema if exists ${quoteIdent(schema)}`);
  try {
    for (const one of sql) await worker.run(one);
    return undefined;
  } catch {
    return `${sql.join('; ')};`;
  }
}

function unfit(broken: BrokenPromise[], left: string | undefined): EvdbError {
  const [first] = broken as [BrokenPromise];
  const others = broken
    .slice(1)
    .map(({ promise, seen }) => `${seen}, so "${PROMISES[promise]}" would be false too.`);
  const next =
    broken.length === 1 && first.promise === 'lock'
      ? "Let runners exclude each other by a lease in the ledger: lock: 'lease' in the config file, or EVDB_LOCK=lease."
      : 'evdb changes nothing on this server. Use PostgreSQL, or a tool that is made for this one.';
  const kept = broken.some(({ promise }) => promise === 'rollback')
    ? left === undefined
      ? ' The tables of the probe were removed.'
      : ` The tables of the probe could not be removed; run: ${left}`
    : '';
  return new EvdbError(
    'ENGINE_UNFIT',
    `${first.seen}, so "${PROMISES[first.promise]}" would be false on this server`,
    {
      hint: `${others.map((text) => `Also: ${text} `).join('')}${next}${kept} docs/engines.md says what is probed.`,
      details: { broken, ...(left !== undefined && { left }) },
    },
  );
}
