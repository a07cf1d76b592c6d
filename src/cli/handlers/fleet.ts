import { EvdbError } from '../../errors.ts';
import { compareMembers, type MemberStanding, standingOf } from '../../fleet/matrix.ts';
import { type MemberStructure, readMemberStructure } from '../../fleet/member-structure.ts';
import type { FleetMember } from '../../fleet/members.ts';
import { renderMatrix, renderMembers } from '../../fleet/report.ts';
import { runFleet } from '../../fleet/run.ts';
import { planWaves } from '../../fleet/waves.ts';
import { withFilesRead } from '../../migrate/files/read-once.ts';
import { readStatus } from '../../migrate/plan/status.ts';
import { renderCount, renderDuration } from '../../text/units.ts';
import { renderSuggestion } from '../../text/words.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult, Flags } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { type LoadedFleet, loadFleet } from '../fleet-members.ts';
import { embeddedDirectory, environmentName, migrateSettings } from '../settings.ts';

const onlyOf = ({ only }: Flags): string[] => (Array.isArray(only) ? only.map(String) : []);

export async function handleFleetList(input: CommandInput): Promise<CommandResult> {
  const fleet = await loadFleet(input, input.args[0] ?? '');
  const selected = await fleet.readMembers(onlyOf(input.flags));
  const members = selected.map(({ url: _, ...shown }) => shown);
  const table = await loadTable(input.context);
  return {
    data: { fleet: fleet.name, members },
    text: renderMembers(members, { style: input.style, table }),
  };
}

export async function handleFleetStatus(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style, args } = input;
  const fleet = await loadFleet(input, args[0] ?? '');
  const members = await fleet.readMembers(onlyOf(flags));
  const standings = new Map<string, MemberStanding>();
  const structures = new Map<string, MemberStructure>();
  const comparesStructures = flags.drift === true;
  let done = 0;
  const result = await withStop(context, {}, (signal) =>
    withFilesRead(() =>
      runFleet(
        {
          waves: planWaves(members, {}),
          concurrency: (flags.concurrency as number | undefined) ?? fleet.settings.concurrency,
          memberTimeoutMs:
            (flags.memberTimeout as number | undefined) ?? fleet.settings.memberTimeoutMs,
          signal,
          onEnd: () => {
            done += 1;
            context.errLine(`${fleet.name}: ${done} of ${members.length} read`);
          },
        },
        async (member, { keeper, signal: memberSignal }) => {
          const use = { keeper, signal: memberSignal, comparesStructures };
          const { standing, structure } = await readMember(input, fleet, member, use);
          standings.set(member.name, standing);
          // One of each is enough to say how they differ.
          if (structure && !structures.has(structure.fingerprint))
            structures.set(structure.fingerprint, structure);
          return undefined;
        },
      ),
    ),
  ).finally(() => context.errLine(''));
  const ordered = members.flatMap(({ name }) => standings.get(name) ?? []);
  const failed = result.members.filter(({ state }) => state !== 'done');
  const matrix = compareMembers(ordered, failed, structures);
  const isFound = flags.check === true && !matrix.isUniform;
  return {
    data: { fleet: fleet.name, ...matrix },
    text: renderMatrix(matrix, { fleet: fleet.name, style, table: await loadTable(context) }),
    exitCode:
      result.stopped?.by === 'interrupt'
        ? EXIT.interrupted
        : failed.length > 0
          ? EXIT.failed
          : isFound
            ? EXIT.found
            : EXIT.done,
  };
}

async function readMember(
  { context }: CommandInput,
  fleet: LoadedFleet,
  member: FleetMember,
  use: {
    keeper: Parameters<LoadedFleet['configOf']>[1];
    signal: AbortSignal;
    comparesStructures: boolean;
  },
) {
  const { signal } = use;
  const config = await fleet.configOf(member, use.keeper);
  const used = config.migrationConnection ?? config.connection;
  if (used.kind !== 'server') throw new Error('a member is on no server');
  const settings = migrateSettings(config, context);
  const status = await readStatus({
    ...settings,
    connection: used.options,
    mayBeEmpty: true,
    signal,
  });
  const structure = use.comparesStructures
    ? await readMemberStructure(used.options, { schema: config.schema, signal })
    : undefined;
  return { standing: standingOf(member, status, structure), structure };
}

export async function handleFleetAdd(input: CommandInput): Promise<CommandResult> {
  const { addTenant } = await import('../../fleet/tenants.ts');
  const { flags, args, context } = input;
  const [name = '', member = ''] = args;
  const fleet = await loadFleet(input, name);
  const template = (flags.template as string | undefined) ?? fleet.settings.template;
  const isDatabase =
    flags.kind === 'database' || (flags.kind === undefined && template !== undefined);
  const kind = isDatabase ? 'database' : 'schema';
  const config = await fleet.configOf({ name: member, [kind]: member, labels: {} });
  const added = await withStop(context, { said: 'dropping what was made' }, (signal) =>
    addTenant({
      ...{
        kind,
        config,
        signal,
        env: context.env,
        scriptDirectory: embeddedDirectory(fleet.config),
      },
      ...(isDatabase && { template }),
    }),
  );
  const from = {
    migrations: '',
    script: ', by one script for all of them',
    template: `, copied from ${template}`,
  }[added.from];
  const what = renderCount(added.migrations, 'migration');
  const why = added.reason === undefined ? '' : `\none by one, because ${added.reason}`;
  return {
    data: { fleet: name, member, ...added },
    text: `made the ${kind} ${member} with ${what}${from}, in ${renderDuration(added.durationMs)}${why}`,
  };
}

export async function handleFleetRemove(input: CommandInput): Promise<CommandResult> {
  const { removeTenant } = await import('../../fleet/tenants.ts');
  const { flags, args } = input;
  const [name = '', member = ''] = args;
  const fleet = await loadFleet(input, name);
  const listed = flags.kind === undefined ? await findMember(fleet, member) : undefined;
  const chosen = listed ?? { name: member, [String(flags.kind)]: member, labels: {} };
  const config = await fleet.configOf(chosen);
  if (config.isProtected) {
    throw new EvdbError(
      'PROTECTED_ENVIRONMENT',
      `${member} is not dropped: ${environmentName(config)} is protected`,
      {
        hint: 'Nothing was changed. To drop it anyway, remove `protected` from the config file first.',
      },
    );
  }
  const kind = chosen.schema === undefined ? 'database' : 'schema';
  const removed = await removeTenant({ kind, config, confirm: flags.confirm === true });
  return {
    data: { fleet: name, member, kind, ...removed },
    text: removed.dropped
      ? `dropped the ${kind} ${kind === 'schema' ? removed.schema : removed.database}`
      : `there is no such ${kind}: nothing was dropped`,
  };
}

async function findMember(fleet: LoadedFleet, name: string): Promise<FleetMember> {
  const members = await fleet.readMembers();
  const found = members.find((one) => one.name === name);
  if (found) return found;
  const known = members.map((one) => one.name);
  throw new EvdbError(
    'USAGE',
    `the fleet "${fleet.name}" has no member "${name}"${renderSuggestion(name, known)}`,
    { hint: 'Where it is not listed any more, say what it is: --kind schema, or --kind database.' },
  );
}
