import { basename, extname, relative, resolve } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { readOverview } from '../../overview/overview.ts';
import { renderOverviewPage } from '../../overview/page.ts';
import { renderOverview } from '../../overview/report.ts';
import { writeStructureFile } from '../../structure/structure-file.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderBytes } from '../../text/units.ts';
import { fitText } from '../../text/wrap.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { loadDirectConnection, migrateSettings } from '../settings.ts';

export async function handleReport(input: CommandInput): Promise<CommandResult> {
  const { context, flags, style } = input;
  const out = flags.out as string | undefined;
  requirePageName(out);
  const { config, connection } = await loadDirectConnection(input);
  const { schema, ledgerSchema, doctor } = config;
  const overview = await readOverview(connection, {
    ...{ schema, ledgerSchema },
    timeoutMs: flags.checkTimeout as number | undefined,
    auditRetentionDays: flags.auditDays as number | undefined,
    doctor: {
      ignore: doctor.ignore,
      readMigrationCounts: async () => {
        const { readStatus } = await import('../../migrate/plan/status.ts');
        return readStatus({ ...migrateSettings(config, context), connection });
      },
    },
  });
  const { columns: width } = context.outSize();
  const lines = renderOverview(overview, { style, width, full: flags.full === true });
  if (out === undefined) {
    const write = `${commandLine('report')} --out report.html`;
    const more = style.dim(fitText(`\`${write}\` writes all of it as a page`, width));
    return { data: { ...overview, file: null }, text: `${lines}\n\n${more}` };
  }
  const path = resolve(context.cwd, out);
  const page = renderOverviewPage(overview);
  writeStructureFile(path, page);
  const file = relative(context.cwd, path);
  const size = style.dim(renderBytes(Buffer.byteLength(page)));
  return {
    data: { ...overview, file },
    text: `${lines}\n\n${style.good('wrote')}  ${file}  ${size}`,
  };
}

/** A page in a file that is named otherwise would be opened by the wrong program. */
function requirePageName(out: string | undefined): void {
  const extension = extname(out ?? '');
  if (extension === '' || /^\.html?$/i.test(extension)) return;
  throw new EvdbError('USAGE', `report writes a page of HTML, and ${out} ends with ${extension}`, {
    hint: `Name it \`--out ${basename(out ?? '', extension)}.html\`; a browser prints it as a PDF. --json gives the same as data.`,
  });
}
