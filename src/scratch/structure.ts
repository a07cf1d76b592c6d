import { adaptToScratch } from '../citus/model.ts';
import { codeOf, isConnectionLoss } from '../connection/connection-error.ts';
import { withAbortableSession } from '../connection/inspection.ts';
import { type ConnectionOptions, encodingStatements } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { splitStatements } from '../sql/statements.ts';
import { readStructure } from '../structure/read/structure.ts';
import { renderStructure } from '../structure/render/structure.ts';
import type { Structure, StructureKind, StructureObject } from '../structure/structure.ts';

interface CopyStructureOptions {
  /** Left out, as nothing of the ledger is migrated. */
  ledgerSchema: string;
  /** Whether it is on another server, which has other roles. */
  isEmbedded: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Makes the structure of a database again in an empty one, without its rows. What cannot be made there,
 * such as an extension that the server does not have, is left out.
 *
 * @returns a sentence for each thing that was left out
 * @throws {EvdbError} those of `readStructure` and `openSession`
 */
export async function copyStructure(
  from: Session,
  to: ConnectionOptions,
  { ledgerSchema, isEmbedded, signal }: CopyStructureOptions,
): Promise<string[]> {
  const structure = await readStructure(from, { exceptSchemas: [ledgerSchema] });
  const text = renderStructure(withoutOthers(structure, isEmbedded));
  return withAbortableSession(to, { signal }, async (session) => {
    // nobody needs it after a crash
    await session.run('set synchronous_commit = off');
    const problems: string[] = [];
    for await (const batch of batchesOf(text, session))
      problems.push(...(await runBatch(session, batch)));
    return problems;
  });
}

/** Runs what a dump says; the first statement that fails ends it. */
export async function loadStructure(session: Session, text: string): Promise<void> {
  for await (const batch of batchesOf(text, session)) await session.run(batch.join(';\n'));
  await session.run(['reset all', ...encodingStatements(session.facts)].join('; '));
}

/** So many statements go in one message: all at once would need more locks than a server has room for. */
const BATCH = 200;

async function* batchesOf(text: string, session: Session): AsyncGenerator<string[]> {
  const texts: string[] = [];
  for (const statement of splitStatements(text)) {
    const adapted = await adaptToScratch(session, statement);
    if (adapted) texts.push(adapted.text);
  }
  for (let from = 0; from < texts.length; from += BATCH) yield texts.slice(from, from + BATCH);
}

/** In one message; where something in it fails, one by one. */
async function runBatch(session: Session, texts: string[]): Promise<string[]> {
  if ((await problemOf(session, texts.join(';\n'))) === undefined) return [];
  const problems: string[] = [];
  for (const text of texts) {
    const problem = await problemOf(session, text);
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

async function problemOf(session: Session, text: string): Promise<string | undefined> {
  try {
    await session.run(text);
    return undefined;
  } catch (error) {
    if (isConnectionLoss(error) || codeOf(error) === undefined) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** They lock nothing, and need roles or servers that a scratch database has no use for. */
const USELESS: ReadonlySet<StructureKind> = new Set([
  ...(['user mapping', 'publication', 'default privileges'] as const),
]);

function withoutOthers(structure: Structure, isEmbedded: boolean): Structure {
  const objects = structure.objects.filter(({ kind }) => !USELESS.has(kind));
  return { ...structure, objects: isEmbedded ? objects.map(withoutRoles) : objects };
}

function withoutRoles(object: StructureObject): StructureObject {
  const { grants: _, ...parts } = object.parts;
  if (object.kind === 'policy') delete parts.to;
  return { ...object, parts };
}
