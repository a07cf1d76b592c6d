import type { Node } from '@pgsql/types';
import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { asKind, writtenNameOf } from '../../sql/tree.ts';
import type { LintRule } from '../rule.ts';

/** A function with its owner's rights that looks names up where its caller says. */
export const securityDefiner: LintRule = {
  name: 'security-definer',
  kinds: ['CreateFunctionStmt', 'AlterFunctionStmt'],
  group: 'style',
  severity: 'warning',
  summary: 'makes a function security definer without a search_path of its own',
  isOptional: true,
  check(at) {
    const create = asKind(at.tree, 'CreateFunctionStmt');
    const alter = asKind(at.tree, 'AlterFunctionStmt');
    const options = create?.options ?? alter?.actions;
    if (!isDefiner(options) || setsPath(options)) return [];
    const { name } = writtenNameOf(create?.funcname ?? alter?.func?.objname);
    return [
      {
        message: `${quoteWhereNeeded(name)}() runs with its owner's rights and looks names up in its caller's search_path, where anybody can put a function or operator`,
        hint: 'Write "set search_path from current", or name the schemas and put pg_temp last.',
        tables: [],
      },
    ];
  },
};

function isDefiner(options: readonly Node[] | undefined): boolean {
  return (options ?? []).some((node) => {
    const { defname, arg } = asKind(node, 'DefElem') ?? {};
    return defname === 'security' && asKind(arg, 'Boolean')?.boolval === true;
  });
}

function setsPath(options: readonly Node[] | undefined): boolean {
  return (options ?? []).some((node) => {
    const set = asKind(asKind(node, 'DefElem')?.arg, 'VariableSetStmt');
    return set?.name === 'search_path' && set.kind !== 'VAR_RESET';
  });
}
