import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** A statement of a test that looks at, or ends, what goes on in the whole server. */
const WHOLE_SERVER =
  /\b(?:from|join)\s+(?:pg_catalog\.)?pg_(?:stat_activity|locks|stat_progress_\w+|prepared_xacts)\b/g;
/** What restricts it to the database, the sessions or the role of one test. */
const ONE_TEST =
  /current_database\(\)|\bdatname = |\bpid (?:=|in)|pg_blocking_pids|application_name = '?\$|\b(?:leader_pid|usename|query like) (?:= )?\$/;

/** The statements that see other tests, whose sessions are on the same server: file and line. */
function findUnrestricted(path: string, text: string): string[] {
  return [...text.matchAll(WHOLE_SERVER)].flatMap(({ index }) => {
    const start = text.lastIndexOf('`', index);
    const end = text.indexOf('`', index);
    if (ONE_TEST.test(text.slice(start, end === -1 ? undefined : end))) return [];
    return [`${path}:${text.slice(0, index).split('\n').length}`];
  });
}

it('no test takes the sessions of another one for its own', () => {
  const folder = fileURLToPath(new URL('../', import.meta.url));
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  expect(paths.length).toBeGreaterThan(300);
  expect(
    paths.flatMap((path) => findUnrestricted(path, readFileSync(`${folder}${path}`, 'utf8'))),
  ).toEqual([]);
});

it.each([
  ["select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'", 1],
  ["select from pg_stat_activity where query like '%pg_sleep(60)%'", 1],
  ['select from pg_locks where pid = $1', 0],
  ['select from pg_stat_activity where datname = current_database()', 0],
])('finds in %s: %d', (statement, count) => {
  expect(findUnrestricted('a', `\`${statement}\``)).toHaveLength(count);
});
