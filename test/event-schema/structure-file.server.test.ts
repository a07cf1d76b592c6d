import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { readStructure } from '../../src/structure/read/structure.ts';
import { renderStructure } from '../../src/structure/render/structure.ts';
import { withoutPartitions } from '../../src/structure/structure.ts';
import { test } from '../structure/structure-kit.ts';
import { connectionTo } from '../support/sessions.ts';

const file = new URL('../../migrations/structure.sql', import.meta.url);

test('migrations/structure.sql is what the migrations make, and makes the same again', async ({
  db,
  stage,
  skip,
}) => {
  const [version] =
    await db.sql`select current_setting('server_version_num')::int / 10000 as major`;
  if (version?.major !== 18) {
    return skip(
      'the file is written by PostgreSQL 18, and other majors write expressions otherwise',
    );
  }
  const session = await openSession(await connectionTo(db.url));
  try {
    const structure = withoutPartitions(await readStructure(session, { schemas: ['public'] }));
    const held = await readFile(file, 'utf8');
    expect(
      renderStructure(structure) === held,
      'migrations/structure.sql is out of date: `npm run structure` writes it anew',
    ).toBe(true);
    const again = await stage.reload(held, { schemas: ['public'] });
    expect(renderStructure(again)).toBe(held);
  } finally {
    await session.close();
  }
});
