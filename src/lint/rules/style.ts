import type { ColumnDef, Node } from '@pgsql/types';
import { type ObjectKey, quoteWhereNeeded } from '../../catalog/catalog.ts';
import { advance, openCursor } from '../../sql/lexer.ts';
import { asKind, relationNameOf, stringsOf } from '../../sql/tree.ts';
import {
  keyOf,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  type StatementInContext,
} from '../rule.ts';

type Judge = (column: DefinedColumn) => { message: string; hint: string } | undefined;

/** A rule about the type of a column where it is defined. */
function columnRule(name: string, summary: string, judge: Judge): LintRule {
  return {
    name,
    kinds: ['CreateStmt', 'AlterTableStmt'],
    group: 'style',
    severity: 'warning',
    summary,
    isOptional: true,
    check: (at) =>
      definedColumns(at).flatMap((one): RuleFinding[] => {
        const found = judge(one);
        if (found === undefined) return [];
        const { location } = one.column.typeName ?? {};
        return [{ ...found, offset: offsetOf(at, location), tables: [one.table] }];
      }),
  };
}

export const preferText = columnRule(
  'prefer-text',
  'uses varchar(n) or char(n) where text serves',
  ({ type, column }) => {
    const isLimited = (column.typeName?.typmods?.length ?? 0) > 0;
    if (type !== 'bpchar' && !(type === 'varchar' && isLimited)) return undefined;
    const shown = type === 'bpchar' ? 'char(n)' : 'varchar(n)';
    return {
      message: `${shown} is no faster than text, and its limit can only be made smaller by reading every row`,
      hint: 'Use text, and where a limit is meant: check (length(…) <= n)',
    };
  },
);

export const preferTimestamptz = columnRule(
  'prefer-timestamptz',
  'uses timestamp without time zone',
  ({ type }) =>
    type === 'timestamp'
      ? {
          message: 'timestamp is not a point in time: what it means depends on who reads it',
          hint: 'Use timestamptz.',
        }
      : undefined,
);

export const preferJsonb = columnRule('prefer-jsonb', 'uses json where jsonb serves', ({ type }) =>
  type === 'json'
    ? {
        message:
          'json has no equality, so distinct, group by and union fail on the table, and no index reads it',
        hint: 'Use jsonb, unless the text has to stay as it was written.',
      }
    : undefined,
);

const SMALL_INTEGERS = new Set(['int2', 'int4', 'serial', 'serial2', 'serial4', 'smallserial']);

export const preferBigintKey = columnRule(
  'prefer-bigint-key',
  'makes a primary key of integer or less',
  ({ type, isKey }) =>
    isKey && SMALL_INTEGERS.has(type)
      ? {
          message:
            'the key runs out at 2,147,483,647 or earlier, and a larger type rewrites the table',
          hint: 'Use bigint.',
        }
      : undefined,
);

export const preferIdentity = columnRule(
  'prefer-identity',
  'uses serial instead of an identity column',
  ({ type }) =>
    /^(?:small|big)?serial[248]?$/.test(type)
      ? {
          message:
            'a serial column has a sequence of its own owner and rights, which get lost easily',
          hint: 'Write: bigint generated always as identity',
        }
      : undefined,
);

const MAX_NAME_BYTES = 63;

export const longIdentifier: LintRule = {
  name: 'long-identifier',
  group: 'style',
  severity: 'warning',
  summary: 'has a name that PostgreSQL truncates to 63 bytes',
  isOptional: true,
  check({ text }) {
    const found: RuleFinding[] = [];
    const cursor = openCursor(text);
    while (text.length > MAX_NAME_BYTES / 4 && advance(cursor)) {
      if (cursor.kind !== 'word' && cursor.kind !== 'identifier') continue;
      const name = nameOf(text.slice(cursor.start, cursor.end));
      if (Buffer.byteLength(name) <= MAX_NAME_BYTES) continue;
      found.push({
        message: `${quoteWhereNeeded(name)} is longer than 63 bytes: PostgreSQL truncates it without an error`,
        hint: 'Choose a shorter name.',
        offset: cursor.start,
        tables: [],
      });
    }
    return found;
  },
};

function nameOf(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
}

/** A column that a statement defines. */
interface DefinedColumn {
  table: ObjectKey;
  column: ColumnDef;
  /** The last part of its type's name, such as `varchar` or `int4`. */
  type: string;
  /** Whether it is the primary key, or the only column of it. */
  isKey: boolean;
}

/** The columns that a `create table`, an `add column` or an `alter column … type` defines. */
function definedColumns(at: StatementInContext): DefinedColumn[] {
  const create = asKind(at.tree, 'CreateStmt');
  if (create) {
    const { schema, name } = relationNameOf(create.relation ?? {});
    const table = keyOf(at, { schema: schema ?? at.catalog.searchPath[0], name });
    return columnsIn(table, create.tableElts ?? []);
  }
  const alter = asKind(at.tree, 'AlterTableStmt');
  const added = (alter?.cmds ?? []).flatMap((node) => {
    const command = asKind(node, 'AlterTableCmd');
    const isDefined =
      command?.subtype === 'AT_AddColumn' || command?.subtype === 'AT_AlterColumnType';
    return isDefined && command.def ? [command.def] : [];
  });
  return columnsIn(keyOfRange(at, alter?.relation), added);
}

function columnsIn(table: ObjectKey, elements: Node[]): DefinedColumn[] {
  const key = elements.flatMap((node) => {
    const constraint = asKind(node, 'Constraint');
    return constraint?.contype === 'CONSTR_PRIMARY' ? stringsOf(constraint.keys) : [];
  });
  return elements.flatMap((node) => {
    const column = asKind(node, 'ColumnDef');
    if (column === undefined) return [];
    const isOwnKey = (column.constraints ?? []).some(
      (one) => asKind(one, 'Constraint')?.contype === 'CONSTR_PRIMARY',
    );
    const isKey = isOwnKey || (key.length === 1 && key[0] === column.colname);
    return [{ table, column, type: stringsOf(column.typeName?.names).at(-1) ?? '', isKey }];
  });
}
