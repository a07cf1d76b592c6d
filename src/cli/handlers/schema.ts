import { relative, resolve } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import type { StructureSource } from '../../migrate/checks/drift.ts';
import { findingsOfDrift } from '../../report/findings.ts';
import { readDatabaseStructure } from '../../structure/read/structure.ts';
import { renderStructure } from '../../structure/render/structure.ts';
import { withoutPartitions } from '../../structure/structure.ts';
import {
  checkStructureFile,
  renderStructureFile,
  writeStructureFile,
} from '../../structure/structure-file.ts';
import { sameCommand } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { embeddedDirectory, loadDirectConnection, loadMigrateOptions } from '../settings.ts';
import { tuneForParser } from '../v8-flags.ts';

export async function handleDump(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const file = flags.file as string | undefined;
  if (flags.check && file === undefined) {
    throw new EvdbError('USAGE', '--check needs the file to compare with', {
      hint: `For example: ${sameCommand('schema dump', { file: 'structure.sql', check: true })}`,
    });
  }
  const { config, connection } = await loadDirectConnection(input);
  const read = await readDatabaseStructure(connection, {
    schemas: flags.allSchemas ? undefined : [config.schema],
    exceptSchemas: [config.ledgerSchema],
    owners: flags.owners === true,
  });
  if (!flags.allSchemas && read.schemas.length === 0) throw noSchema(config.schema);
  const structure = flags.partitions === false ? withoutPartitions(read) : read;
  const sql = renderStructure(structure);
  if (file === undefined) {
    // What goes to a file is run again; what goes to a terminal is looked at.
    const isVerbatim = flags.json === true || !context.isOutTerminal;
    return { data: { ...structure, sql }, text: sql.trimEnd(), isVerbatim };
  }
  const path = resolve(context.cwd, file);
  const shown = relative(context.cwd, path);
  const { objects } = structure;
  if (!flags.check) {
    const written = writeStructureFile(path, sql);
    const state = written ? ('written' as const) : ('unchanged' as const);
    const result = { file: shown, state, objects: objects.length };
    return { data: result, text: renderStructureFile(result, style) };
  }
  const { state, diff } = await checkStructureFile(path, sql);
  const result = { file: shown, state, objects: objects.length, ...(diff && { diff }) };
  return {
    data: result,
    text: renderStructureFile(result, style),
    exitCode: state === 'same' ? EXIT.done : EXIT.found,
  };
}

function noSchema(schema: string): EvdbError {
  return new EvdbError('TARGET_SCHEMA', `the database has no schema "${schema}"`, {
    hint: 'Name another one with --schema, or take everything: --all-schemas.',
  });
}

export async function handleDiff(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const from = parseSource(flags.from, 'migrations', context.cwd);
  const to = parseSource(flags.to, 'live', context.cwd);
  await tuneForParser();
  const { compareStructures } = await import('../../migrate/checks/drift.ts');
  const { describeDifferences } = await import('../../structure/diff.ts');
  const { renderDifferences } = await import('../../migrate/checks/report.ts');
  const { config, options } = await loadMigrateOptions(input);
  const comparison = await withStop(context, { said: 'dropping the scratch database' }, (signal) =>
    compareStructures({
      ...options,
      ...{ from, to, signal },
      ...structureSettings(input, config),
    }),
  );
  const lines = describeDifferences(comparison.differences);
  return {
    data: {
      ...{ from: nameOf(from), to: nameOf(to), ...comparison },
      findings: findingsOfDrift(comparison.differences),
    },
    text: renderDifferences(comparison, { from: nameOf(from), to: nameOf(to), lines, style }),
    exitCode: lines.length > 0 ? EXIT.found : EXIT.done,
  };
}

/** What commands that compare structures hand to the library beside their sources. */
export function structureSettings({ flags, context }: CommandInput, config: Config) {
  return {
    allSchemas: flags.allSchemas === true,
    owners: flags.owners === true,
    partitions: flags.partitions === true,
    embeddedDirectory: embeddedDirectory(config),
    onScratch: (message: string) => context.err(`${message}\n`),
  };
}

function parseSource(
  text: unknown,
  otherwise: 'live' | 'migrations',
  cwd: string,
): StructureSource {
  if (text === undefined) return { kind: otherwise };
  if (text === 'live' || text === 'migrations') return { kind: text };
  const [, path] = /^file:(.+)$/s.exec(String(text)) ?? [];
  if (path !== undefined) return { kind: 'file', path: relative(cwd, resolve(cwd, path)) };
  throw new EvdbError('USAGE', `${JSON.stringify(text)} is not a source`, {
    hint: 'Sources are live, migrations and file:<path>.',
  });
}

function nameOf(source: StructureSource): string {
  switch (source.kind) {
    case 'live':
      return 'the database';
    case 'file':
      return source.path;
    default:
      return 'the migrations';
  }
}
