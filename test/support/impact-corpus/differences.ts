import postgres from 'postgres';
import { readCatalog } from '../../../src/catalog/read/catalog.ts';
import { impactOf } from '../../../src/impact/impact-of.ts';
import { loadSqlParser } from '../../../src/sql/parser.ts';
import { differencesFrom } from '../lock-facts/impact-differences.ts';
import { observe } from '../lock-facts/observe.ts';
import { inspect } from '../sessions.ts';

/**
 * Where impact and server differ, by statement. Of what the server refuses only the refusal counts, and
 * that only with `withRefusals`, as most refusals are nothing that a catalog could tell.
 */
export async function differencesOn(
  url: string,
  statements: readonly string[],
  { withRefusals = false }: { withRefusals?: boolean } = {},
): Promise<{ found: Record<string, string[]>; judged: number }> {
  const parser = await loadSqlParser();
  const notices: string[] = [];
  const sql = postgres(url, { max: 1, onnotice: ({ message = '' }) => notices.push(message) });
  const { catalog, serverVersion } = await inspect(url, async (session) => ({
    catalog: await readCatalog(session, { parser }),
    serverVersion: session.facts.serverVersion,
  }));
  const before = new Set([...catalog.relations.keys(), ...catalog.indexes.keys()]);
  await sql.unsafe("set timezone = 'UTC'");
  const found: Record<string, string[]> = {};
  let judged = 0;
  for (const text of statements) {
    const fact = { database: 'plain', statement: text, results: [] } as const;
    const seen = await observe(sql, { ...fact, results: [] }, notices);
    if (seen.error !== undefined && !withRefusals) continue;
    const tree = parser.parse(text);
    if (tree === null) continue;
    judged++;
    const impact = impactOf({ tree, text, catalog, serverVersion, timeZoneIsUtc: true });
    const said = impact.refusals.flatMap(({ sqlstate }) => sqlstate ?? []);
    const code = seen.error?.slice(0, 5);
    const differences =
      code === undefined
        ? [
            ...said.map((one) => `is not refused: ${one}`),
            ...differencesFrom(impact, seen, { catalog, before, held: new Map() }),
          ]
        : said.includes(code)
          ? []
          : [`is refused: ${seen.error}`];
    if (differences.length > 0) found[text] = differences;
  }
  await sql.end();
  return { found, judged };
}
