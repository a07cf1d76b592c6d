import { harmlessText } from '../text/harmless.ts';
import {
  byName,
  type ColumnFacts,
  compare,
  type FunctionFacts,
  type Oid,
  type RelationFacts,
  type TypeCatalog,
  type TypeFacts,
} from './read.ts';
import { orNull, quote, ValueTypes } from './value-types.ts';

/** How tables are written: plain interfaces, or what Kysely reads. */
export const TYPES_STYLES = ['interfaces', 'kysely'] as const;

/** How tables are written. */
export type TypesStyle = (typeof TYPES_STYLES)[number];

const KYSELY_NAMES = [
  ...['ColumnType', 'Generated', 'GeneratedAlways', 'Insertable', 'Selectable', 'Updateable'],
];

/** What the text means by them must not become a table. */
const TAKEN = [
  ...['Buffer', 'Date', 'Record', 'Uint8Array', 'Json', 'JsonInput', 'Database', 'Functions'],
  ...KYSELY_NAMES,
];

const JSON_TYPES = {
  Json: `/** What a column of json or jsonb holds. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };`,
  JsonInput: `/** What may be written to one: a text is taken for JSON that is written already. */
export type JsonInput = object | string | number | boolean;`,
};

/**
 * The types of a database as a file of TypeScript; pure, and the same for the same structure.
 *
 * @param command what makes the file, such as `evdb types`
 */
