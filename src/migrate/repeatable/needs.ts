import type { CommentStmt, Node } from '@pgsql/types';
import { advance, openCursor } from '../../sql/lexer.ts';
import type { SqlParser } from '../../sql/parser.ts';
import { findBody } from '../../sql/routine.ts';
import { type Statement, splitStatements } from '../../sql/statements.ts';
import { asKind, stringsOf, type TreeObject, visitObjects, writtenNameOf } from '../../sql/tree.ts';
import { type NeededObject, ownerOf } from './objects.ts';

/** What a statement names of what others may make. */
export function readNeeds(tree: Node, statement: Statement, parser: SqlParser): NeededObject[] {
  if (asKind(tree, 'DropStmt')) return [];
  const comment = asKind(tree, 'CommentStmt') ?? asKind(tree, 'SecLabelStmt');
  return [
    ...namesIn(tree),
    ...(comment ? commentedOn(comment) : []),
    ...allInSchema(tree),
    ...(asKind(tree, 'CreateFunctionStmt') ? namesInBody(tree, statement, parser) : []),
  ];
}

/** Relations, calls and types, wherever they stand. */
function namesIn(tree: unknown): NeededObject[] {
  const common = new Set<string>();
  const found: NeededObject[] = [];
  visitObjects(tree, (fields) => {
    if (typeof fields.ctename === 'string') common.add(fields.ctename);
    const named = nameOf(fields);
    if (named) found.push(named);
  });
  return found.filter((one) => one.schema !== undefined || !common.has(one.name));
}

function nameOf(fields: TreeObject): NeededObject | undefined {
  if (typeof fields.relname === 'string') {
    const schema = (fields.schemaname as string | undefined) || undefined;
    return { kind: 'relation', schema, name: fields.relname, isSoft: false };
  }
  // What a statement makes is called so too.
  if (Array.isArray(fields.funcname) && (fields.funcformat ?? fields.trigname) !== undefined) {
    const args = fields.funcformat === undefined ? {} : { argCount: countOf(fields.args) };
    return routine(fields.funcname, args);
  }
  if (Array.isArray(fields.objname)) return routine(fields.objname, {});
  // A view is a type too: that of its rows.
  if (Array.isArray(fields.names) && 'typemod' in fields) {
    const name = writtenNameOf(fields.names as Node[]);
    return { kind: 'relation', ...name, isSoft: false };
  }
  return undefined;
}

function countOf(args: unknown): number {
  return Array.isArray(args) ? args.length : 0;
}

function routine(names: unknown[], args: { argCount?: number }): NeededObject {
  return { kind: 'routine', ...writtenNameOf(names as Node[]), ...args, isSoft: false };
}

/** Relations that `comment on` writes as a list of names; routines are found as such. */
function commentedOn({ objtype, object }: Pick<CommentStmt, 'objtype' | 'object'>): NeededObject[] {
  const items = asKind(object, 'List')?.items;
  if (items === undefined) return [];
  const isPart = PARTS.has(objtype ?? '');
  const name = isPart ? ownerOf(items) : writtenNameOf(items);
  return [{ kind: 'relation', ...name, isSoft: false }];
}

const PARTS: ReadonlySet<string> = new Set([
  ...['OBJECT_COLUMN', 'OBJECT_TRIGGER', 'OBJECT_RULE', 'OBJECT_POLICY'],
]);

/** `grant … on all tables in schema x`. */
function allInSchema(tree: Node): NeededObject[] {
  const grant = asKind(tree, 'GrantStmt');
  if (grant?.targtype !== 'ACL_TARGET_ALL_IN_SCHEMA') return [];
  const kind = grant.objtype === 'OBJECT_TABLE' ? 'all relations' : 'all routines';
  return stringsOf(grant.objects).map((schema) => ({ kind, schema, name: '', isSoft: false }));
}

/** The server looks up what an SQL body names when it makes the function; that of others when it runs. */
function namesInBody(tree: Node, { text }: Statement, parser: SqlParser): NeededObject[] {
  const body = findBody(text, tree);
  if (body === undefined || asKind(tree, 'CreateFunctionStmt')?.sql_body) return [];
  if (body.language === 'sql') {
    return splitStatements(body.source).flatMap((one) => namesIn(parser.parse(one.text)));
  }
  return body.language === 'plpgsql' ? wordsOf(body.source) : [];
}

/** Every name in a text, qualified or not. */
function wordsOf(source: string): NeededObject[] {
  const cursor = openCursor(source);
  const words = new Set<string>();
  let before = '';
  let isQualified = false;
  while (advance(cursor)) {
    const text = source.slice(cursor.start, cursor.end);
    if (text === '.') {
      isQualified = true;
      continue;
    }
    const isName = cursor.kind === 'word' || text.startsWith('"');
    if (isName) {
      const name = text.startsWith('"')
        ? text.slice(1, -1).replaceAll('""', '"')
        : text.toLowerCase();
      words.add(isQualified ? `${before}.${name}` : name);
      before = name;
    }
    isQualified = false;
  }
  return [...words].flatMap((word) => {
    const [first = '', second] = word.split('.');
    const named = {
      schema: second === undefined ? undefined : first,
      name: second ?? first,
      isSoft: true,
    };
    return [
      { kind: 'relation' as const, ...named },
      { kind: 'routine' as const, ...named },
    ];
  });
}
