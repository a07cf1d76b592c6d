import type { A_Const, LockStmt, Node, VariableSetStmt } from '@pgsql/types';
import { asKind, stringsOf, walkTree } from '../../sql/tree.ts';
import {
  isFresh,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  type StatementInContext,
} from '../rule.ts';

/** What takes off the guard that the runner puts around each statement. */
export const lockTimeoutOverride: LintRule = {
  name: 'lock-timeout-override',
  kinds: ['VariableSetStmt', 'DiscardStmt', 'LockStmt', 'SelectStmt'],
  group: 'tx',
  severity: 'error',
  summary: 'removes the lock timeout, or locks a whole table',
  check(at) {
    const set = asKind(at.tree, 'VariableSetStmt');
    if (set) return judgeSet(at, set);
    const discard = asKind(at.tree, 'DiscardStmt');
    if (discard?.target === 'DISCARD_ALL') return [unset(at, '"discard all" removes lock_timeout')];
    const lock = asKind(at.tree, 'LockStmt');
    if (lock) return judgeLock(at, lock);
    return 'SelectStmt' in at.tree ? judgeSetConfig(at) : [];
  },
};

function judgeSet(
  at: StatementInContext,
  { kind, name, args, is_local }: VariableSetStmt,
): RuleFinding[] {
  if (kind === 'VAR_RESET_ALL') return [unset(at, '"reset all" removes lock_timeout')];
  if (name !== 'lock_timeout') return [];
  if (kind !== 'VAR_SET_VALUE') return [unset(at, 'removes lock_timeout')];
  const value = asKind(args?.[0], 'A_Const');
  return judgeValue(at, value === undefined ? undefined : textOf(value), is_local === true);
}

/** `select set_config('lock_timeout', '0', true)` */
function judgeSetConfig(at: StatementInContext): RuleFinding[] {
  const found: RuleFinding[] = [];
  walkTree(at.tree, (kind, fields) => {
    if (kind !== 'FuncCall' || stringsOf(fields.funcname as Node[]).at(-1) !== 'set_config') return;
    const [name, value] = (fields.args as Node[] | undefined) ?? [];
    if (textOf(asKind(name, 'A_Const') ?? {}) !== 'lock_timeout') return;
    const given = asKind(value, 'A_Const');
    found.push(...judgeValue(at, given === undefined ? undefined : textOf(given), true));
  });
  return found;
}

function judgeValue(
  at: StatementInContext,
  value: string | undefined,
  isLocal: boolean,
): RuleFinding[] {
  const durationMs = value === undefined ? undefined : parseTimeoutMs(value);
  if (durationMs === undefined) return [];
  if (durationMs === 0) return [unset(at, 'removes lock_timeout')];
  if (durationMs <= at.settings.maxLockTimeoutMs) return [];
  const scope = isLocal ? '' : ', for all that follows';
  return [
    at.isEmbedded
      ? overrides(
          `lets statements wait ${value} for a lock${scope}: all that time everything else that needs the table waits behind them`,
        )
      : { ...overrides(`asks to wait ${value} for a lock, ${IN_VAIN}`), severity: 'warning' },
  ];
}

function unset(at: StatementInContext, what: string): RuleFinding {
  return at.isEmbedded
    ? overrides(
        `${what}: a statement may then wait for a lock forever, and everything else behind it`,
      )
    : { ...overrides(`${what}, ${IN_VAIN}`), severity: 'info' };
}

function overrides(message: string): RuleFinding {
  return { message, hint: HINT, tables: [] };
}

/** Between statements evdb sets its own again; inside of one it cannot. */
const IN_VAIN = 'in vain: evdb keeps its own, shorter limit for each statement';

const HINT =
  'Remove it: evdb sets lock_timeout itself and tries again. A longer one for this file alone is written in its header: -- evdb: lock-timeout 5s';

function textOf({ ival, sval, fval }: A_Const): string | undefined {
  if (sval !== undefined) return sval.sval ?? '';
  if (fval !== undefined) return fval.fval ?? '';
  // A zero is left out of the tree.
  return ival === undefined ? undefined : String(ival.ival ?? 0);
}

const UNITS_MS: Record<string, number> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** In PostgreSQL's spelling, where a bare number means ms. */
function parseTimeoutMs(value: string): number | undefined {
  const [, amount, unit = 'ms'] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)?\s*$/.exec(value) ?? [];
  const factor = UNITS_MS[unit];
  return amount === undefined || factor === undefined
    ? undefined
    : Math.round(Number(amount) * factor);
}

const ACCESS_EXCLUSIVE = 8;

function judgeLock(at: StatementInContext, { relations, mode }: LockStmt): RuleFinding[] {
  if (mode !== ACCESS_EXCLUSIVE) return [];
  const isChosen = /\bmode\b/i.test(at.text);
  return (relations ?? []).flatMap((node): RuleFinding[] => {
    const range = asKind(node, 'RangeVar');
    const table = keyOfRange(at, range);
    if (range === undefined || isFresh(at, table)) return [];
    const why = isChosen ? '' : ', because no weaker mode is named';
    return [
      {
        message: `locks ${table} under ACCESS EXCLUSIVE until the transaction ends${why}: no one can read or write it meanwhile`,
        hint: 'Name the weakest mode that serves, such as "in share row exclusive mode" against writes, or leave it out: each statement takes the lock it needs.',
        severity: isChosen ? 'warning' : 'error',
        offset: offsetOf(at, range.location),
        tables: [table],
        lock: 'AccessExclusive',
      },
    ];
  });
}
