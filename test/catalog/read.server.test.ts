import { readFileSync } from 'node:fs';
import { beforeAll, expect } from 'vitest';
import { type Catalog, createCatalog } from '../../src/catalog/catalog.ts';
import { readCatalog } from '../../src/catalog/read/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { test } from '../support/fixture.ts';
import { inspect } from '../support/sessions.ts';
import { describeCatalog } from './catalog-text.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

const script = (name: string) =>
  readFileSync(new URL(`../support/catalog-scripts/${name}.sql`, import.meta.url), 'utf8');

function replay(text: string): Catalog {
  const catalog = createCatalog();
  for (const statement of splitStatements(text)) {
    const tree = parser.parse(statement.text);
    if (tree === null) throw new Error(`does not parse: ${statement.text}`);
    replayStatement(catalog, tree, statement.text);
  }
  return catalog;
}

/** The statements up to a comment that names a newer server. */
function forServer(text: string, serverVersion: number): string {
  return serverVersion >= 180_000 ? text : (text.split('-- From PostgreSQL 18 on')[0] ?? '');
}

test.for(['tables', 'changes', 'partitions', 'objects', 'names'])(
  'replaying gives the catalog of a database that ran it: %s',
  async (name, { emptyDb }) => {
    const [{ version }] = (await emptyDb.sql`
      select current_setting('server_version_num')::int as version`) as [{ version: number }];
    const text = forServer(script(name), version);
    await emptyDb.sql.unsafe(text).simple();
    const real = await inspect(emptyDb.url, (session) => readCatalog(session));
    const namesNotNull = version >= 180_000;
    expect(describeCatalog(replay(text), { namesNotNull })).toEqual(
      describeCatalog(real, { namesNotNull }),
    );
  },
);