export function renderTypes(catalog: TypeCatalog, style: TypesStyle, command: string): string {
  const names = nameTypes(catalog);
  const values = new ValueTypes(catalog.types, names.ofTypes);
  const parts = [
    ...listedTypes(catalog).map((type) =>
      withDoc(type.comment, `export type ${names.ofTypes.get(type.oid)} = ${values.bodyOf(type)};`),
    ),
    ...catalog.relations.flatMap((relation) => {
      const name = names.ofRelations.get(relation.oid) ?? '';
      const isRow = relation.kind === 'composite type';
      return style === 'kysely' && !isRow
        ? renderForKysely(relation, name, values)
        : renderInterfaces(relation, name, values);
    }),
    ...(style === 'kysely' ? [renderDatabase(catalog, names.ofRelations)] : []),
    ...renderFunctions(catalog, values),
  ];
  const uses = (name: string) => parts.some((part) => new RegExp(`\\b${name}\\b`).test(part));
  const imported = KYSELY_NAMES.filter((name) => style === 'kysely' && uses(name));
  const json = Object.entries(JSON_TYPES).filter(([name]) => uses(name));
  return `${[
    `// Written by \`${command}\`. It is replaced when that runs again: do not edit it.`,
    ...(imported.length > 0 ? [renderImport(imported)] : []),
    ...json.map(([, text]) => text),
    ...parts,
    // without anything it is a module all the same
    ...(parts.length === 0 ? ['export {};'] : []),
  ].join('\n\n')}\n`;
}

function renderImport(names: string[]): string {
  return `import type { ${names.join(', ')} } from 'kysely';`;
}

/** Enums and domains. */
function listedTypes({ types, schemas }: TypeCatalog): TypeFacts[] {
  return [...types.values()]
    .filter(({ kind, isListed }) => isListed && (kind === 'enum' || kind === 'domain'))
    .sort(byName(schemas));
}

interface Names {
  /** Of enums and domains, and of what describes rows. */
  ofTypes: Map<Oid, string>;
  ofRelations: Map<Oid, string>;
}

/** Names as TypeScript has them; in one file they are unique whatever the database holds. */
function nameTypes(catalog: TypeCatalog): Names {
  const taken = new Set(TAKEN);
  const choose = (schema: string, name: string, endings: string[]) => {
    const own = pascal(schema === catalog.schemas[0] ? name : `${schema}_${name}`);
    for (let number = 1; ; number++) {
      const tried = number === 1 ? own : `${own}${number}`;
      const all = endings.map((ending) => tried + ending);
      if (all.some((one) => taken.has(one))) continue;
      for (const one of all) taken.add(one);
      return tried;
    }
  };
  const ofRelations = new Map<Oid, string>();
  for (const { oid, schema, name } of catalog.relations) {
    ofRelations.set(oid, choose(schema, name, ['', 'Insert', 'Update', 'Table']));
  }
  const ofTypes = new Map<Oid, string>();
  for (const { oid, schema, name } of listedTypes(catalog)) {
    ofTypes.set(oid, choose(schema, name, ['']));
  }
  for (const { oid, relation } of catalog.types.values()) {
    const name = ofRelations.get(relation);
    if (name !== undefined) ofTypes.set(oid, name);
  }
  return { ofTypes, ofRelations };
}

function pascal(name: string): string {
  const words = name.split(/[^\p{ID_Continue}$]+|_+/u).filter((word) => word !== '');
  const joined = words
    .map((word) => word.replace(/^./u, (letter) => letter.toUpperCase()))
    .join('');
  return /^[\p{ID_Start}$]/u.test(joined) ? joined : `_${joined}`;
}

/** Names that SQL has to quote may have to be quoted here too. */
function key(name: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : quote(name);
}

/** A comment of the database cannot end the one that it becomes, nor turn the text around. */
function withDoc(comment: string | null, text: string, indent = ''): string {
  if (comment === null || comment.trim() === '') return indent + text;
  const lines = harmlessText(comment.trim(), false).replaceAll('*/', '*\\/').split('\n');
  const doc =
    lines.length === 1
      ? `${indent}/** ${lines[0]} */`
      : [
          `${indent}/**`,
          ...lines.map((line) => `${indent} * ${line}`.trimEnd()),
          `${indent} */`,
        ].join('\n');
  return `${doc}\n${indent}${text}`;
}

function renderInterface(comment: string | null, name: string, members: string[]): string {
  const body = members.length === 0 ? '{}' : `{\n${members.join('\n')}\n}`;
  return withDoc(comment, `export interface ${name} ${body}`);
}

/** What `select`, `insert` and `update` have to do with, each an interface of its own. */
function renderInterfaces(relation: RelationFacts, name: string, values: ValueTypes): string[] {
  const { columns, canInsert, canUpdate, comment, kind } = relation;
  const isView = kind === 'view';
  const read = columns.map((column) => {
    const type = values.of(column.type).read;
    const shown = column.isNullable ? orNull(type) : type;
    return withDoc(column.comment, `${key(column.name)}: ${shown};`, '  ');
  });
  const written = columns.filter(({ isReadOnly }) => !isReadOnly);
  const write = (isUpdate: boolean) =>
    written.map((column) => {
      const type = values.of(column.type).write;
      const shown = column.acceptsNull ? orNull(type) : type;
      const mark = isUpdate || isView || isOptional(column) ? '?' : '';
      return `  ${key(column.name)}${mark}: ${shown};`;
    });
  const what = `${kind} ${relation.name}`;
  return [
    renderInterface(comment, name, read),
    ...(canInsert
      ? [renderInterface(`What may be inserted into ${what}.`, `${name}Insert`, write(false))]
      : []),
    ...(canUpdate
      ? [renderInterface(`What may be set in ${what}.`, `${name}Update`, write(true))]
      : []),
  ];
}

function isOptional({ hasDefault, acceptsNull }: ColumnFacts): boolean {
  return hasDefault || acceptsNull;
}

function renderForKysely(relation: RelationFacts, name: string, values: ValueTypes): string[] {
  const { canInsert, canUpdate, comment } = relation;
  const members = relation.columns.map((column) =>
    withDoc(
      column.comment,
      `${key(column.name)}: ${columnForKysely(relation, column, values)};`,
      '  ',
    ),
  );
  const aliases = [
    `export type ${name} = Selectable<${name}Table>;`,
    ...(canInsert ? [`export type ${name}Insert = Insertable<${name}Table>;`] : []),
    ...(canUpdate ? [`export type ${name}Update = Updateable<${name}Table>;`] : []),
  ];
  return [renderInterface(comment, `${name}Table`, members), aliases.join('\n')];
}

function columnForKysely(relation: RelationFacts, column: ColumnFacts, values: ValueTypes): string {
  const { canInsert, canUpdate, kind } = relation;
  const value = values.of(column.type);
  const read = column.isNullable ? orNull(value.read) : value.read;
  const write = column.acceptsNull ? orNull(value.write) : value.write;
  const insertable = canInsert && !column.isReadOnly;
  const updatable = canUpdate && !column.isReadOnly;
  if (!insertable && !updatable) return `GeneratedAlways<${read}>`;
  // a column of a view may have a default, or one of its table
  const isLeftOut = column.hasDefault || kind === 'view';
  if (insertable && updatable && read === write) return isLeftOut ? `Generated<${read}>` : read;
  const insert = insertable ? (isLeftOut ? `${write} | undefined` : write) : 'never';
  return `ColumnType<${read}, ${insert}, ${updatable ? write : 'never'}>`;
}

/** What `new Kysely<Database>` is given: tables of the first schema by their bare names. */
function renderDatabase({ relations, schemas }: TypeCatalog, names: Map<Oid, string>): string {
  const members = relations
    .filter(({ kind }) => kind !== 'composite type')
    .map(({ oid, schema, name }) => {
      const shown = schema === schemas[0] ? name : `${schema}.${name}`;
      return `  ${key(shown)}: ${names.get(oid)}Table;`;
    });
  return renderInterface(null, 'Database', members);
}

function renderFunctions({ functions, schemas }: TypeCatalog, values: ValueTypes): string[] {
  if (functions.length === 0) return [];
  const overloads = new Map<string, { comments: string[]; texts: string[] }>();
  for (const one of functions) {
    const name = one.schema === schemas[0] ? one.name : `${one.schema}.${one.name}`;
    const { comments, texts } = overloads.get(name) ?? { comments: [], texts: [] };
    texts.push(
      [
        '{',
        `    args: ${argumentsOf(one, values)};`,
        `    result: ${resultOf(one, values)};`,
        '  }',
      ].join('\n'),
    );
    if (one.comment !== null) comments.push(one.comment);
    overloads.set(name, { comments, texts });
  }
  const members = [...overloads].map(([name, { comments, texts }]) => {
    const shown = texts.sort(compare).join(' | ');
    return withDoc(comments.sort(compare).join('\n\n'), `${key(name)}: ${shown};`, '  ');
  });
  const doc =
    'Functions, each with its arguments in their order, and what `select * from` it gives: a value, a row, or rows.';
  return [renderInterface(doc, 'Functions', members)];
}

/** A tuple, as PostgreSQL knows arguments by place; each of them may be null. */
function argumentsOf({ args, defaults }: FunctionFacts, values: ValueTypes): string {
  const given = args.filter(({ mode }) => mode === 'i' || mode === 'b' || mode === 'v');
  const used = new Set<string>();
  const shown = given.map(({ name, mode, type }, index) => {
    const plain = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) && !used.has(name);
    const label = plain ? name : `arg${index + 1}`;
    used.add(label);
    const { write } = values.of(type);
    if (mode === 'v') return `...${label}: ${write.endsWith('[]') ? write : 'unknown[]'}`;
    return `${label}${index >= given.length - defaults ? '?' : ''}: ${orNull(write)}`;
  });
  return list(shown, ['[', ',', ']']);
}

/** On one line where it is short. */
function list(items: string[], [open, between, close]: [string, string, string]): string {
  const line = items.join(`${between} `);
  if (line.length <= 80) return open === '{' ? `{ ${line} }` : open + line + close;
  return [open, ...items.map((item) => `      ${item}${between}`), `    ${close}`].join('\n');
}

function resultOf({ args, returns, returnsSet }: FunctionFacts, values: ValueTypes): string {
  const out = args.filter(({ mode }) => mode === 'o' || mode === 'b' || mode === 't');
  const row = values.rowOf(returns);
  const columns = out.map(({ name, type }, index) => {
    return `${key(name === '' ? `column${index + 1}` : name)}: ${orNull(values.of(type).read)}`;
  });
  const { read } = values.of(returns);
  const value = read === "''" ? read : orNull(read);
  const isRow = out.length > 1 || (out.length === 1 && returnsSet && out[0]?.mode === 't');
  const result = isRow ? list(columns, ['{', ';', '}']) : (row ?? value);
  if (!returnsSet) return result;
  return /^[\p{ID_Continue}$]+$/u.test(result) || result.startsWith('{')
    ? `${result}[]`
    : `(${result})[]`;
}
