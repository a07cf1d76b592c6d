import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, renderAttachments } from './addresses.ts';
import { renderColumnSettings } from './columns.ts';
import { SECTION_REFRESHES, SECTIONS } from './sections.ts';
import { unknownOptions } from './tables.ts';
import type { Unit } from './unit.ts';

/** Views of both kinds; rows of a materialized one are made last, when all is there. */
export function viewUnits(view: StructureObject, contents: Contents): Unit[] {
  const { kind, name, parts } = view;
  const columns = (contents.partsOf.get(objectKeyOf(view)) ?? []).filter(
    (part) => part.kind === 'column',
  );
  const attached = [
    ...columns.flatMap((column) => columnStatements(column, view)),
    ...[view, ...columns].flatMap((object) => renderAttachments(object, contents)),
    ...unknownOptions(view),
  ];
  const unit: Unit = {
    keys: [view, ...columns].map(objectKeyOf),
    section: SECTIONS[kind],
    name,
    needs: [view, ...columns].flatMap(({ dependsOn }) => dependsOn),
    statements: [renderView(view, 'create'), ...attached],
    ...(kind === 'view' && {
      early: {
        statements: [renderStandIn(view)],
        rest: [renderView(view, 'create or replace'), ...attached],
      },
    }),
  };
  if (kind === 'view' || parts['not populated']) return [unit];
  return [unit, refreshUnit(view, contents)];
}

function renderView({ kind, name, parts }: StructureObject, create: string): string {
  const using = parts['access method'] ? `\nusing ${parts['access method']}` : '';
  const options = parts.options ? `\nwith (${parts.options})` : '';
  const rows = kind === 'materialized view' ? '\nwith no data' : '';
  return `${create} ${kind} ${name}${using}${options} as\n${parts.definition}${rows};`;
}

/** The columns without the query, for what the query itself needs. */
function renderStandIn({ name, parts }: StructureObject): string {
  return `create view ${name} as\n    select ${parts.columns};`;
}

function columnStatements(column: StructureObject, view: StructureObject): string[] {
  const value = column.parts.default;
  return [
    ...(value === undefined
      ? []
      : [`alter view ${view.name} alter column ${column.own} set default ${value};`]),
    ...renderColumnSettings(column, view),
  ];
}

function refreshUnit(view: StructureObject, contents: Contents): Unit {
  return {
    keys: [`refresh ${objectKeyOf(view)}`],
    section: SECTION_REFRESHES,
    name: view.name,
    needs: readBy(view, contents).map((key) => `refresh ${key}`),
    statements: [`refresh materialized view ${view.name};`],
  };
}

/** All that a view needs, also by way of other views. */
function readBy(view: StructureObject, { byKey }: Contents): string[] {
  const seen = new Set<string>();
  const waiting = [...view.dependsOn];
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    if (seen.has(key)) continue;
    seen.add(key);
    waiting.push(...(byKey.get(key)?.dependsOn ?? []));
  }
  return [...seen].sort();
}
