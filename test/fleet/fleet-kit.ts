import type postgres from 'postgres';
import { createDatabase, dropDatabase, newDatabaseName } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { checkJsonOutput } from '../support/json-schemas.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, type RunningCli, runCli, startCli } from '../support/run-cli.ts';

/** A project with fleets, and a database whose schemas are their members. */
export interface FleetStage {
  url: string;
  sql: postgres.Sql;
  project: TestProject;
  /** Writes the config file: the key `fleets`, and others. */
  fleets(fleets: object, others?: object): Promise<void>;
  evdb(...args: string[]): Promise<CliResult>;
  start(...args: string[]): RunningCli;
  /** Makes databases beside the one of the test, dropped with it. */
  databases(count: number): Promise<string[]>;
  /** Labels of what is applied, by schema. */
  applied(): Promise<Record<string, string>>;
}

export const test = base.extend<{ fleet: FleetStage }>({
  fleet: async ({ emptyDb: { url, sql }, project }, use) => {
    const made: string[] = [];
    const options = { cwd: project.dir, env: { EVDB_URL: url } };
    await project.migration(
      '001_people',
      'create table people (id bigint primary key);\n',
      'drop table people;\n',
    );
    await use({
      ...{ url, sql, project },
      fleets: async (fleets, others) => {
        await project.write('evdb.config.json', JSON.stringify({ fleets, ...others }));
      },
      evdb: (...args) => runCli(args, options),
      start: (...args) => startCli(args, options),
      databases: async (count) => {
        const names = Array.from({ length: count }, newDatabaseName);
        for (const name of names) {
          await createDatabase(sql, name);
          made.push(name);
        }
        return names;
      },
      applied: async () => {
        const rows = await sql<{ schema: string; labels: string }[]>`
          select target_schema as schema, string_agg(label, ' ' order by version) as labels
          from evdb.migration where state = 'applied' group by 1 order by 1`;
        return Object.fromEntries(rows.map(({ schema, labels }) => [schema, labels]));
      },
    });
    for (const name of made) await dropDatabase(sql, name);
  },
});

/** The documents of `--json`: one for each member, and the summary; each fits its schema. */
export function readDocuments({ stdout }: CliResult): {
  members: Map<string, Record<string, unknown>>;
  summary: Record<string, unknown>;
  problems: string[];
} {
  const lines = stdout.trimEnd().split('\n');
  const documents = lines.map((line) => JSON.parse(line) as { command: string; member?: string });
  const problems = documents.flatMap((one) => checkJsonOutput(one));
  const summary = documents.pop() as unknown as Record<string, unknown>;
  const members = documents.map(
    (one) => [one.member ?? '', one as unknown as Record<string, unknown>] as const,
  );
  return { members: new Map(members), summary, problems };
}
