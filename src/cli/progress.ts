import type { Ora } from 'ora';
import { type BlockedSessions, describeBlocker } from '../connection/blockers.ts';
import {
  renderBackfillProgress,
  renderPassed,
  renderRest,
} from '../migrate/apply/backfill-report.ts';
import {
  renderDropped,
  renderHolder,
  renderLeftOut,
  renderNotice,
  renderStepDone,
  renderStepName,
  renderWarning,
} from '../migrate/apply/report.ts';
import type {
  IndexBuildProgress,
  MigrationProgress,
  OnMigrationProgress,
} from '../migrate/progress.ts';
import type { Style } from '../report/table.ts';
import { renderCount, renderDuration, renderNumber } from '../text/units.ts';
import { type CliContext, loadStyle } from './context.ts';
import type { CommandInput } from './define.ts';
import { ROLLING_BACK_MIGRATIONS, withStop } from './exit-codes.ts';
import { printable } from './output.ts';
import { createJsonProgress } from './progress-json.ts';

/** A step that takes longer gets a spinner; loading one costs more than most steps take. */
const SPINNER_AFTER_MS = 300;

export interface ProgressPrinter {
  onProgress: OnMigrationProgress;
  /** Takes the spinner away; call it whatever happens. */
  stop(): void;
}

/** Lists finished steps on stdout, and tells of waiting and warnings on stderr. */
async function createProgress(
  { context, style, flags }: CommandInput,
  command: string,
): Promise<ProgressPrinter> {
  const printResult = (progress: MigrationProgress) => {
    if (flags.json) return;
    if (progress.kind === 'dropped') context.out(`${renderDropped(progress.objects, style)}\n`);
    if (progress.kind === 'step-done') context.out(`${renderStepDone(progress, style)}\n`);
  };
  if (flags.progress === 'json') return createJsonProgress({ context, command, printResult });
  const errStyle = await loadStyle(context.errColour);
  const spinner = createSpinner(context);
  const last = { phase: '', blockers: '' };
  const isDue = createClock(TELL_EVERY_MS);
  const say = (text: string) => {
    spinner.hide();
    context.note(`${text}\n`);
    spinner.show();
  };
  return {
    stop: () => spinner.stop(),
    onProgress: (progress) => {
      if (progress.kind === 'step-started') spinner.start(stepText(progress));
      else if (progress.kind === 'index-build' && context.isInteractive)
        spinner.tell(describeBuild(progress));
      else if (progress.kind === 'statement') {
        spinner.tell('');
        if (flags.verbose) say(errStyle.dim(describeStatement(progress)));
      } else if (progress.kind === 'backfill') {
        const text = renderBackfillProgress(progress);
        if (context.isInteractive) spinner.tell(text);
        else if (isDue()) say(`${renderStepName(progress.step)}: ${text}`);
      } else if (progress.kind === 'backfill-rest') {
        const text = renderRest(progress.reasons);
        if (context.isInteractive) spinner.tell(text);
        else if (progress.isNew) say(`${renderStepName(progress.step)} ${text}`);
      } else if (progress.kind === 'notice') {
        say(renderNotice(progress.notice, errStyle));
      } else if (progress.kind === 'dropped') {
        printResult(progress);
      } else if (progress.kind === 'step-done') {
        spinner.stop();
        printResult(progress);
      } else {
        const text = describe(progress, errStyle, last);
        if (text !== undefined) say(text);
      }
    },
  };
}

/** What work that takes the runner's lock is given. */
export interface RunUse {
  signal: AbortSignal;
  onProgress: OnMigrationProgress;
}

/** Runs work that takes the runner's lock: Ctrl-C winds it up, and what it tells is printed. */
export async function withProgress<T>(
  input: CommandInput,
  command: string,
  work: (use: RunUse) => Promise<T>,
): Promise<T> {
  const { onProgress, stop } = await createProgress(input, command);
  try {
    return await withStop(input.context, ROLLING_BACK_MIGRATIONS, (signal) =>
      work({ signal, onProgress }),
    );
  } finally {
    stop();
  }
}

/** Without a terminal, one line per batch would hide other messages. */
const TELL_EVERY_MS = 10_000;

/** Returns true at most once in this time, and not before it has passed once. */
function createClock(everyMs: number): () => boolean {
  let lastMs = Date.now();
  return () => {
    if (Date.now() - lastMs < everyMs) return false;
    lastMs = Date.now();
    return true;
  };
}

function stepText(progress: Extract<MigrationProgress, { kind: 'step-started' }>): string {
  const verb = progress.direction === 'up' ? 'applying' : 'rolling back';
  return `${verb} ${renderStepName(progress.step)} (${progress.index + 1} of ${progress.total})`;
}

