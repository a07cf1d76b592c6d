import { relative, resolve } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import { checkStructureFile, writeStructureFile } from '../../structure/structure-file.ts';
import { sameCommand } from '../../text/command-line.ts';
import {
  type GeneratedTypes,
  type GenerateTypesOptions,
  generateTypes,
  type TypesSource,
} from '../../typescript/generate.ts';
import type { TypesStyle } from '../../typescript/render.ts';
import {
  findingsOfTypes,
  pipelineOfTypes,
  renderTypesFile,
  type TypesFileResult,
} from '../../typescript/report.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { isForPipeline } from '../pipeline.ts';
import {
  embeddedDirectory,
  findConnection,
  loadConfig,
  loadDirectConnection,
  migrateSettings,
} from '../settings.ts';

export async function handleTypes(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const out = flags.out as string | undefined;
  if (flags.check && out === undefined) {
    throw new EvdbError('USAGE', '--check needs the file to compare with', {
      hint: `For example: ${sameCommand('types', { out: 'src/db.ts', check: true })}`,
    });
  }
  if (out === undefined && (isForPipeline(String(flags.format)) || flags.report !== undefined)) {
    throw new EvdbError('USAGE', 'only a check of a file can be shown to a pipeline', {
      hint: `For example: ${sameCommand('types', { out: 'src/db.ts', check: true })}`,
    });
  }
  const types = await makeTypes(input);
  const { code, ...facts } = types;
  if (out === undefined) {
    return {
      data: types,
      text: code.trimEnd(),
      isVerbatim: flags.json === true || !context.isOutTerminal,
    };
  }
  const path = resolve(context.cwd, out);
  const file = relative(context.cwd, path);
  const found = flags.check
    ? await checkFile(path, types)
    : { state: writeStructureFile(path, code) ? ('written' as const) : ('unchanged' as const) };
  const result: TypesFileResult = { ...facts, file, ...found };
  const findings = findingsOfTypes(result);
  return {
    data: { ...result, findings },
    text: renderTypesFile(result, style),
    pipeline: async () => pipelineOfTypes(result),
    exitCode: findings.length > 0 ? EXIT.found : EXIT.done,
  };
}

async function checkFile(path: string, { code, source }: GeneratedTypes) {
  const title = source === 'live' ? 'the database' : 'the migrations';
  const { state, diff } = await checkStructureFile(path, code, title);
  return { state, ...(diff !== undefined && { diff }) };
}

async function makeTypes(input: CommandInput): Promise<GeneratedTypes> {
  const { flags, context } = input;
  const given = flags.schema as unknown as string[] | undefined;
  // The configuration knows one schema: the one that the migrations are for.
  const single = { ...input, flags: { ...flags, schema: given?.[0] } };
  const config = await loadConfig(single);
  return withStop(context, { said: 'dropping the scratch database' }, (signal) =>
    makeFrom(single, config, {
      ...migrateSettings(config, context),
      signal,
      schemas: [...new Set(given ?? [config.schema])],
      style: flags.style as TypesStyle | undefined,
      embeddedDirectory: embeddedDirectory(config),
      onScratch: (message) => context.note(`${message}\n`),
    }),
  );
}

/**
 * From the database that is configured, else from that of the project's embedded server where it
 * runs, else from the migrations. Nobody chose that server, and where it was started for a scratch
 * database alone, its own is empty: then the migrations say more.
 */
async function makeFrom(
  input: CommandInput,
  config: Config,
  options: GenerateTypesOptions,
): Promise<GeneratedTypes> {
  const { flags, context } = input;
  const source = flags.from as TypesSource | undefined;
  const used = config.migrationConnection ?? config.connection;
  const fromMigrations = (reason: string) => {
    context.note(`${reason}: the types are those of the migrations\n`);
    return generateTypes({ ...options, source: 'migrations' });
  };
  if (source === 'migrations') {
    const connection = used.kind === 'server' ? used.options : undefined;
    return generateTypes({ ...options, source, connection });
  }
  if (source === 'live' || (used.kind === 'embedded' && !used.implicit)) {
    const { connection } = await loadDirectConnection(input);
    return generateTypes({ ...options, source: 'live', connection });
  }
  const { connection } = await findConnection(config, context);
  if (connection === undefined) {
    return fromMigrations('no server is configured, and no embedded one runs');
  }
  try {
    const types = await generateTypes({ ...options, source: 'live', connection });
    const isEmpty = Object.values(types.counts).every((count) => count === 0);
    if (used.kind === 'server' || !isEmpty) return types;
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'CONNECTION_REFUSED') throw error;
    return fromMigrations(`warning  ${error.message}`);
  }
  return fromMigrations('no server is configured, and the database of the embedded one is empty');
}
