import { describe, expect, it } from 'vitest';
import { loadSqlParser } from '../../../src/sql/parser.ts';
import { candidateColumns, readUses } from '../../../src/stats/advise/candidates.ts';
import { fitForPlanning } from '../../../src/stats/advise/plan-statement.ts';

const TABLES: Record<string, string[]> = {
  orders: ['id', 'customer_id', 'status', 'created_at', 'total'],
  customers: ['id', 'email', 'country'],
};
const DISTINCT: Record<string, number> = { customer_id: 5000, status: 3, email: 9000 };

const parser = await loadSqlParser();

/** The candidates of a statement, as `table(columns)`. */
function candidates(statement: string): string[] {
  const tree = parser.parse(statement);
  if (tree === null) throw new Error(`the grammar refuses ${statement}`);
  const { uses } = readUses(tree, ({ name }, column) => TABLES[name]?.includes(column) === true);
  return uses.flatMap((use) =>
    candidateColumns(use, (column) => DISTINCT[column] ?? 0).map(
      (columns) => `${use.relation.name}(${columns.join(', ')})`,
    ),
  );
}

describe('candidates for indexes', () => {
  it.each([
    ['select from orders where status = $1', ['orders(status)']],
    [
      // The most distinct column stands first, and a range behind all that is equal.
      'select from orders where created_at > $1 and status = $2 and customer_id = $3',
      [
        'orders(customer_id, status, created_at)',
        'orders(customer_id, status)',
        'orders(customer_id)',
      ],
    ],
    [
      'select from orders where customer_id = $1 order by created_at desc limit $2',
      ['orders(customer_id, created_at)', 'orders(customer_id)'],
    ],
    ['select from orders order by created_at, id', ['orders(created_at, id)']],
    ['select from orders where total between $1 and $2', ['orders(total)']],
    ['select from orders where $1 < total', ['orders(total)']],
    ['select from orders where id in ($1, $2)', ['orders(id)']],
    ['select from orders where id = any ($1)', ['orders(id)']],
    ['select from orders where status = $1::text and $2', ['orders(status)']],
    [
      'select from orders o join customers c on c.id = o.customer_id where c.email = $1',
      ['orders(customer_id)', 'customers(email, id)', 'customers(email)'],
    ],
    ['select from orders join customers using (id)', ['orders(id)', 'customers(id)']],
    [
      'select from customers c where exists (select from orders where customer_id = c.id)',
      ['customers(id)', 'orders(customer_id)'],
    ],
    ['update orders set total = $1 where status = $2', ['orders(status)']],
    ['delete from orders where created_at < $1', ['orders(created_at)']],
    ['with old as (select from orders where status = $1) select from old', ['orders(status)']],
    [
      'delete from orders o using customers c where c.id = o.customer_id',
      ['orders(customer_id)', 'customers(id)'],
    ],
  ])('come from %s', (statement, expected) => {
    expect(candidates(statement)).toEqual(expected);
  });

  it.each([
    'select from orders where status = $1 or total = $2',
    'select from orders where not (status = $1)',
    'select from orders where total = id',
    'select from orders where lower(status) = $1',
    'select from orders order by status, created_at desc',
    'select from orders order by created_at nulls first',
    'select status = $1 from orders',
    'select from orders o, customers c where id = $1',
    'insert into orders (status) values ($1)',
    'with orders as (select 1 as status) select from orders where status = $1',
  ])('do not come from %s', (statement) => {
    expect(candidates(statement)).toEqual([]);
  });
});

describe('a statement', () => {
  it('tells which columns it sets, and which functions and operators it names', () => {
    const tree = parser.parse('update orders set total = app.fee($1), status = $2 where id === $3');
    const { updates, functions, operators } = readUses(tree ?? ({} as never), () => true);
    expect(updates).toEqual([
      { relation: { schema: undefined, name: 'orders' }, columns: ['total', 'status'] },
    ]);
    expect([...functions, ...operators]).toEqual(['fee', '===']);
  });

  it('can be planned where a constant with its type was counted', () => {
    const fit = fitForPlanning(
      "select from orders where created_at > now() - interval $1 and x < Date $2 and t = 'date'",
    );
    expect(fit).toContain('now() - $1::interval and x < $2::Date');
    expect(parser.check(fit)).toBeNull();
  });
});
