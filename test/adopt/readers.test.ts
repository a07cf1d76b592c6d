import { describe, expect, it } from 'vitest';
import { sqlx } from '../../src/adopt/file-pairs.ts';
import { numberDotted } from '../../src/adopt/flyway.ts';
import type { Adapter, ForeignFile } from '../../src/adopt/foreign.ts';
import { dbmate, goose, nodePgMigrate } from '../../src/adopt/marked-files.ts';

function file(path: string, text: string): ForeignFile {
  return { path, bytes: Buffer.from(text), text };
}

function readOne({ readFiles }: Adapter, path: string, text: string) {
  return readFiles([file(path, text)], []).migrations[0];
}

describe('dbmate', () => {
  const read = (text: string) => readOne(dbmate, '001_a.sql', text);

  it('sees a marker only at the beginning of a line', () => {
    const text =
      "-- migrate:up\nselect '-- migrate:down';\n  -- migrate:down\nselect 2;\n-- migrate:down\n";
    expect(read(text)).toMatchObject({
      up: { text: "\nselect '-- migrate:down';\n  -- migrate:down\nselect 2;\n" },
      down: { text: '\n' },
    });
  });

  it('reads the options of each marker', () => {
    const text = '--migrate:up foo:bar transaction:false\nvacuum;\n--  migrate:down\nselect 1;';
    expect(read(text)).toMatchObject({
      up: { noTransaction: true },
      down: { noTransaction: false },
    });
  });

  it.each([
    ['select 1;', 'it has no "-- migrate:up" line, so dbmate refuses it'],
    ['-- migrate:up\nselect 1;', 'it has no "-- migrate:down" line, so dbmate refuses it'],
    [
      '-- migrate:down\n-- migrate:up\n',
      'its down part comes before its up part, so dbmate refuses it',
    ],
    [
      'select 1;\n-- migrate:up\n-- migrate:down\n',
      'it has statements before "-- migrate:up", so dbmate refuses it',
    ],
    [
      '-- migrate:up\n-- migrate:down\n-- migrate:up\n-- migrate:down\n',
      'it holds several migrations for one version',
    ],
  ])('cannot take %j', (text, blocker) => {
    expect(read(text)).toMatchObject({ blocker });
  });

  it('leaves files alone that are not its own', () => {
    expect(readOne(dbmate, 'readme.sql', '')).toBeUndefined();
    expect(readOne(dbmate, 'more/001_a.sql', '')).toBeUndefined();
  });
});

describe('goose', () => {
  it('takes annotations in any case, and only alone at the beginning of a line', () => {
    const text =
      "--   +GOOSE up\nselect '-- +goose down';\n -- +goose Down\n-- +goose dOwN\nselect 2;";
    expect(readOne(goose, '1_a.sql', text)).toMatchObject({
      up: { text: "select '-- +goose down';\n -- +goose Down" },
      down: { text: 'select 2;' },
    });
  });

  it('leaves tests written in Go alone', () => {
    expect(readOne(goose, '1_a_test.go', '')).toBeUndefined();
  });
});

describe('node-pg-migrate', () => {
  it.each([
    ['select 1;', 'select 1;', null],
    ['-- Up Migration\nselect 1;\n', 'select 1;\n', null],
    [
      'select 1;\n-- down migration\nselect 2;',
      'select 1;\n-- down migration\nselect 2;',
      'select 2;',
    ],
    ['--- UP  MIGRATION: x\nselect 1;\n  --Down migration\nselect 2;', 'select 1;\n', 'select 2;'],
  ])('reads the parts of %j', (text, up, down) => {
    const migration = readOne(nodePgMigrate, '1704067200000_a.sql', text);
    expect(migration?.up.text.trim()).toBe(up.trim());
    expect(migration?.down?.text ?? null).toBe(down);
  });

  it('pairs files, and names them as its table does', () => {
    const files = [file('1_a.down.sql', 'drop table a;'), file('1_a.up.sql', 'create table a ();')];
    const { migrations } = nodePgMigrate.readFiles(files, []);
    expect(migrations).toMatchObject([{ key: '1_a', name: '_a', down: { text: 'drop table a;' } }]);
  });
});

it('sqlx: takes the directive only at the very beginning', () => {
  expect(readOne(sqlx, '1_a.sql', '-- no-transaction\nvacuum;')).toMatchObject({
    up: { text: 'vacuum;', noTransaction: true },
  });
  expect(readOne(sqlx, '1_a.sql', '\n-- no-transaction\nvacuum;')).toMatchObject({
    up: { noTransaction: false },
  });
});

describe('flyway makes whole numbers of its versions', () => {
  it.each([
    [
      ['1', '2', '10'],
      ['1', '2', '10'],
    ],
    [
      ['001', '20240101120000'],
      ['001', '20240101120000'],
    ],
    [
      ['1', '1.2', '2.0.1'],
      ['1000000', '1002000', '2000001'],
    ],
    [
      ['1_1', '1.10', '2'],
      ['1001', '1010', '2000'],
    ],
    [
      ['1.0', '2.0'],
      ['1', '2'],
    ],
    [['1.20240101'], ['120240101']],
    [['12345678901234567890.1'], [null]],
  ])('of %j', (versions, numbers) => {
    expect([...numberDotted(versions).values()]).toEqual(numbers);
  });
});
