import { expect, onTestFinished } from 'vitest';
import { test } from './pool-kit.ts';

/** Settings that a database, a role or a caller may have, and that change what the server writes. */
const SETTINGS: [name: string, value: string][] = [
  ['datestyle', 'SQL, DMY'],
  ['datestyle', 'German'],
  ['datestyle', 'Postgres, MDY'],
  ['intervalstyle', 'iso_8601'],
  ['bytea_output', 'escape'],
  ['extra_float_digits', '-10'],
  ['timezone', 'Asia/Kolkata'],
  ['timezone', 'America/St_Johns'],
  ['client_encoding', 'LATIN1'],
  ['standard_conforming_strings', 'off'],
  ['lc_monetary', 'C'],
];

const VALUES = {
  at: new Date('2026-03-04T10:11:12.345Z'),
  raw: Buffer.from([0, 1, 39, 92, 255]),
  text: 'ä\\"\'',
  fraction: 0.1,
  doc: { a: ['ä\\'] },
};
const TEXT = `select $1::timestamptz as at, $2::bytea as raw, $3::text as text, $4::float8 as fraction,
  $5::jsonb as doc, array[$1::timestamptz] as ats, array[$2::bytea] as raws`;
const EXPECTED = { ...VALUES, ats: [VALUES.at], raws: [VALUES.raw] };

for (const [name, value] of SETTINGS) {
  test(`reads values right where the database has ${name} ${value}`, async ({ stage, emptyDb }) => {
    await emptyDb.sql.unsafe(
      `alter database ${emptyDb.name} set ${name} to ${name === 'datestyle' ? value : `'${value}'`}`,
    );
    const pool = stage.pool({ max: 1 });
    for (let n = 0; n < 3; n++) {
      const { rows } = await pool.query(TEXT, Object.values(VALUES));
      expect(rows).toEqual([EXPECTED]);
    }
  });
}

const ZONES = ['UTC', 'America/New_York', 'Asia/Kolkata', 'Pacific/Auckland'];

/** Local mean time, an hour that comes twice in New York, and the last day that a Date knows. */
const EDGES = [
  '1850-06-01T00:00:00.500Z',
  '1900-01-01T00:00:00.000Z',
  '2026-11-01T05:30:00.000Z',
  '2026-11-01T06:30:00.000Z',
  '0000-12-31T23:59:59.999Z',
  '0001-01-01T00:00:00.000Z',
  '-000043-03-15T00:00:00.000Z',
  '+275760-09-13T00:00:00.000Z',
].map((text) => new Date(text));

for (const zone of ZONES) {
  test(`brings a Date there and back where the application lives in ${zone}`, async ({ stage }) => {
    const before = process.env.TZ;
    process.env.TZ = zone;
    onTestFinished(() => {
      process.env.TZ = before ?? 'UTC';
    });
    const pool = stage.pool({ max: 1 });
    const noon = new Date('2026-11-22T12:00:00.000Z');
    const edge = new Date('2026-07-01T23:30:00.123Z');
    for (const date of [noon, edge]) {
      const { rows } = await pool.query(
        `select $1::timestamptz as exact, $3::timestamp as plain, array[$3::timestamp] as plains,
           $1::timestamptz = $2::timestamptz as "isSame"`,
        [date, date.toISOString(), date],
      );
      expect(rows).toEqual([{ exact: date, plain: date, plains: [date], isSame: true }]);
    }
    for (const date of EDGES) {
      const { rows } = await pool.query('select $1::timestamptz as exact', [date]);
      expect(rows).toEqual([{ exact: date }]);
    }
    const { rows } = await pool.query('select $1::date::text as day', [
      new Date(2026, 10, 22, 0, 30),
    ]);
    expect(rows).toEqual([{ day: '2026-11-22' }]);
  });
}
