import { asKind, relationNameOf, type WrittenName } from '../sql/tree.ts';
import { creationsOf } from './created.ts';
import type { StatementInContext } from './rule.ts';

/**
 * Whether the file makes a view that keeps an old name working: one with the table's name, or
 * with a name that the table had earlier in the file.
 */
export function standsInFor({ file, statement }: StatementInContext, table: WrittenName): boolean {
  const names = [table];
  for (const tree of file.trees.slice(0, statement.index).reverse()) {
    const rename = asKind(tree ?? undefined, 'RenameStmt');
    if (rename?.relation && rename.renameType === 'OBJECT_TABLE') {
      const before = relationNameOf(rename.relation);
      const isIt = rename.newname === names.at(-1)?.name;
      if (isIt) names.push({ schema: before.schema ?? table.schema, name: before.name });
    }
  }
  return names.some((name) => creationsOf(file, ['view'], name).length > 0);
}
