import { objectKeyOf, type Structure, type StructureObject } from '../structure.ts';
import { beforeLastDot, type Contents, indexContents, renderAttachments } from './addresses.ts';
import { distributionUnits } from './distribution.ts';
import { domainUnits, SIMPLE, typeUnits, viewUnits } from './simple.ts';
import {
  indexMarks,
  indexUnit,
  policyUnit,
  type Reaches,
  ruleUnit,
  tableUnits,
  triggerUnit,
} from './tables.ts';
import { orderUnits, SECTION_OWNED_SEQUENCES, SECTION_ROWS, SECTIONS, type Unit } from './unit.ts';

const HEAD = `-- Written by evdb schema dump.

set statement_timeout = 0;
set lock_timeout = 0;
set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = off;
set client_min_messages = warning;
set row_security = off;`;

/**
 * Writes a structure as SQL that creates it in an empty database. All names are qualified, each
 * object comes after what it needs, and the text depends on the structure alone: no oids, no
 * versions, no times. Objects that need each other are created in two steps.
 *
 * @example
 * const text = renderStructure(await readStructure(session));
 */
export function renderStructure({ objects, searchPath }: Structure): string {
  const head = `${HEAD}\nset search_path = ${searchPath.join(', ') || "''"};`;
  return `${[head, ...renderObjects(objects)].join('\n\n')}\n`;
}

/**
 * The same without settings of the session: blocks of statements, in order.
 *
 * @param rows statements that write rows: they stand behind the tables and in front of what rows would
 *   fire or have to fulfil, such as triggers and foreign keys
 */
export function renderObjects(
  objects: readonly StructureObject[],
  rows: readonly string[] = [],
): string[] {
  const contents = indexContents(objects);
  const reaches = createReaches(objects);
  const units = objects.flatMap((object) => unitsOf(object, contents, reaches));
  units.push(...distributionUnits(objects));
  units.push({ keys: [], section: SECTION_ROWS, name: '', needs: [], statements: [...rows] });
  return orderUnits(units).map((statements) => statements.join('\n'));
}

/** The statements that make an object, with what must be there before. */
export function unitsOf(object: StructureObject, contents: Contents, reaches: Reaches): Unit[] {
  switch (object.kind) {
    case 'table':
    case 'foreign table':
      return tableUnits(object, contents, reaches);
    case 'column':
    case 'identity':
      return [];
    case 'constraint':
      return constraintMarks(object, contents);
    case 'enum':
    case 'composite type':
    case 'range':
    case 'base type':
      return typeUnits(object, contents);
    case 'domain':
      return domainUnits(object, contents, reaches);
    case 'view':
    case 'materialized view':
      return viewUnits(object, contents);
    case 'index':
    case 'trigger':
    case 'rule':
    case 'policy':
      return partUnits(object, contents);
    default:
      return simpleUnits(object, contents);
  }
}

const PART_UNITS = { index: indexUnit, trigger: triggerUnit, rule: ruleUnit, policy: policyUnit };

function partUnits(object: StructureObject, contents: Contents): Unit[] {
  const owner = contents.byKey.get(object.of ?? '');
  const make = PART_UNITS[object.kind as keyof typeof PART_UNITS];
  return owner ? [make(object, owner, contents)] : [];
}

/** What a table says of the index behind a constraint, once that is there. */
function constraintMarks(constraint: StructureObject, contents: Contents): Unit[] {
  const table = contents.byKey.get(constraint.of ?? '');
  const statements = table ? indexMarks(constraint, constraint.own, table) : [];
  if (!table || statements.length === 0) return [];
  return [
    {
      keys: [`marks of ${objectKeyOf(constraint)}`],
      section: SECTIONS.constraint,
      name: `${table.name} ${constraint.own}`,
      needs: [objectKeyOf(constraint)],
      statements,
    },
  ];
}

function simpleUnits(object: StructureObject, contents: Contents): Unit[] {
  const render = SIMPLE[object.kind];
  if (!render) return [];
  const unit: Unit = {
    keys: [objectKeyOf(object)],
    section: SECTIONS[object.kind],
    name: object.name,
    needs: object.dependsOn,
    statements: [...render(object, contents), ...renderAttachments(object, contents)],
  };
  return object.parts['owned by'] === undefined ? [unit] : [unit, ownedSequence(object)];
}

/** A sequence is made before the default that uses it, and can belong to the column only afterwards. */
function ownedSequence({ kind, name, parts }: StructureObject): Unit {
  const table = beforeLastDot(parts['owned by'] ?? '');
  return {
    keys: [`owner of ${kind} ${name}`],
    section: SECTION_OWNED_SEQUENCES,
    name,
    needs: [`sequence ${name}`, `table ${table}`, `foreign table ${table}`],
    statements: [`alter sequence ${name} owned by ${parts['owned by']};`],
  };
}

/**
 * Tells whether an object needs another one, over however many steps. What stands in the
 * parentheses of a table or domain is made with it, so who needs a table needs all of that.
 */
function createReaches(objects: readonly StructureObject[]): Reaches {
  const needs = new Map<string, string[]>();
  const holders = new Map<string, string>();
  for (const object of objects) {
    if (object.kind === 'column' && object.dependsOn.length === 0) continue;
    const isInside = object.kind === 'column' || object.kind === 'constraint';
    const key = objectKeyOf(object);
    const holder = isInside ? (object.of ?? key) : key;
    if (isInside) holders.set(key, holder);
    if (object.parts.definition?.startsWith('FOREIGN KEY')) continue;
    const list = needs.get(holder);
    if (list) list.push(...object.dependsOn);
    else needs.set(holder, [...object.dependsOn]);
  }
  return (from, to) => {
    if (from.dependsOn.length === 0) return false;
    const target = objectKeyOf(to);
    const seen = new Set<string>();
    const waiting = from.dependsOn.map((key) => holders.get(key) ?? key);
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
      if (key === target) return true;
      if (seen.has(key)) continue;
      seen.add(key);
      waiting.push(...(needs.get(key) ?? []).map((one) => holders.get(one) ?? one));
    }
    return false;
  };
}
