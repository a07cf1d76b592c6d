import { relative, resolve } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { renderStructureFile } from '../../report/structure.ts';
import { readDatabaseStructure } from '../../structure/read-database.ts';
import { renderStructure } from '../../structure/render-structure.ts';
import { checkStructureFile, writeStructureFile } from '../../structure/structure-file.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { loadDirectConnection } from '../settings.ts';

export async function handleDump(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const file = flags.file as string | undefined;
  if (flags.check && file === undefined) {
    throw new EvdbError('USAGE', '--check needs the file to compare with', {
      hint: 'For example: evdb schema dump --file structure.sql --check',
    });
  }
  const { config, connection } = await loadDirectConnection(input);
  const structure = await readDatabaseStructure(connection, {
    schemas: flags.allSchemas ? undefined : [config.schema],
    exceptSchemas: [config.ledgerSchema],
    owners: flags.owners === true,
  });
  const sql = renderStructure(structure);
  if (file === undefined) return { data: { ...structure, sql }, text: sql.trimEnd() };
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
