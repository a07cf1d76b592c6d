import { relative, resolve } from 'node:path';
import { Option } from 'commander';
import type { Config } from '../../config/resolve.ts';
import type { DiagramColumns } from '../../diagram/diagram.ts';
import type { DiagramFormat } from '../../diagram/draw.ts';
import { EvdbError } from '../../errors.ts';
import type { StructureSource } from '../../migrate/checks/drift.ts';
import { sameCommand } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import type { CommandGroup, CommandInput, CommandResult, CommandSpec } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { migrateOptions, repeated } from '../options.ts';
import {
  embeddedDirectory,
  loadConfig,
  loadDirectConnection,
  loadMigrateOptions,
  migrateSettings,
} from '../settings.ts';

const scopeOptions = () => [
  new Option('--all-schemas', 'everything in the database, not only the target schema').conflicts(
    'schema',
  ),
  new Option('--owners', 'owners too'),
];

const DUMP: CommandSpec = {
  name: 'dump',
  summary: 'write the structure of the database as SQL',
  description:
    'Writes what the database consists of as SQL that makes it again in an empty database. The text depends on the structure alone, so that it can be kept in version control. What extensions brought and the ledger are left out. With --check nothing is written: it exits 3 where the file differs.',
  options: () => [
    new Option('--file <path>', 'write it there (default: print it)'),
    new Option('--no-partitions', 'leave out partitions, which come and go with time'),
    new Option('--check', 'compare the file with the database, and exit 3 where it differs'),
    ...scopeOptions(),
    ...migrateOptions(),
  ],
  examples: [
    'schema dump --file structure.sql',
    'schema dump --file structure.sql --check',
    'schema dump --all-schemas',
  ],
  run: handleDump,
};

const DIFF: CommandSpec = {
  name: 'diff',
  summary: 'compare the structures of database, migrations and dump',
  description:
    'Says what differs from one structure to another. A source is `live` (the database), `migrations` (all of the folder, run in a scratch database that is dropped afterwards) or `file:<path>` (a dump). Exits 3 where something differs.',
  fleet: { writes: false, shows: 'line' },
  options: () => [
    new Option('--from <source>', 'live, migrations or file:<path> (default: migrations)'),
    new Option('--to <source>', 'live, migrations or file:<path> (default: live)'),
    new Option('--partitions', 'compare also which partitions there are'),
    ...scopeOptions(),
    ...migrateOptions(),
  ],
  examples: ['schema diff', 'schema diff --from file:structure.sql --to live'],
  run: handleDiff,
};

const DIAGRAM: CommandSpec = {
  name: 'diagram',
  summary: 'draw the tables and how they reference each other',
  description:
    'Draws tables, keys and how many rows may reference how many: as Mermaid for Markdown, as SVG, or as a page to search. Partitions count for their table. It reads the database, or the migrations, run in a scratch database, or a dump, which needs no server.',
  options: () => [
    new Option(
      '--format <name>',
      'mermaid, svg or html (default: by the ending of --out, else mermaid)',
    ).choices(['mermaid', 'svg', 'html']),
    new Option('--out <path>', 'write it there (default: print it)'),
    repeated(
      '--tables <name>',
      'only these tables; * matches any text; several: again, or with commas',
    ),
    new Option(
      '--columns <which>',
      'all columns, those of keys, or none (default: all, of more than 25 tables keys)',
    ).choices(['all', 'keys', 'none']),
    new Option('--from <source>', 'live, migrations or file:<path> (default: live)'),
    new Option('--all-schemas', 'all tables of the database, grouped by schema').conflicts(
      'schema',
    ),
    ...migrateOptions(),
  ],
  examples: [
    'schema diagram',
    'schema diagram --out schema.svg --all-schemas',
    'schema diagram --out schema.html --tables "orders,customers,invoice_*"',
    'schema diagram --from file:structure.sql',
  ],
  run: handleDiagram,
};

export const SCHEMA_COMMANDS: CommandGroup = {
  name: 'schema',
  summary: 'write down the structure of a database, compare and draw it',
  examples: ['schema dump --file structure.sql', 'schema diff', 'schema diagram --out schema.svg'],
  commands: [DUMP, DIFF, DIAGRAM],
};

