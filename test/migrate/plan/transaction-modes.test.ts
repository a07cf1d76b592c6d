import { expect, it } from 'vitest';
import { readTransactionModes } from '../../../src/migrate/plan/transaction-modes.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

const NONE = { isolation: undefined, isReadOnly: false, isDeferrable: false, count: 0 };

it.each([
  ['select 1', NONE],
  ['', NONE],
  ['set transaction isolation level serializable', { isolation: 'serializable', count: 1 }],
  ['SET TRANSACTION ISOLATION LEVEL Repeatable Read', { isolation: 'repeatable read', count: 1 }],
  ['set transaction isolation level read committed', { isolation: 'read committed', count: 1 }],
  ['set transaction isolation level read uncommitted', { isolation: 'read uncommitted', count: 1 }],
  ['set transaction read only', { isReadOnly: true, count: 1 }],
  ['set transaction read only; set transaction read write', { count: 2 }],
  [
    'set transaction isolation level serializable, read only, deferrable',
    { isolation: 'serializable', isReadOnly: true, isDeferrable: true, count: 1 },
  ],
  ['set transaction deferrable; set transaction not deferrable', { count: 2 }],
  ['set /* the */ transaction read only', { isReadOnly: true, count: 1 }],
])('reads of %j how it wants its transaction', async (text, modes) => {
  const statements = splitStatements(text);
  expect(await readTransactionModes({ statements })).toEqual({ ...NONE, ...modes });
});

it.each([
  "set transaction snapshot '00000003-0000001B-1'",
  'set session characteristics as transaction read only',
  "set application_name = 'transaction'",
  'set local statement_timeout = 1; set transaction read only',
  'select 1; set transaction read only',
  'reset transaction_isolation',
  'show transaction_isolation',
  'create table set_transaction (id int)',
  'set transaction isolation level wrong',
])('leaves %j to the server', async (text) => {
  const statements = splitStatements(text);
  expect(await readTransactionModes({ statements })).toEqual(NONE);
});

it('reads no further than the first statement that is another', async () => {
  const statements = splitStatements(
    'set transaction read only; select 1; set transaction deferrable',
  );
  expect(await readTransactionModes({ statements })).toEqual({
    ...NONE,
    ...{ isReadOnly: true, count: 1 },
  });
});
