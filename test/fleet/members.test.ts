import { describe, expect, it } from 'vitest';
import { checkFleets, type FleetSettings } from '../../src/config/fleet-settings.ts';
import { readFleet } from '../../src/fleet/members.ts';
import { countOf, planWaves, selectMembers } from '../../src/fleet/waves.ts';
import { test } from '../support/fixture.ts';
import { failureOf } from '../support/waiting.ts';

const read = (settings: FleetSettings, projectDir = '.') =>
  readFleet({
    ...{ name: 'tenants', settings, projectDir },
    connect: () => Promise.reject(new Error('nothing is asked')),
  });

function problemsOf(fleets: unknown): string[] {
  const problems: string[] = [];
  checkFleets(fleets, problems);
  return problems;
}

describe('fleets in the config file', () => {
  it('are lists, files or queries, with settings of a run', () => {
    const problems: string[] = [];
    const fleets = checkFleets(
      {
        tenants: { members: ['a', { schema: 'b', labels: { plan: 1 } }], failureBudget: '2%' },
        shops: { file: 'shops.json', waveSize: 5, wavePause: '30s', canary: 'plan=internal' },
        all: { query: 'select 1', url: 'postgres://control/db', concurrency: 4 },
      },
      problems,
    );
    expect(problems).toEqual([]);
    expect(fleets).toEqual({
      tenants: {
        members: [
          { schema: 'a', labels: {} },
          { schema: 'b', labels: { plan: '1' } },
        ],
        failureBudget: '2%',
      },
      shops: { file: 'shops.json', waveSize: '5', wavePauseMs: 30_000, canary: 'plan=internal' },
      all: { query: 'select 1', url: 'postgres://control/db', concurrency: 4 },
    });
  });

  it.each([
    [[], '"fleets" must be an object'],
    [{ a: {} }, '"fleets.a" must have one of members, file, query'],
    [{ a: { members: ['x'], query: 'q' } }, '"fleets.a" must have one of'],
    [{ a: { memebrs: ['x'] } }, 'unknown key "fleets.a.memebrs"; did you mean "members"?'],
    [{ a: { query: 'q', concurrency: 0 } }, '"fleets.a.concurrency" must be a positive'],
    [{ a: { query: 'q', canary: 'some' } }, '"fleets.a.canary" must be a number of members'],
    [{ a: { members: [{ name: 'x' }] } }, 'members[0]" must have a url, a database or a schema'],
    [{ a: { members: [{ shcema: 'x' }] } }, 'did you mean "schema"?'],
  ])('are refused: %j', (fleets, says) => {
    expect(problemsOf(fleets).join('; ')).toContain(says);
  });

  it('never fall back to another database where a variable is not set', () => {
    const url = process.env.EVDB_NO_SUCH_VARIABLE;
    expect(problemsOf({ a: { members: [{ name: 'eu', url }] } })).toEqual([
      '"fleets.a.members[0].url" must be a string that is not empty',
    ]);
    expect(problemsOf({ a: { query: 'q', url } })).toEqual(['"fleets.a.url" is empty']);
  });
});

