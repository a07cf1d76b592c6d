import { readdir } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { addEvent, addUsers, readSeats } from '../event-schema/event-schema-kit.ts';
import { test as base } from '../support/fixture.ts';
import { type CliResult, pasteCommand, runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

const test = base.extend<{ evdb: (...args: string[]) => Promise<CliResult> }>({
  evdb: async ({ project, db }, use) => {
    await use((...args) => runCli(args, { cwd: project.dir, env: { EVDB_URL: db.url } }));
  },
});

describe('events list and search', () => {
  test('list upcoming events, or say that there are none', async ({ evdb, db }) => {
    expect(await evdb('events', 'list')).toMatchObject({
      code: 0,
      stdout: 'no events in this period\n',
    });
    const id = await addEvent(db.sql, { title: 'Jazz', location: 'Hall', capacity: 7 });
    const { stdout } = await evdb('events', 'list');
    expect(stdout).toMatch(new RegExp(`^${id} +Jazz +\\d{4}-.+ +Hall +7 +7 +upcoming$`, 'm'));
    expect(parseJson(await evdb('events', 'list', '--json'))).toMatchObject({
      rows: [{ id, title: 'Jazz', availableSpots: 7 }],
      next: null,
    });
  });

  test('find by words, whatever they are, and show where', async ({ evdb, db }) => {
    await addEvent(db.sql, { title: 'Rock & Roll <Night>' });
    const found = await evdb('events', 'search', 'rock', 'roll');
    expect(found.stdout).toContain('Rock & Roll <Night>');
    expect(found.stdout).not.toContain('&amp;');
    expect(await evdb('events', 'search', "x'; drop table events")).toMatchObject({
      code: 0,
      stdout: 'no event matches these words\n',
    });
    expectError(await evdb('events', 'search'), 'USAGE', 2);
  });

  test('name the next page', async ({ evdb, db }) => {
    const first = await addEvent(db.sql, { startsAt: new Date(Date.now() + 3_600_000) });
    const second = await addEvent(db.sql);
    const page = parseJson(await evdb('events', 'list', '--limit', '1', '--json'));
    expect(page.rows).toMatchObject([{ id: first }]);
    const next = await evdb('events', 'list', '--after', String(page.next), '--json');
    expect(parseJson(next)).toMatchObject({ rows: [{ id: second }], next: null });
    expectError(await evdb('events', 'list', '--after', 'not one'), 'USAGE', 2);
  });

  test.for([['list'], ['search', "jazz or rock's", '$(touch pwned)', '--location', 'a "b"']])(
    'print the next page as a command: %j',
    async (words, { evdb, db, project }) => {
      const add = (hours: number) =>
        addEvent(db.sql, {
          title: 'Jazz touch pwned',
          location: 'a b',
          startsAt: new Date(Date.now() + hours * 3_600_000),
        });
      const ids = [await add(1), await add(2), await add(3)];
      const { stdout } = await evdb('events', ...words, '--limit', '2');
      const [, printed = ''] = /^more: (.*)$/m.exec(stdout) ?? [];
      expect(printed).toMatch(/ --limit 2 --after [\w-]+$/);
      const env = { EVDB_URL: db.url };
      const pasted = await pasteCommand(printed, { cwd: project.dir, env });
      expect(pasted).toMatchObject({ code: 0, stderr: '' });
      const shown = [stdout, pasted.stdout].map((text) =>
        ids.filter((id) => new RegExp(`^${id} `, 'm').test(text)),
      );
      expect(shown.flat().sort()).toEqual(ids);
      expect(shown[1]).toHaveLength(1);
      expect(await readdir(project.dir)).not.toContain('pwned');
    },
  );
});

describe('events show and stats', () => {
  test('tell what is known of one event', async ({ evdb, db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const id = await addEvent(db.sql, { title: 'Jazz', capacity: 3, createdBy: ann });
    await evdb('events', 'register', String(id), String(ann));
    const show = await evdb('events', 'show', String(id));
    expect(show.stdout).toMatch(new RegExp(`^event +${id}  Jazz$`, 'm'));
    expect(show.stdout).toMatch(/^seats +1 taken and 0 held of 3$/m);
    expect(show.stdout).toMatch(/^created by +user 1 \(user 1\)$/m);
    const stats = await evdb('events', 'stats', String(id));
    expect(stats.stdout).toMatch(/^free +2$/m);
    expect(parseJson(await evdb('events', 'stats', String(id), '--json'))).toMatchObject({
      stats: { id, confirmed: 1, availableSpots: 2, isFull: false },
    });
  });

  test.for(['show', 'stats'])('%s says that an event does not exist', async (name, { evdb }) => {
    const result = await evdb('events', name, '4711');
    expectError(result, 'EVENT_MISSING', 1);
    expectHint(result);
  });
});

describe('events register and unregister', () => {
  test('say for each user what became of it, and exit 1 where one was refused', async ({
    evdb,
    db,
  }) => {
    const [ann = 0, bob = 0, cid = 0] = await addUsers(db.sql, 3);
    const id = await addEvent(db.sql, { capacity: 2 });
    const people = [ann, bob, cid].map(String);
    const some = await evdb('events', 'register', String(id), ...people);
    expect(some.code).toBe(1);
    expect(some.stdout).toMatch(
      new RegExp(`^confirmed +user ${ann} +Successfully registered`, 'm'),
    );
    expect(some.stdout).toMatch(
      new RegExp(`^refused +user ${cid} +P0004 +Event is at maximum`, 'm'),
    );
    expect(some.stdout).toContain(`event ${id}: 2 done, 1 refused`);
    expect(some.stderr).toBe('');
    const queue = await evdb('events', 'register', String(id), String(cid), '--waitlist');
    expect(queue).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('number 1 in the queue'),
    });
    const json = await evdb('events', 'unregister', String(id), String(ann), String(ann), '--json');
    expect(json.code).toBe(1);
    expect(parseJson(json)).toMatchObject({
      ...{ eventId: id, succeeded: 1, refused: 1 },
      results: [
        { userId: ann, status: 'removed' },
        { userId: ann, errorCode: 'P0005' },
      ],
    });
    expect(await readSeats(db.sql, id)).toEqual({ counter: 2, confirmed: 2 });
  });

  test('hold a seat for so long as it is told', async ({ evdb, db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const id = await addEvent(db.sql);
    const json = await evdb(
      'events',
      'register',
      String(id),
      String(ann),
      '--hold',
      '1h',
      '--json',
    );
    expect(parseJson(json)).toMatchObject({ results: [{ status: 'pending' }] });
    const [row] = await db.sql`
      select hold_expires_at - now() between interval '55 minutes' and interval '1 hour' as fits
      from registrations`;
    expect(row?.fits).toBe(true);
  });

  base.for([
    'register 0 1',
    'register 1 ann',
    'register 1 2 3.5',
    'register 1 99999999999',
    'register 1',
    'register 1 2 --hold 2d',
    'register 1 2 --hold 0',
    'unregister 1 -2',
    'show 1;drop',
    'stats ',
  ])('refuse "%s" before they connect', async (line, { project }) => {
    const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app' };
    expectError(
      await runCli(['events', ...line.split(' ')], { cwd: project.dir, env }),
      'USAGE',
      2,
    );
  });
});
