import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { displayWidth } from '../../src/text/width.ts';
import { listCommands, openShop, type Shop } from './widths-kit.ts';

const WIDTHS = [40, 80, 120, 200];
/** Wide enough for everything. */
const WIDEST = 3000;

/** Realistic lines of every command; what they change is changed in each run alike. */
const LINES = [
  '--help',
  'init --yes --empty',
  'migrate --help',
  'migrate up --help',
  'migrate up --dry-run --verbose',
  'migrate up --to 902',
  'migrate plan',
  'migrate plan --verbose --no-trace',
  'migrate down --to 015',
  'migrate down --dry-run --steps 3',
  'migrate redo --dry-run',
  'migrate status',
  'migrate status --all',
  'migrate create a_name_of_a_migration --dry-run',
  'migrate validate',
  'migrate repair',
  'migrate baseline 3',
  'migrate restore 003',
  'migrate adopt',
  'seed --dry-run',
  // What they print of a column that is there is SQL.
  'migrate expand rename-column nowhere.location venue',
  'migrate expand change-type nowhere.id bigint',
  'migrate expand set-not-null nowhere.location',
  'migrate expand split-column nowhere.name --into first_name=x --into family_name=y',
  'migrate expand add-foreign-key nowhere.user_id users.id',
  'migrate expand add-unique nowhere.email',
  'migrate expand add-check nowhere capacity>0',
  // What it prints of migrations that are there is SQL.
  'migrate squash --to 999',
  'backfill status',
  'backfill run',
  'backfill pause 003',
  'backfill resume 003',
  'backfill cancel 003',
  'version',
  'lint',
  'lint --verbose migrations/901_add_tokens.sql',
  'lint broken',
  'lint --list-rules',
  'lint --explain set-not-null',
  'lint --help',
  'schema diff',
  'stats --help',
  'stats indexes',
  'stats unused',
  'stats unused --min-age 0s',
  'stats duplicates',
  'stats invalid',
  'stats missing-fk',
  'stats tables',
  'stats queries',
  'stats locks',
  'stats activity',
  'stats connections',
  'stats sequences',
  'stats vacuum',
  'stats cache',
  'stats replication',
  'stats partitions',
  'stats advise',
  'stats update --schema public',
  'stats snapshot --list',
  'stats diff',
  'monitor',
  'monitor --view rates',
  'doctor',
  'doctor --full',
  'report',
  'report --full',
  'db ping',
  'db wait',
  'db create',
  'db sizes',
  'fleet --help',
  'fleet list tenants',
  'fleet status tenants',
  'fleet add tenants public',
  'migrate status --fleet tenants',
  'rules check',
  'rules list',
  'rules repair --dry-run',
  'audit cleanup --days 90 --dry-run',
  'audit log --limit 5',
  'audit summary',
  'events list',
  'events list --help',
  'events show 1',
  'events stats 1',
  'events search jazz late',
  'events register 1 7 8 999999',
  'events unregister 3 7',
  'server status',
  'server list',
  'config',
  'migrat up',
  'stats tabels',
];

/** They change something where they run for the first time. */
const CHANGES =
  /^(?:init|migrate (?:up|down|repair|baseline|restore|adopt)|backfill|stats update|db create|events (?:un)?register)/;

/** They tell of the whole server, where other tests are at work. */
const OF_THE_SERVER = /^(?:stats (?:locks|activity|connections)|monitor|doctor|report|server list)/;

/** These print what programs read or what is used as it is, or start and stop servers. */
const WITHOUT_LINES = [
  ...[
    'schema dump',
    'schema diagram',
    'types',
    'completion',
    'server start',
    'server stop',
    'server url',
  ],
  // They ask a person.
  ...['db drop', 'migrate reset', 'fleet remove'],
];

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});

afterAll(async () => shop?.close());

async function print(line: string, columns: number): Promise<string> {
  const terminal = shop.terminal(columns);
  await terminal.run(...line.split(' '));
  return `${terminal.written()}\n${terminal.stderr()}`;
}

const BOX = /[│┌┐└┘├┤┬┴┼─]/g;

/** What stands between blanks and is mostly letters; what is cut is no word. */
function wordsOf(text: string): Set<string> {
  const words = text.replace(BOX, ' ').split(/\s+/);
  return new Set(words.filter((word) => /^[\p{L}(][\p{L}_.,:;()-]{3,}$/u.test(word)));
}

/** What is said only where something is left out. */
const OF_NARROW = wordsOf('columns hidden column texts cut: shows (');
/** Longer ones may have to be broken where a line or a cell of it ends. */
const LONGEST_WORD = 38;

describe.each(LINES)('evdb %s', (line) => {
  it('fits the terminal, and tears no word', async () => {
    // What a first run changes, the further ones only find.
    if (CHANGES.test(line)) await print(line, WIDEST);
    const reference = await print(line, WIDEST);
    const whole = wordsOf(reference);
    const longest = reference.split(/\s+/).filter((word) => displayWidth(word) > LONGEST_WORD);
    for (const columns of WIDTHS) {
      const text = await print(line, columns);
      const wide = text.split('\n').filter((one) => displayWidth(one) > columns);
      expect({ columns, wide }).toEqual({ columns, wide: [] });
      if (OF_THE_SERVER.test(line)) continue;
      const torn = [...wordsOf(text)].filter(
        (word) =>
          !(whole.has(word) || OF_NARROW.has(word)) &&
          !longest.some((long) => long.includes(word)) &&
          !isNamed(text, word),
      );
      expect({ columns, torn }).toEqual({ columns, torn: [] });
    }
  });
});

/** Whether it names a column that is hidden, in the note that says so. */
function isNamed(text: string, word: string): boolean {
  const notes = text.match(/… \d+ columns? hidden [\s\S]*?(?:shows\s+all|has\s+all)/g) ?? [];
  return notes.some((note) => note.includes(word));
}

it('tries every command there is', async () => {
  const missing = (await listCommands()).filter(
    (path) =>
      !WITHOUT_LINES.includes(path) &&
      !LINES.some((line) => line === path || line.startsWith(`${path} `)),
  );
  expect(missing).toEqual([]);
});
