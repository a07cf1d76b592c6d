import { adviseNoTransaction, classifyStatement, readCommand } from '../../sql/kind.ts';
import type { LintRule } from '../rule.ts';

const OUT_OF_BLOCK =
  'Write it as a statement of its own, in a down script that starts with the line: -- evdb: no-transaction';

/** What PostgreSQL refuses inside a transaction (SQLSTATE 25001). */
export const concurrentlyInTx: LintRule = {
  name: 'concurrently-in-tx',
  kinds: [
    'IndexStmt',
    'DropStmt',
    'ReindexStmt',
    'AlterTableStmt',
    'VacuumStmt',
    'ClusterStmt',
    'DiscardStmt',
    'CreatedbStmt',
    'DropdbStmt',
    'AlterDatabaseStmt',
    'AlterSystemStmt',
    'CreateTableSpaceStmt',
    'DropTableSpaceStmt',
    'CreateSubscriptionStmt',
    'AlterSubscriptionStmt',
  ],
  group: 'tx',
  severity: 'error',
  summary: 'cannot run inside a transaction',
  check({ text, file, isEmbedded, isDynamic, statement }) {
    if (isDynamic || (!isEmbedded && !file.isTransactional)) return [];
    const command = isEmbedded ? readCommand(text) : statement.command;
    const { direction } = file;
    const { needsNoTransaction, label } = classifyStatement({ command, text });
    if (!needsNoTransaction) return [];
    const message = isEmbedded
      ? `"${label}" fails here: a block or function always runs inside a transaction`
      : `"${label}" fails here: it cannot run inside the migration's transaction`;
    return [
      {
        message,
        hint: isEmbedded && direction === 'down' ? OUT_OF_BLOCK : adviseNoTransaction(direction),
        tables: [],
        ...(!isEmbedded && {
          fix: {
            description: 'move it into a no-transaction migration',
            edits: [],
            moves: [statement.index],
          },
        }),
      },
    ];
  },
};
