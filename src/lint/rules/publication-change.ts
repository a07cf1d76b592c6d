import type { AlterPublicationStmt } from '@pgsql/types';
import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { needsIdentity, objectsIn } from '../../catalog/replay/relation.ts';
import { asKind, stringsOf } from '../../sql/tree.ts';
import type { LintRule, RuleFinding, StatementInContext } from '../rule.ts';
import { listed } from '../wording.ts';

/** What subscribers get no more, without an error on this side. */
export const publicationChange: LintRule = {
  name: 'publication-change',
  kinds: ['DropStmt', 'AlterPublicationStmt', 'RenameStmt'],
  group: 'compat',
  severity: 'warning',
  summary: 'takes a publication, or tables or kinds of changes of one, away from its subscribers',
  check(at) {
    const drop = asKind(at.tree, 'DropStmt');
    if (drop) {
      const names = drop.removeType === 'OBJECT_PUBLICATION' ? stringsOf(drop.objects) : [];
      return names.flatMap((name) => told(at, name, `drops publication ${shown(name)}`));
    }
    const rename = asKind(at.tree, 'RenameStmt');
    if (rename) {
      if (rename.renameType !== 'OBJECT_PUBLICATION') return [];
      const name = asKind(rename.object, 'String')?.sval ?? '';
      return told(at, name, `renames publication ${shown(name)}`);
    }
    const alter = asKind(at.tree, 'AlterPublicationStmt');
    return alter ? judgeChange(at, alter) : [];
  },
};

function judgeChange(at: StatementInContext, alter: AlterPublicationStmt): RuleFinding[] {
  const { pubname = '', action, pubobjects, options } = alter;
  const name = `publication ${shown(pubname)}`;
  if (pubobjects === undefined) {
    const known = at.catalog.publications.get(pubname);
    const publishes = needsIdentity(options);
    if (publishes === undefined || known?.needsIdentity === false) return [];
    return publishes ? [] : told(at, pubname, `takes updates and deletes out of ${name}`);
  }
  if (action === 'AP_DropObjects') {
    return told(at, pubname, `takes ${namesOf(at, alter)} out of ${name}`);
  }
  const kept = new Set(objectsIn(at.catalog, pubobjects).map(({ table }) => table?.key));
  const lost = [...at.catalog.relations.values()].filter(
    ({ key, publishedBy }) => publishedBy?.has(pubname) && !kept.has(key),
  );
  if (action !== 'AP_SetObjects' || lost.length === 0) return [];
  return told(at, pubname, `takes ${listed(lost.map(({ key }) => key))} out of ${name}`);
}

function namesOf(at: StatementInContext, { pubobjects }: AlterPublicationStmt): string {
  const names = objectsIn(at.catalog, pubobjects).flatMap(({ table, schema }) =>
    schema === undefined ? (table?.key ?? []) : `schema ${shown(schema)}`,
  );
  return names.length === 0 ? 'tables' : listed(names);
}

function shown(name: string): string {
  return quoteWhereNeeded(name);
}

/** One that the file itself made nobody subscribes to yet. */
function told(at: StatementInContext, name: string, what: string): RuleFinding[] {
  const isOwn = at.file.trees
    .slice(0, at.statement.index)
    .some((tree) => asKind(tree ?? undefined, 'CreatePublicationStmt')?.pubname === name);
  if (isOwn) return [];
  return [
    {
      message: `${what}: its subscribers stop, or miss what changes from then on`,
      hint: 'Let the subscribers refresh or drop their subscriptions first.',
      tables: [],
    },
  ];
}
