import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { type DrawDiagramOptions, drawDiagram } from '../../src/diagram/draw.ts';
import { type Box, placeDiagram } from '../../src/diagram/layout.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'evdb-test-diagram-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function draw(sql: string, options: Partial<DrawDiagramOptions> = {}) {
  const path = join(directory, 'dump.sql');
  writeFileSync(path, sql);
  return drawDiagram({ source: { kind: 'file', path }, directory, ...options });
}

const SHOP = `
  create schema stock;
  create table stock.products (id integer primary key, name text);
  create table customers (id bigint primary key, email varchar(320) not null unique);
  create table orders (
    id bigint primary key, customer_id bigint not null references customers,
    invited_by bigint references customers (id), product_id integer not null references stock.products
  );
  create table profiles (customer_id bigint primary key references customers, note text);
  create table parts (order_id bigint, number integer, primary key (order_id, number),
    foreign key (order_id) references orders);
  create unique index on parts (order_id) where number = 1;
  create table log (at timestamptz not null, text text) partition by range (at);
  create table log_2026 partition of log for values from ('2026-01-01') to ('2027-01-01');
  create table log_2027 partition of log for values from ('2027-01-01') to ('2028-01-01')`;

describe('a diagram', () => {
  it('knows from keys and nulls how many rows may reference how many', async () => {
    const { references } = await draw(SHOP);
    expect(
      references.map(({ from, columns, to, referencedColumns, isOptional, isUnique }) => [
        `${from} ${columns} -> ${to} ${referencedColumns}`,
        isOptional ? 'none or one' : 'one',
        isUnique ? 'at most one' : 'many',
      ]),
    ).toEqual([
      ['public.orders customer_id -> public.customers id', 'one', 'many'],
      ['public.orders invited_by -> public.customers id', 'none or one', 'many'],
      ['public.orders product_id -> stock.products id', 'one', 'many'],
      ['public.parts order_id -> public.orders id', 'one', 'many'],
      ['public.profiles customer_id -> public.customers id', 'one', 'at most one'],
    ]);
  });

  it('folds partitions, and shows the chosen tables, schemas and columns', async () => {
    const names = async (options: Partial<DrawDiagramOptions>) =>
      (await draw(SHOP, options)).tables.map(({ key }) => key);
    const all = await draw(SHOP);
    expect(all.tables.map(({ key, partitions }) => `${key} ${partitions}`)).toEqual([
      'public.customers 0',
      'public.log 2',
      'public.orders 0',
      'public.parts 0',
      'public.profiles 0',
      'stock.products 0',
    ]);
    expect(await names({ schemas: ['stock'] })).toEqual(['stock.products']);
    expect(await names({ tables: ['p*s'] })).toEqual([
      'public.parts',
      'public.profiles',
      'stock.products',
    ]);
    expect(await names({ tables: ['public.p*'], exceptSchemas: ['stock'] })).toHaveLength(2);
    await expect(names({ tables: ['nothing'] })).rejects.toMatchObject({ code: 'USAGE' });
    const keys = await draw(SHOP, { columns: 'keys', tables: ['profiles'] });
    expect(keys.tables).toMatchObject([
      {
        columns: [{ name: 'customer_id', keys: ['primary key', 'foreign key'] }],
        hiddenColumns: 1,
      },
    ]);
  });

  it('is written as Mermaid, with names that Mermaid would not take in quotes', async () => {
    const { text } = await draw(
      `create table "Ü ""1""" (id integer primary key, "a-b" numeric(9, 2));
       create table "order" (id integer primary key, "select" integer unique references "Ü ""1""")`,
    );
    expect(text).toBe(`erDiagram
    ___1_["Ü '1'"] {
        integer id PK
        numeric(9_2) a_b "a-b: may be null"
    }
    order {
        integer id PK
        integer select FK, UK "may be null"
    }
    ___1_ |o--o| order : "select"
`);
  });
});

/** Schemas with many tables, of which each references some before it, and some nothing at all. */
function largeSchema(tables: number, schemas: string[]): string {
  const nameOf = (index: number) => `${schemas[index % schemas.length]}.table_${index}`;
  const lines = Array.from({ length: tables }, (_, index) => {
    const to = [0, (index * 7) % 11, Math.floor(index / 2)].filter((one) => one < index);
    const columns = [...new Set(index % 9 === 0 ? [] : to)].map(
      (one) => `ref_${one} integer references ${nameOf(one)}`,
    );
    return `create table ${nameOf(index)} (${['id integer primary key', ...columns, 'parent integer'].join(', ')});
      alter table ${nameOf(index)} add foreign key (parent) references ${nameOf(index)};`;
  });
  return [...schemas.map((schema) => `create schema ${schema};`), ...lines].join('\n');
}

const isApart = (a: Box, b: Box) =>
  a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;

describe.each([[['shop']], [['shop', 'stock', 'billing']]])('60 tables in %j', (schemas) => {
  it('have places of their own, and lines that end at their sides', {
    timeout: 60_000,
  }, async () => {
    const diagram = await draw(largeSchema(60, schemas));
    const placed = placeDiagram(diagram);
    expect(placed.tables).toHaveLength(60);
    for (const boxes of [placed.tables, placed.schemas]) {
      for (const [index, box] of boxes.entries()) {
        expect(boxes.slice(index + 1).filter((other) => !isApart(box, other))).toEqual([]);
      }
    }
    expect(placed.schemas.map(({ schema }) => schema).sort()).toEqual(
      schemas.length > 1 ? schemas.toSorted() : [],
    );
    expect(placed.references).toHaveLength(diagram.references.length);
    const boxOf = new Map(placed.tables.map((box) => [box.table.key, box]));
    for (const { reference, points, startSide, endSide } of placed.references) {
      const ends = [
        [boxOf.get(reference.to), points[0], startSide],
        [boxOf.get(reference.from), points.at(-1), endSide],
      ] as const;
      for (const [box, point, side] of ends) {
        expect(point?.x).toBe(side === 1 ? (box?.x ?? 0) + (box?.width ?? 0) : box?.x);
        expect(point?.y).toBeGreaterThan(box?.y ?? 0);
        expect(point?.y).toBeLessThan((box?.y ?? 0) + (box?.height ?? 0));
      }
    }
  });
});

describe('a drawing', () => {
  const HOSTILE = `create table "</svg><script>alert(1)</script>" (id integer primary key, "&" text)`;

  it('is well-formed, loads nothing, and runs nothing that a name says', async () => {
    const { text } = await draw(`${SHOP}; ${HOSTILE}`, { format: 'svg', title: 'a & "b"' });
    const { errors } = await validateXML({ xml: text, normalization: 'format' });
    expect(errors).toEqual([]);
    expect(text).not.toContain('<script');
    expect(text.replace('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|url\(|@import|href/,
    );
    for (const name of ['customers', 'parts', 'log', '2 partitions']) {
      expect(text).toContain(`>${name}</text>`);
    }
  });

  it('is a page too, which allows nothing from elsewhere, and lists what the lines say', async () => {
    const { text } = await draw(`${SHOP}; ${HOSTILE}`, { format: 'html' });
    expect(text).toContain("default-src 'none'");
    expect(text.match(/<script/g)).toHaveLength(1);
    expect(text).toContain(
      '<li>public.profiles (customer_id) → public.customers (id): one, which has none or one</li>',
    );
  });
});