describe('the members of a fleet', () => {
  it('are called by their schema, else their database, else that of their URL', async () => {
    const members = await read({
      members: [
        { schema: 's', database: 'd', labels: {} },
        { database: 'd', labels: {} },
        { url: 'postgres://app:secret@eu.example:5433/shop%20eu?sslmode=require', labels: {} },
        { name: 'own', schema: 't', labels: {} },
      ],
    });
    expect(members.map(({ name }) => name)).toEqual(['s', 'd', 'shop eu', 'own']);
  });

  it('have a name of their own, and there is one at least', async () => {
    const twice = { members: ['a', 'b', 'a'].map((schema) => ({ schema, labels: {} })) };
    expect(await failureOf(read(twice))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'the fleet "tenants" has "a" twice',
    });
    expect(await failureOf(read({ members: [] }))).toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('come from a file: JSON, YAML, or one a line', async ({ project }) => {
    await project.write('a.json', '[{ "schema": "a", "labels": { "region": "eu" } }, "b"]');
    await project.write('b.yaml', 'members:\n  - schema: a\n    labels: { region: eu }\n  - b\n');
    await project.write('c.txt', '# the first\na\n\n  b  \n');
    const [json, yaml, text] = await Promise.all(
      ['a.json', 'b.yaml', 'c.txt'].map((file) => read({ file }, project.dir)),
    );
    const a = { name: 'a', schema: 'a', labels: { region: 'eu' } };
    const b = { name: 'b', schema: 'b', labels: {} };
    expect(json).toEqual([a, b]);
    expect(yaml).toEqual([a, b]);
    expect(text).toEqual([{ ...a, labels: {} }, b]);
    await project.write('broken.json', '["postgres://app:hunter2@host/db"');
    const error = await failureOf(read({ file: 'broken.json' }, project.dir));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(JSON.stringify(error) + error.message).not.toContain('hunter2');
    const missing = await failureOf(read({ file: 'none.json' }, project.dir));
    expect(missing.message).toContain('does not exist');
  });
});

const MEMBERS = [
  { name: 'a_1', labels: { region: 'eu', plan: 'free' } },
  { name: 'a_2', labels: { region: 'us', plan: 'pro' } },
  { name: 'b_1', labels: { region: 'eu', plan: 'pro' } },
  { name: 'b_2', labels: { region: 'ap' } },
];
const namesOf = (members: readonly { name: string }[]) => members.map(({ name }) => name);

describe('--only', () => {
  it.each([
    [[], 'a_1 a_2 b_1 b_2'],
    [['region=eu'], 'a_1 b_1'],
    [['region=eu,ap'], 'a_1 b_1 b_2'],
    [['region=eu', 'plan=pro'], 'b_1'],
    [['name=a_*'], 'a_1 a_2'],
    [['b_1,b_2'], 'b_1 b_2'],
  ])('%j takes %s', (only, expected) => {
    expect(namesOf(selectMembers(MEMBERS, only)).join(' ')).toBe(expected);
  });

  it('is refused where it names no label, or leaves nobody', () => {
    expect(() => selectMembers(MEMBERS, ['regoin=eu'])).toThrow('no member has the label "regoin"');
    expect(() => selectMembers(MEMBERS, ['region=mars'])).toThrow('no member of the fleet fits');
    // A dot is a dot.
    expect(() => selectMembers(MEMBERS, ['name=a.1'])).toThrow('no member of the fleet fits');
  });
});

describe('waves', () => {
  const cut = (plan: Parameters<typeof planWaves>[1]) =>
    planWaves(MEMBERS, plan).map(({ members }) => namesOf(members).join(' '));

  it('are one, or so many members each, behind a canary group', () => {
    expect(cut({})).toEqual(['a_1 a_2 b_1 b_2']);
    expect(cut({ waveSize: '3' })).toEqual(['a_1 a_2 b_1', 'b_2']);
    expect(cut({ waveSize: '50%' })).toEqual(['a_1 a_2', 'b_1 b_2']);
    expect(cut({ canary: '1', waveSize: '2' })).toEqual(['a_1', 'a_2 b_1', 'b_2']);
    expect(cut({ canary: 'region=ap,us' })).toEqual(['a_2 b_2', 'a_1 b_1']);
    expect(planWaves(MEMBERS, { canary: '1' }).map(({ isCanary }) => isCanary)).toEqual([
      true,
      false,
    ]);
    expect(cut({ canary: '9' })).toEqual(['a_1 a_2 b_1 b_2']);
    expect(() => cut({ canary: 'region=none' })).toThrow('fits --canary region=none');
  });

  it('refuses a wave of nobody', () => {
    expect(() => cut({ waveSize: '0' })).toThrow('--wave-size 0: a wave has at least one member');
    expect(() => cut({ waveSize: '0%' })).toThrow('--wave-size 0%: ');
    expect(cut({ canary: '4', waveSize: '50%' })).toHaveLength(1);
  });

  it('count shares upwards, and refuse what is no number', () => {
    expect(countOf('1%', 45, '--wave-size')).toBe(1);
    expect(countOf('10%', 45, '--wave-size')).toBe(5);
    expect(countOf('0', 45, '--failure-budget')).toBe(0);
    for (const text of ['-1', '101%', 'x', '1.5', ''])
      expect(() => countOf(text, 45, '--canary')).toThrow('--canary');
  });
});
