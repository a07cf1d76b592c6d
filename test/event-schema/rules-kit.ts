// What tests of the business rules share: how a rule is broken, and what is told of it.

import type postgres from 'postgres';
import { only } from './event-schema-kit.ts';

/** A row of validate_business_rules(), without its words. */
interface BrokenRule {
  rule_name: string;
  violation_count: number;
  severity: string;
  sample_ids: number[] | null;
}

/** Every rule that is broken, as `[name, count, ids]`. */
export async function listBroken(sql: postgres.Sql): Promise<[string, number, number[] | null][]> {
  const rows = await sql<BrokenRule[]>`select * from validate_business_rules()`;
  return rows.map((row) => [row.rule_name, row.violation_count, row.sample_ids]);
}

/** What validate_business_rules() says about one rule; undefined where it says nothing. */
export async function readDetails(sql: postgres.Sql, rule: string): Promise<string | undefined> {
  const [row] = await sql<{ details: string }[]>`
    select details from validate_business_rules() where rule_name = ${rule}`;
  return row?.details;
}

/** Runs a statement as a restore or a replica does: no trigger and no foreign key sees them. */
export async function behindTriggers(sql: postgres.Sql, statement: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`set local session_replication_role = replica`;
    await transaction.unsafe(statement);
  });
}

/** Adds a registration that nothing counts, checks or audits, and returns its id. */
export async function smuggle(
  sql: postgres.Sql,
  user: number,
  event: number,
  status = 'confirmed',
): Promise<number> {
  return sql.begin(async (transaction) => {
    await transaction`set local session_replication_role = replica`;
    const [row] = await transaction<{ id: number }[]>`
      insert into registrations (user_id, event_id, status) values (${user}, ${event}, ${status})
      returning id`;
    return only(row).id;
  });
}