/** @param last remembers what was told last, because each phase and each blocker is told once */
function describe(
  progress: MigrationProgress,
  style: Style,
  last: { phase: string; blockers: string },
): string | undefined {
  switch (progress.kind) {
    case 'warning':
      return renderWarning(progress.warning, style);
    case 'lock-wait': {
      const who = progress.holders.map(describeBlocker).join('; ') || 'another runner';
      // The first word comes before anybody has waited.
      const since = progress.waitedMs < 1000 ? '' : ` (${renderDuration(progress.waitedMs)})`;
      return `waiting for ${who}${since}`;
    }
    case 'rebuilt':
      return `${renderStepName(progress.step)}: made again, because it depends on what changes: ${progress.objects.join(', ')}`;
    case 'notices-left-out':
      return renderLeftOut(progress);
    case 'resumed':
      return `${renderStepName(progress.step)} continues where it stopped: ${progress.statementsDone} of its ${progress.statementsTotal} statements ${progress.statementsDone === 1 ? 'is' : 'are'} done`;
    case 'backfill-resumed':
      return `${renderStepName(progress.step)} continues where it stopped: ${renderPassed(progress)} are done`;
    case 'backfill-workers':
      return `${renderStepName(progress.step)}: ${progress.workers} workers, over ${progress.connections} connections`;
    case 'backfill-unknown':
      return `${renderStepName(progress.step)} cannot see ${progress.figures.join(', ')}: unknown to this role`;
    case 'in-the-way':
      return progress.holders
        .map(
          (holder) =>
            `${renderStepName(progress.step)} will have to wait for ${renderHolder(holder)}`,
        )
        .join('\n');
    case 'blocked': {
      const who = progress.blockers.map(({ pid }) => pid).join(' ');
      if (progress.victims === null && last.blockers === who) return undefined;
      last.blockers = who;
      return `${renderStepName(progress.step)} waits for ${progress.blockers.map(describeBlocker).join('; ')}${describeVictims(progress.victims)}`;
    }
    case 'retry':
      return `${renderStepName(progress.step)} could not acquire its locks (${describeTry(progress)}), trying again within ${renderDuration(progress.pauseMs)}`;
    case 'index-build':
      if (last.phase === progress.phase) return undefined;
      last.phase = progress.phase;
      return `${renderStepName(progress.step)} is building an index: ${describeBuild(progress)}`;
    default:
      return undefined;
  }
}

function describeStatement(told: Extract<MigrationProgress, { kind: 'statement' }>): string {
  return `  ${renderStepName(told.step)}:${told.line}  ${told.command}  ${renderDuration(told.durationMs)}`;
}

/** `building index: scanning table, 45 % of 2900 blocks`, `waiting for old snapshots, 0 of 1, pid 42`. */
function describeBuild({ phase, unit, done, total, lockerPid }: IndexBuildProgress): string {
  const who = lockerPid === null ? '' : `, now for pid ${lockerPid}`;
  if (unit === null) return `${phase}${who}`;
  if (unit === 'transactions')
    return `${phase}, ${renderNumber(done)} of ${renderNumber(total)} done${who}`;
  return `${phase}, ${Math.floor((100 * done) / total)} % of ${renderNumber(total)} ${unit}`;
}

function describeVictims(victims: BlockedSessions | null): string {
  if (victims === null) return '';
  const { count, longestMs } = victims;
  const who = renderCount(count, 'session waits', 'sessions wait');
  return `; ${who} behind it, for ${renderDuration(longestMs)} at most`;
}

function describeTry({
  attempt,
  attempts,
  waitedMs,
}: Extract<MigrationProgress, { kind: 'retry' }>): string {
  const which = attempts === null ? `try ${attempt}` : `try ${attempt} of ${attempts}`;
  return `${which}, ${renderDuration(waitedMs)} so far`;
}

interface Spinner {
  start(text: string): void;
  /** Says how far the step is; '' takes that away. */
  tell(detail: string): void;
  stop(): void;
  hide(): void;
  show(): void;
}

function createSpinner({ isInteractive }: CliContext): Spinner {
  let timer: NodeJS.Timeout | undefined;
  let clock: NodeJS.Timeout | undefined;
  let spinner: Ora | undefined;
  let text = '';
  let detail = '';
  let isRunning = false;
  const begin = async () => {
    const { default: ora } = await import('ora');
    if (!isRunning) return;
    const shown = ora({ text: printable(text), discardStdin: false }).start();
    const startedAt = Date.now();
    clock = setInterval(() => {
      const since = renderDuration(Math.floor((Date.now() - startedAt) / 1000) * 1000);
      shown.text = printable([`${text} ${since}`, detail].filter(Boolean).join(': '));
    }, 1000);
    spinner = shown;
  };
  return {
    start(nextText) {
      text = nextText;
      detail = '';
      isRunning = true;
      if (isInteractive) timer = setTimeout(() => void begin(), SPINNER_AFTER_MS);
    },
    tell(nextDetail) {
      detail = nextDetail;
    },
    stop() {
      isRunning = false;
      clearTimeout(timer);
      clearInterval(clock);
      spinner?.stop();
      spinner = undefined;
    },
    hide: () => void spinner?.stop(),
    show: () => void spinner?.start(),
  };
}
