import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSequences } from '../../src/stats/sequences.ts';
import { readUnusedIndexes } from '../../src/stats/unused.ts';
import { updateStatistics } from '../../src/stats/update.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { connectionTo, inspect } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

const servers = specialServers();
let primary: SpecialServer;
let standby: SpecialServer;

beforeAll(async () => {
  primary = await servers.start({});
  const sql = openSql(primary.url, 1);
  await sql.unsafe(`create table t (id serial primary key, n int); create index t_idle on t (n);
    create unlogged table u (id serial); insert into t (n) values (1)`);
  await closeSql(sql);
  standby = await servers.addStandby(primary, {});
});

afterAll(() => servers.remove());

const judge = (url: string) =>
  inspect(url, (session) => readUnusedIndexes(session, { minimumAgeMs: 0 }));

test('says on a standby that the primary counts for itself', async () => {
  const { rows, notes } = await judge(standby.url);
  expect(rows.map(({ index }) => index)).toEqual(['t_idle']);
  expect(notes[0]).toMatchObject({
    level: 'warning',
    text: expect.stringMatching(/^this is a standby/),
  });
});

test('says on a primary that its standbys count for themselves', async () => {
  const notes = await eventually(async () => {
    const report = await judge(primary.url);
    return report.notes.some(({ text }) => text.includes('replicates')) ? report.notes : undefined;
  });
  expect(notes[0]).toMatchObject({
    level: 'warning',
    text: '1 server replicates from this one, and each counts its own reads',
  });
});

test('reads sequences on a standby, but those of unlogged tables, which are not there', async () => {
  const { rows, serverVersion } = await inspect(standby.url, async (session) => ({
    ...(await readSequences(session)),
    serverVersion: session.facts.serverVersion,
  }));
  const known = Object.fromEntries(rows.map(({ sequence, isKnown }) => [sequence, isKnown]));
  // Before 15 the sequence of an unlogged table is an ordinary one.
  expect(known).toEqual({ t_id_seq: true, u_id_seq: serverVersion < 150000 });
});

test('refuses to analyze on a standby', async () => {
  await expect(updateStatistics(await connectionTo(standby.url))).rejects.toMatchObject({
    code: 'READ_ONLY',
  });
  const { rows } = await updateStatistics(await connectionTo(primary.url));
  expect(rows.map(({ table, outcome }) => ({ table, outcome }))).toEqual([
    { table: 't', outcome: 'analyzed' },
    { table: 'u', outcome: 'analyzed' },
  ]);
});
