import { EvdbError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { FleetMember } from '../fleet/members.ts';
import { digestOfRun, type FleetRecord, openFleetRecord } from '../fleet/record.ts';
import { renderFleetSummary } from '../fleet/report.ts';
import {
  type FleetResult,
  type MemberOutcome,
  type MemberUse,
  type MemberVerdict,
  runFleet,
} from '../fleet/run.ts';
import { checkFleetWave, parseWaveCheck } from '../fleet/wave-check.ts';
import { countOf, planWaves, type Wave } from '../fleet/waves.ts';
import { withFilesRead } from '../migrate/files/read-once.ts';
import type { PipelineReport } from '../report/pipeline.ts';
import { sameCommand, withCommandFlags } from '../text/command-line.ts';
import { maskUrl } from '../text/harmless.ts';
import { loadStyle } from './context.ts';
import type { CommandInput, CommandResult, CommandSpec, Flags } from './define.ts';
import { EXIT, exitCodeFor, withStop } from './exit-codes.ts';
import { type LoadedFleet, loadFleet } from './fleet-members.ts';
import { createFleetOutput, type FleetOutput, type MemberOutput } from './fleet-output.ts';
import { renderError, toJson } from './output.ts';
import { isForPipeline } from './pipeline.ts';
import { embeddedDirectory } from './settings.ts';

/** What a run with `--fleet` ends with, behind a document for each member. */
export interface FleetSummary {
  fleet: string;
  members: MemberOutcome[];
  /** Why members were not begun; absent where all were. */
  stopped?: FleetResult['stopped'];
  counts: Record<MemberOutcome['state'], number>;
  durationMs: number;
}

/**
 * Runs the ordinary handler of a command for each member of a fleet, with that member's settings, and
 * collects what it gives.
 */
export async function runForFleet(
  spec: CommandSpec,
  input: CommandInput,
  command: string,
): Promise<CommandResult> {
  const { labels, checks } = splitOnly(spec, input.flags);
  refuseWatch(input.flags);
  const fleet = await loadFleet(input, String(input.flags.fleet));
  const members = await fleet.readMembers(labels);
  const waves = planWaves(members, wavePlan(input.flags, fleet));
  const record = spec.fleet?.writes ? openRecord(input, fleet, command) : undefined;
  const output = createFleetOutput(input, fleet.name);
  const given = { ...input, flags: { ...input.flags, only: checks } };
  const run: Run = {
    spec,
    command,
    input: given,
    fleet,
    total: members.length,
    output,
    record,
    pipelines: [],
  };
  const result = await withFilesRead(() => runWaves(run, waves));
  const isComplete = result.members.every(
    ({ state }) => !['failed', 'interrupted', 'notBegun'].includes(state),
  );
  record?.close(isComplete);
  return summarize(run, result, isComplete);
}

interface Run {
  spec: CommandSpec;
  command: string;
  input: CommandInput;
  fleet: LoadedFleet;
  /** How many members were selected. */
  total: number;
  output: FleetOutput;
  record: FleetRecord | undefined;
  /** Filled only where a format is asked for. */
  pipelines: { member: string; report: PipelineReport }[];
}

/** Of `doctor`, what has no `=` names a check. */
function splitOnly(
  { name }: CommandSpec,
  { only }: Flags,
): { labels: string[]; checks: Flags[string] } {
  const given = Array.isArray(only) ? only.map(String) : [];
  if (name !== 'doctor') return { labels: given, checks: undefined };
  const checks = given.filter((text) => !text.includes('='));
  return {
    labels: given.filter((text) => text.includes('=')),
    checks: (checks.length === 0 ? undefined : checks) as Flags[string],
  };
}

function refuseWatch({ watch }: Flags): void {
  if (watch === undefined) return;
  throw new EvdbError('USAGE', '--watch and --fleet cannot be used together', {
    hint: 'Watch one member: leave out --fleet, and name its database or schema.',
  });
}

function wavePlan(flags: Flags, { settings }: LoadedFleet) {
  return {
    canary: (flags.canary as string | undefined) ?? settings.canary,
    waveSize: (flags.waveSize as string | undefined) ?? settings.waveSize,
  };
}

/** How many members may fail: any number for what only reads, none for what changes something. */
function failureBudgetOf({ spec, input: { flags }, fleet, total }: Run): number {
  if (flags.keepGoing) return Number.POSITIVE_INFINITY;
  if (flags.stopOnFailure) return 0;
  const text = (flags.failureBudget as string | undefined) ?? fleet.settings.failureBudget;
  if (spec.fleet?.writes !== true) return Number.POSITIVE_INFINITY;
  return text === undefined ? 0 : countOf(text, total, '--failure-budget');
}

async function runWaves(run: Run, waves: readonly Wave[]): Promise<FleetResult> {
  const { input, fleet, output, record, spec } = run;
  const { flags, context } = input;
  const { settings } = fleet;
  const writes = spec.fleet?.writes === true;
  const running = new Set<string>();
  const state = { done: 0, total: run.total, failed: 0, running };
  const tell = () => output.tell(state);
  const failureBudget = failureBudgetOf(run);
  try {
    return await withStop(context, { said: 'no other member begins' }, (signal) =>
      runFleet(
        {
          waves,
          failureBudget,
          signal,
          concurrency: (flags.concurrency as number | undefined) ?? settings.concurrency,
          memberTimeoutMs: (flags.memberTimeout as number | undefined) ?? settings.memberTimeoutMs,
          ...(writes && {
            wavePauseMs: (flags.wavePause as number | undefined) ?? settings.wavePauseMs,
            checkWave: waveCheckOf(run, signal),
          }),
          isDone: record?.isDone,
          onWave: (wave, count) => {
            if (count > 1) context.note(`${renderWave(wave, count)}\n`);
          },
          onStart: ({ name }) => {
            running.add(name);
            tell();
          },
          onEnd: (outcome, member) => {
            running.delete(member.name);
            state.done += 1;
            if (outcome.state === 'failed') state.failed += 1;
            record?.note(outcome, member);
            tell();
          },
        },
        (member, use) => runMember(run, member, use),
      ),
    );
  } finally {
    context.errLine('');
  }
}

/** What is asked after each wave, one after the other; refused before the first wave where it is no check. */
function waveCheckOf({ input: { flags, context }, fleet }: Run, signal: AbortSignal) {
  const { waveCheck = fleet.settings.waveCheck ?? [] } = flags as { waveCheck?: string[] };
  const checks = [waveCheck].flat();
  if (checks.length === 0) return undefined;
  for (const check of checks) parseWaveCheck(check);
  const { env, cwd } = context;
  const onOutput = (text: string) => context.note(text);
  return async (wave: Wave) => {
    for (const check of checks) {
      const reason = await checkFleetWave(wave, {
        ...{ check, signal, env, cwd, onOutput },
        ...{ fleet: fleet.name, configOf: (member) => fleet.configOf(member) },
      });
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}

function renderWave({ number, isCanary, members }: Wave, count: number): string {
  const what = isCanary ? 'canary group' : `wave ${number} of ${count}`;
  const names = members.slice(0, 3).map(({ name }) => name);
  const more = members.length > 3 ? ` and ${members.length - 3} more` : '';
  return `${what}: ${names.join(', ')}${more}`;
}

/** Runs the command for one member; an error of its own is its outcome, and told at once. */
async function runMember(run: Run, member: FleetMember, use: MemberUse): Promise<MemberVerdict> {
  const { fleet, output, input } = run;
  const printed = output.open(member);
  const startedAt = performance.now();
  try {
    const result = await withCommandFlags(
      ({ path }) => flagsForMember(path, member, fleet.name),
      () => untilEnded(use.signal, printed, () => callHandler(run, member, { use, printed })),
    );
    const exitCode = result.exitCode ?? EXIT.done;
    await giveMember(run, member, { result, printed, durationMs: performance.now() - startedAt });
    return { state: stateOf(exitCode), exitCode };
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code === 'CONFIRM_REQUIRED') throw error;
    const told =
      use.signal.aborted && error.code === 'INTERRUPTED' ? reasonOf(use.signal, error) : error;
    const exitCode = exitCodeFor(told.code);
    printed.finish('');
    printed.context.err(`${renderError(told, await loadStyle(input.context.errColour))}\n`);
    giveLine(run, member, exitCode, errorData(told));
    if (wantsPipelines(input.flags)) {
      const { failureReport } = await import('../report/pipeline.ts');
      run.pipelines.push({ member: member.name, report: failureReport(run.command, told) });
    }
    return { state: told.code === 'INTERRUPTED' ? 'interrupted' : 'failed', exitCode, error: told };
  }
}

/** One that took too long was interrupted for that. */
function reasonOf({ reason }: AbortSignal, error: EvdbError): EvdbError {
  return reason instanceof EvdbError && reason.code !== 'INTERRUPTED' ? reason : error;
}

function stateOf(exitCode: number): MemberVerdict['state'] {
  if (exitCode === EXIT.done) return 'done';
  if (exitCode === EXIT.interrupted) return 'interrupted';
  return exitCode === EXIT.found ? 'found' : 'failed';
}

async function callHandler(
  { spec, input, fleet }: Run,
  member: FleetMember,
  { use, printed }: { use: MemberUse; printed: MemberOutput },
): Promise<CommandResult> {
  const config = await fleet.configOf(member, use.keeper);
  for (const warning of config.warnings) {
    if (!fleet.config.warnings.includes(warning)) printed.context.note(`warning  ${warning}\n`);
  }
  // Some commands look at all schemas unless they are given one.
  const flags =
    member.schema === undefined ? input.flags : { ...input.flags, schema: member.schema };
  return spec.run({ ...input, flags, config, context: printed.context });
}

/**
 * Lets the work wind up where the run ends; one that does not listen is left behind, and what it runs is
 * cancelled with its sessions.
 */
async function untilEnded<T>(
  signal: AbortSignal,
  printed: MemberOutput,
  work: () => Promise<T>,
): Promise<T> {
  let onAbort: (() => void) | undefined;
  const isLeft = new Promise<never>((_, reject) => {
    onAbort = () => {
      if (!printed.interrupt()) reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  isLeft.catch(() => undefined);
  try {
    return await Promise.race([work(), isLeft]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

/** Commands that are printed concern the member alone. */
function flagsForMember(path: string, { name, schema, url }: FleetMember, fleet: string) {
  if (TAKES_FLEET.test(path)) return { fleet, only: `name=${name}` };
  return {
    ...(schema !== undefined && { schema }),
    ...(url !== undefined && { url: maskUrl(url) }),
  };
}

const TAKES_FLEET =
  /^(migrate (up|plan|status|validate)|doctor|stats (?!diff|snapshot|update|advise)\S+|schema diff|rules check|audit cleanup|seed|backfill status)$/;

async function giveMember(
  run: Run,
  member: FleetMember,
  given: { result: CommandResult; printed: MemberOutput; durationMs: number },
): Promise<void> {
  const { result, printed } = given;
  const { exitCode = EXIT.done, text, data, pipeline } = result;
  const isShort = run.spec.fleet?.shows === 'line' && exitCode === EXIT.done;
  printed.finish(isShort ? (text.trimEnd().split('\n').at(-1) ?? '') : text);
  giveLine(run, member, exitCode, data);
  if (!wantsPipelines(run.input.flags)) return;
  const report = (await pipeline?.()) ?? plainReport(run.command, exitCode, text);
  run.pipelines.push({ member: member.name, report });
}

function giveLine({ input, command }: Run, { name }: FleetMember, exitCode: number, data: object) {
  if (!input.flags.json) return;
  const line = { member: name, ...data };
  input.context.outVerbatim(toJson({ command, exitCode, data: line, isLine: true }));
}

function errorData({ code, message, hint, details }: EvdbError) {
  return { error: { code, message, hint, details } };
}

function wantsPipelines({ format, report }: Flags): boolean {
  return isForPipeline(format as string | undefined) || report !== undefined;
}

/** Of a command that has no report of its own: one check, which fails where the command does. */
function plainReport(command: string, exitCode: number, text: string): PipelineReport {
  const check = command;
  const message = text.trimEnd().split('\n').at(-1) ?? '';
  const finding = { check, code: 'found', severity: 'error' as const, message, objects: [] };
  return {
    command,
    checks: [{ name: check }],
    findings: exitCode === EXIT.done ? [] : [finding],
    summary: message,
  };
}

function summarize(run: Run, result: FleetResult, isComplete: boolean): CommandResult {
  const { fleet, input, command, output } = run;
  const { members, stopped, durationMs } = result;
  const counts = { done: 0, found: 0, failed: 0, interrupted: 0, doneBefore: 0, notBegun: 0 };
  for (const { state } of members) counts[state] += 1;
  const data: FleetSummary = {
    ...{ fleet: fleet.name, members, counts, durationMs },
    ...(stopped && { stopped }),
  };
  const resume = run.record && !isComplete ? sameCommand(command, { resume: true }) : undefined;
  const exitCode = exitCodeOf(members, stopped);
  return {
    data,
    exitCode,
    isStream: input.flags.json === true,
    text: renderFleetSummary(
      { ...data, stopped, hidden: output.renderHidden(), resume },
      input.style,
    ),
    pipeline: async () => joinPipelines(run, data),
  };
}

/** What the members that did not end well agree on, else 1. */
function exitCodeOf(members: readonly MemberOutcome[], stopped: FleetResult['stopped']): number {
  if (stopped?.by === 'interrupt') return EXIT.interrupted;
  const failed = members.filter(({ state }) => state === 'failed' || state === 'interrupted');
  const codes = new Set(failed.map(({ exitCode }) => exitCode ?? EXIT.failed));
  if (codes.size > 0) return codes.size === 1 ? ([...codes][0] as number) : EXIT.failed;
  const isFound = stopped !== undefined || members.some(({ state }) => state === 'found');
  return isFound ? EXIT.found : EXIT.done;
}

/** One report: every check and finding says whose it is. */
function joinPipelines({ command, pipelines, fleet }: Run, summary: FleetSummary): PipelineReport {
  const named = (member: string, text: string) => `[${member}] ${text}`;
  const { counts } = summary;
  const notBegun = summary.members.filter(({ state }) => state === 'notBegun');
  const total = summary.members.length;
  return {
    command,
    checks: [
      ...pipelines.flatMap(({ member, report }) =>
        report.checks.map((check) => ({ ...check, name: named(member, check.name) })),
      ),
      ...notBegun.map(({ member }) => ({
        name: named(member, command),
        skipped: summary.stopped?.reason ?? 'not begun',
      })),
    ],
    findings: pipelines.flatMap(({ member, report }) =>
      report.findings.map((finding) => ({
        ...(finding as Finding & { check: string }),
        check: named(member, finding.check),
        message: named(member, finding.message),
      })),
    ),
    summary: `fleet ${fleet.name}: ${counts.done + counts.doneBefore} of ${total} members are fine, ${counts.found} with findings, ${counts.failed} failed`,
  };
}

/** What has to be the same for a run to be continued. */
const SAME = ['to', 'steps', 'expand', 'outOfOrder', 'wait', 'days', 'dryRun', 'set', 'env', 'url'];

function openRecord(input: CommandInput, { name, config }: LoadedFleet, command: string) {
  const { flags, args } = input;
  const directories = [config.migrationsDir, config.seedsDir];
  const digest = digestOfRun({ args, flags: SAME.map((flag) => flags[flag]) }, directories);
  const run = { fleet: name, command, digest };
  return openFleetRecord(embeddedDirectory(config), run, flags.resume === true);
}
