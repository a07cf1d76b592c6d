import type { Style } from '../../report/table.ts';
import { commandLine } from '../../text/command-line.ts';
import type { Expansion } from './expand.ts';

/** What was written and what comes next; for a dry run the files themselves. */
export function renderExpansion(
  expansion: Expansion,
  { isDryRun, style }: { isDryRun: boolean; style: Style },
): string {
  const { migrations, isProven, unprovenReason, findings, notes } = expansion;
  if (isDryRun) {
    return migrations
      .flatMap(({ files }) => files.map(({ path, text }) => `-- ${path}\n${text}`))
      .concat(isProven ? [] : [`-- not proved: ${unprovenReason?.replaceAll('\n', '\n-- ')}`])
      .join('\n')
      .trimEnd();
  }
  const contract = migrations.find(({ isContract }) => isContract);
  return [
    ...migrations.map(
      ({ files: [up], isContract }) =>
        `created  ${up?.path}${isContract ? style.dim('  contract') : ''}`,
    ),
    `Each has a down script beside it. ${
      isProven
        ? 'All ran up, down and up again in a scratch database.'
        : `They were not tried: ${unprovenReason}.`
    }`,
    ...notes.map((note) => `note     ${note}`),
    ...findings.map(
      ({ location, code, message }) =>
        `lint     ${location.file}:${location.line}: ${code}: ${message}`,
    ),
    '',
    `Read them: they are yours now. Then:`,
    `  ${commandLine('migrate up', { expand: true })}    before the rollout${contract ? `: stops before ${contract.version}` : ''}`,
    ...(contract
      ? [`  ${commandLine('migrate up')}             after it: ${contract.version} contracts`]
      : []),
  ].join('\n');
}