async function handleDump(input: CommandInput): Promise<CommandResult> {
  const { flags, context } = input;
  const file = flags.file as string | undefined;
  if (flags.check && file === undefined) {
    throw new EvdbError('USAGE', '--check needs the file to compare with', {
      hint: `For example: ${sameCommand('schema dump', { file: 'structure.sql', check: true })}`,
    });
  }
  const { readDatabaseStructure } = await import('../../structure/read/structure.ts');
  const { renderStructure } = await import('../../structure/render/structure.ts');
  const { withoutPartitions } = await import('../../structure/structure.ts');
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
  return giveStructureFile(input, { file, sql, objects: structure.objects.length });
}

async function giveStructureFile(
  { flags, context, style }: CommandInput,
  { file, sql, objects }: { file: string; sql: string; objects: number },
): Promise<CommandResult> {
  const { checkStructureFile, renderStructureFile, writeStructureFile } = await import(
    '../../structure/structure-file.ts'
  );
  const path = resolve(context.cwd, file);
  const shown = relative(context.cwd, path);
  if (!flags.check) {
    const written = writeStructureFile(path, sql);
    const state = written ? ('written' as const) : ('unchanged' as const);
    const result = { file: shown, state, objects };
    return { data: result, text: renderStructureFile(result, style) };
  }
  const { state, diff } = await checkStructureFile(path, sql);
  const result = { file: shown, state, objects, ...(diff && { diff }) };
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

async function handleDiff(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const from = parseSource(flags.from, 'migrations', context.cwd);
  const to = parseSource(flags.to, 'live', context.cwd);
  const { compareStructures } = await import('../../migrate/checks/drift.ts');
  const { describeDifferences } = await import('../../structure/diff.ts');
  const { findingsOfDrift, renderDifferences } = await import('../../migrate/checks/report.ts');
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

async function handleDiagram(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const { drawDiagram } = await import('../../diagram/draw.ts');
  const source = parseSource(flags.from, 'live', context.cwd);
  const { config, options } =
    source.kind === 'file' ? await withoutDatabase(input) : await loadMigrateOptions(input);
  const out = flags.out as string | undefined;
  const drawn = await withStop(context, { said: 'dropping the scratch database' }, (signal) =>
    drawDiagram({
      ...options,
      ...{ source, signal },
      ...structureSettings(input, config),
      format: (flags.format ?? formatOf(out)) as DiagramFormat | undefined,
      schemas: flags.allSchemas ? undefined : [config.schema],
      exceptSchemas: [config.ledgerSchema],
      tables: namesOf(flags.tables),
      columns: flags.columns as DiagramColumns | undefined,
    }),
  );
  if (out === undefined) {
    const isVerbatim = flags.json === true || !context.isOutTerminal;
    return { data: drawn, text: drawn.text.trimEnd(), isVerbatim };
  }
  const { writeStructureFile } = await import('../../structure/structure-file.ts');
  const { text, ...diagram } = drawn;
  const path = resolve(context.cwd, out);
  const file = relative(context.cwd, path);
  const state = writeStructureFile(path, text) ? ('written' as const) : ('unchanged' as const);
  const count = `${renderCount(diagram.tables.length, 'table')}, ${renderCount(diagram.references.length, 'foreign key')}`;
  return {
    data: { ...diagram, file, state },
    text:
      state === 'written'
        ? `${style.good('wrote')}  ${file}  ${style.dim(count)}`
        : `${file} is up to date: nothing to do`,
  };
}

async function withoutDatabase(input: CommandInput) {
  const config = await loadConfig(input);
  return { config, options: migrateSettings(config, input.context) };
}

/** By the ending of the file that it is written to. */
function formatOf(out: string | undefined): DiagramFormat | undefined {
  const [ending] = /\.(svg|html)$/i.exec(out ?? '') ?? [];
  return ending === undefined ? undefined : (ending.slice(1).toLowerCase() as DiagramFormat);
}

function namesOf(flag: unknown): string[] | undefined {
  if (!Array.isArray(flag)) return undefined;
  return flag.flatMap((names) =>
    String(names)
      .split(',')
      .map((name) => name.trim()),
  );
}

/** What commands that compare structures hand to the library beside their sources. */
export function structureSettings({ flags, context }: CommandInput, config: Config) {
  return {
    allSchemas: flags.allSchemas === true,
    owners: flags.owners === true,
    partitions: flags.partitions === true,
    embeddedDirectory: embeddedDirectory(config),
    onScratch: (message: string) => context.note(`${message}\n`),
  };
}

function parseSource(
  text: unknown,
  otherwise: 'live' | 'migrations',
  cwd: string,
): Exclude<StructureSource, { kind: 'applied' }> {
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
