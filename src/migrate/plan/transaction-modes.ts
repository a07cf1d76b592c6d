import { loadSqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { asKind } from '../../sql/tree.ts';
import type { MigrationStep } from './prepare.ts';

/** How a script wants its transaction, as its first statements say. */
export interface TransactionModes {
  isolation: string | undefined;
  isReadOnly: boolean;
  isDeferrable: boolean;
  /** How many statements say so; they are not sent again. */
  count: number;
}

const ISOLATIONS = ['serializable', 'repeatable read', 'read committed', 'read uncommitted'];

/**
 * What is read only must not keep the ledger from being written: a savepoint that is released gives
 * the right to write back.
 */
export const BEGIN_READ_ONLY = ['savepoint evdb_read_only', 'set transaction read only'];
export const END_READ_ONLY_SQL = 'release savepoint evdb_read_only';

/**
 * Takes `set transaction …` from the beginning of a script. PostgreSQL wants it before any query,
 * and evdb asks some of its own at the beginning of a transaction.
 */
export async function readTransactionModes({
  statements,
}: Pick<MigrationStep, 'statements'>): Promise<TransactionModes> {
  const modes: TransactionModes = {
    isolation: undefined,
    isReadOnly: false,
    isDeferrable: false,
    count: 0,
  };
  for (const statement of statements) {
    if (!SETS_MODES.test(statement.text) || !(await addModes(modes, statement))) break;
    modes.count += 1;
  }
  return modes;
}

const SETS_MODES = /^set\b[^']*\btransaction\b/i;

async function addModes(modes: TransactionModes, { text }: Statement): Promise<boolean> {
  const tree = (await loadSqlParser()).parse(text);
  const { kind, name, args = [] } = asKind(tree ?? undefined, 'VariableSetStmt') ?? {};
  if (kind !== 'VAR_SET_MULTI' || name !== 'TRANSACTION') return false;
  for (const arg of args) {
    const { defname, arg: value } = asKind(arg, 'DefElem') ?? {};
    const constant = asKind(value, 'A_Const');
    if (defname === 'transaction_isolation') {
      modes.isolation = ISOLATIONS.find((one) => one === constant?.sval?.sval);
    }
    const isOn = constant?.ival?.ival === 1;
    if (defname === 'transaction_read_only') modes.isReadOnly = isOn;
    if (defname === 'transaction_deferrable') modes.isDeferrable = isOn;
  }
  return true;
}
