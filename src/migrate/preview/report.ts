import { oneLine } from '../../report/columns.ts';
import { fence, type PipelineReport } from '../../report/pipeline.ts';
import { PLAIN, type Style } from '../../report/table.ts';
import { renderCount, renderDuration } from '../../text/units.ts';
import { wrapWords } from '../../text/wrap.ts';
import type { GateAnswer } from '../apply/gates.ts';
import { renderHeld, renderHolder } from '../apply/report.ts';
import { REPEATABLE_LABEL } from '../files/version.ts';
import { fullName } from '../plan/plan.ts';
import type { BudgetFinding, BudgetVerdict } from './budget.ts';
import type {
  BackfillImpact,
  ImpactPlan,
  ImpactTableFacts,
  StatementImpact,
  StepImpact,
} from './impact-plan.ts';
import type { RebuiltObject } from './rebuilds.ts';
import { type Effect, lockLabel, statementEffects } from './statement-effects.ts';

export interface ImpactPlanRenderOptions {
  /** Said where there is nothing to do. */
  nothing: string;
  /** Shows every statement; default: those that others feel, or that are not clear. */
  verbose: boolean;
  style: Style;
  /** Of the terminal, in columns; default: as wide as it gets. */
  width?: number | undefined;
  /** The last line; default `Nothing was changed.` */
  ending?: string | undefined;
  /** What a budget says to it. */
  verdict?: BudgetVerdict | undefined;
}

const STEP = '        ';
const EFFECT = `${STEP}  `;

/** What would run: the steps, and under each the statements with what others feel of them. */
export function renderImpactPlan(plan: ImpactPlan, options: ImpactPlanRenderOptions): string {
  const { nothing, style, ending = 'Nothing was changed.' } = options;
  if (plan.steps.length === 0) return nothing;
  const head = `Would run ${countSteps(plan.steps)} in schema ${plan.schema}, ${describeAtomicity(plan.steps)}:`;
  return [
    ...wrap(head, '', options),
    ...plan.steps.flatMap((step) => renderStep(step, plan, options)),
    ...renderHeld(plan.held).flatMap((line) => wrap(line, '', options)),
    ...renderTraceNote(plan, options).map((line) => style.dim(line)),
    ...(options.verdict ? renderVerdict(options.verdict, options) : []),
    ...renderFailedTraces(plan, options),
    ending,
  ].join('\n');
}

/** `2 migrations and 1 repeatable` */
function countSteps(steps: readonly StepImpact[]): string {
  const again = steps.filter(({ label }) => label === REPEATABLE_LABEL).length;
  const counts = [
    (steps.length > again || again === 0) && renderCount(steps.length - again, 'migration'),
    again > 0 && renderCount(again, 'repeatable'),
  ];
  return counts.filter(Boolean).join(' and ');
}

function describeAtomicity(steps: readonly StepImpact[]): string {
  const migrations = steps.filter(({ label }) => label !== REPEATABLE_LABEL);
  const each = migrations.every(({ isTransactional }) => isTransactional)
    ? 'each in a transaction of its own'
    : 'each in a transaction of its own unless it says otherwise';
  if (migrations.length === steps.length) return each;
  const shared = 'that hang together in one transaction';
  return migrations.length === 0 ? `those ${shared}` : `${each}, repeatables ${shared}`;
}

function renderStep(
  step: StepImpact,
  plan: ImpactPlan,
  options: ImpactPlanRenderOptions,
): string[] {
  const { style, verbose } = options;
  const arrow = step.direction === 'up' ? style.good('up  ') : style.warn('down');
  const mode = step.isTransactional
    ? ''
    : step.backfill
      ? `, in batches${step.isPostponed ? ', left for later' : ''}`
      : ', without a transaction';
  const { statementsDone, statementsTotal } = step;
  const done = step.isContinued
    ? `, continues at statement ${statementsDone + 1} of ${statementsDone + statementsTotal}`
    : '';
  const statements = renderCount(statementsTotal, 'statement');
  // What all of a backfill does at once no batch does.
  const isShown = (one: StatementImpact) =>
    step.backfill ? one.refusals.length > 0 : verbose || isWorthShowing(one, plan.tables);
  const shown = step.statements.filter(isShown);
  const hidden = step.backfill ? 0 : step.statements.length - shown.length;
  const unseen = step.statementsTotal - step.statements.length;
  const notes = [
    ...(hidden > 0 ? [hiddenNote(hidden, shown.length)] : []),
    ...(unseen > 0 ? [`${unseen} not examined: the file is large`] : []),
  ];
  return [
    ...renderHead(
      `  ${arrow}  `,
      fullName(step),
      `${statements}${mode}${done}${step.isContract ? ', contracts the schema' : ''}`,
      options,
    ),
    ...step.gates.flatMap((gate) => renderGate(gate, options)),
    ...(step.backfill ? [] : renderStrongest(step, options)),
    ...step.heldBy.flatMap((holder) =>
      wrap(`would now wait for ${renderHolder(holder)}`, STEP, options).map((line) =>
        style.warn(line),
      ),
    ),
    ...(step.backfill ? renderBackfill(step.backfill, options) : []),
    ...step.rebuilds.flatMap((one) => renderRebuild(one, options)),
    ...shown.flatMap((one) => renderStatement(one, step, plan.tables, options)),
    ...notes.flatMap((note) => wrap(note, STEP, options)).map((line) => style.dim(line)),
  ];
}

/** `waits for: require select … (false)` */
function renderGate(
  { text, isOpen, found }: GateAnswer,
  options: ImpactPlanRenderOptions,
): string[] {
  const { style } = options;
  const lines = wrap(`${isOpen ? 'open:' : 'waits for:'} ${text} (${found})`, STEP, options);
  return lines.map((line) => (isOpen ? style.dim(line) : style.warn(line)));
}

/** What nothing depends on is dropped and made again without a word, as `up` does. */
function renderRebuild(
  { object, dependents, refused }: RebuiltObject,
  options: ImpactPlanRenderOptions,
): string[] {
  if (dependents.length + refused.length === 0) return [];
  const isView = object.startsWith('view ');
  const change = isView ? `the columns of ${object} change` : `${object} cannot change in place`;
  const stuck = isView
    ? `the columns of ${object} cannot change like this`
    : `${object} cannot change like this`;
  const text =
    refused.length > 0
      ? `${stuck}: ${refused.join(', ')} cannot be made again`
      : `${change}: takes down and makes again ${dependents.join(', ')}`;
  return wrap(text, STEP, options).map((line) => options.style.warn(line));
}

/** In one line where that fits. */
function renderHead(
  arrow: string,
  name: string,
  facts: string,
  options: ImpactPlanRenderOptions,
): string[] {
  const { style, width = Number.POSITIVE_INFINITY } = options;
  if (STEP.length + name.length + 2 + facts.length <= width) {
    return [`${arrow}${name}  ${style.dim(facts)}`];
  }
  return [`${arrow}${name}`, ...wrap(facts, STEP, options).map((line) => style.dim(line))];
}

function renderBackfill(backfill: BackfillImpact, options: ImpactPlanRenderOptions): string[] {
  const { statement, table, key, index, rowsToWalk, rowsToChange, unknown } = backfill;
  const { batchTimeMs, batchRows } = backfill;
  const { style } = options;
  const about = (rows: number | null) =>
    rows === null ? 'an unknown number of rows' : `about ${renderCount(rows, 'row')}`;
  const limits = `${renderDuration(batchTimeMs)} each, at most ${renderCount(batchRows, 'row')}`;
  const how = index === null ? 'reading all of it: it is small' : `by the index ${index}`;
  const lines =
    unknown === null
      ? [
          `walks ${table} by ${key?.join(', ')}: ${about(rowsToWalk)}, of which ${about(rowsToChange)} ${rowsToChange === 1 ? 'changes' : 'change'}`,
          `in batches of ${limits}, ${how}`,
        ]
      : [`walks ${table} in batches of ${limits}; the rest is known only when it runs: ${unknown}`];
  return [
    ...lines.flatMap((line) => wrap(line, STEP, options)),
    ...(statement === null
      ? []
      : statement.split('\n').map((line) => style.dim(`${EFFECT}${oneLine(line)}`))),
  ];
}

function hiddenNote(hidden: number, shown: number): string {
  const which = shown === 0 ? renderCount(hidden, 'statement') : `${hidden} more`;
  return `${which} without effect on other sessions (--verbose shows all)`;
}

/** Whether others feel it more than what came before, or nobody can tell. */
function isWorthShowing(statement: StatementImpact, tables: ImpactPlan['tables']): boolean {
  const { locks, rewrites, scans, builds, changes, refusals, unknowns, trace } = statement;
  const isUsed = ({ relation }: { relation: string }) => tables[relation]?.isNew !== true;
  return (
    locks.some((lock) => lock.blocks !== '' && !lock.isHeld && isUsed(lock)) ||
    [...rewrites, ...scans, ...builds, ...changes].some(isUsed) ||
    refusals.length > 0 ||
    unknowns.length > 0 ||
    trace?.outcome === 'failed' ||
    (trace?.differences.length ?? 0) > 0
  );
}

function renderStrongest(step: StepImpact, options: ImpactPlanRenderOptions): string[] {
  const { style } = options;
  const { strongestLock, waits } = step;
  if (strongestLock === null || strongestLock.blocks === '') return [];
  const { mode, relations, blocks } = strongestLock;
  const colour = blocks === 'reads and writes' ? style.bad : style.warn;
  const text = `strongest lock: ${lockLabel(mode)} on ${listNames(relations)}, blocks ${blocks}`;
  const tries = waits.lockTimeoutsMs;
  const shortest = renderDuration(Math.min(...tries));
  const longest = renderDuration(Math.max(...tries));
  const each = shortest === longest ? shortest : `${shortest} to ${longest}`;
  const howOften =
    waits.budgetMs === null
      ? `in up to ${tries.length === 1 ? '1 try' : `${tries.length} tries`}`
      : `repeatedly for ${renderDuration(waits.budgetMs)}`;
  const wait = `waits for it ${each}, ${howOften}`;
  const limit =
    waits.statementTimeoutMs === null
      ? ''
      : `; a statement may take ${renderDuration(waits.statementTimeoutMs)}`;
  return [
    ...wrap(text, STEP, options).map((line) => colour(line)),
    ...wrap(wait + limit, STEP, options).map((line) => style.dim(line)),
  ];
}

const SHOWN_NAMES = 3;

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).join(', ');
  return names.length > SHOWN_NAMES ? `${shown} and ${names.length - SHOWN_NAMES} more` : shown;
}

function renderStatement(
  statement: StatementImpact,
  step: StepImpact,
  tables: Record<string, ImpactTableFacts>,
  options: ImpactPlanRenderOptions,
): string[] {
  const { style, width = Number.POSITIVE_INFINITY } = options;
  const place = `${step.file}:${statement.line}`;
  const sql = firstLine(statement.text);
  const whole = `${STEP}${place}  ${sql}`;
  const head =
    whole.length <= width
      ? [`${STEP}${style.dim(place)}  ${sql}`]
      : [`${STEP}${style.dim(place)}`, ...wrap(sql, EFFECT, options)];
  const effects = statementEffects(statement, tables);
  const labelWidth = Math.max(...effects.map(({ label }) => label.length), 0);
  return [...head, ...effects.flatMap((effect) => renderEffect(effect, labelWidth, options))];
}

function renderEffect(
  { label, text, tone }: Effect,
  labelWidth: number,
  { style, width = Number.POSITIVE_INFINITY }: ImpactPlanRenderOptions,
): string[] {
  const room = width - EFFECT.length - labelWidth - 2;
  const colour = tone === undefined ? (plain: string) => plain : style[tone];
  if (room < NARROWEST) {
    // one below the other
    return [
      `${EFFECT}${colour(label)}`,
      ...wrapWords(text, Math.max(NARROWEST, width - EFFECT.length - 2), 'whole').map(
        (line) => `${EFFECT}  ${line}`,
      ),
    ];
  }
  return wrapWords(text, room, 'whole').map((line, index) =>
    index === 0
      ? `${EFFECT}${colour(label.padEnd(labelWidth))}  ${line}`
      : `${EFFECT}${' '.repeat(labelWidth)}  ${line}`,
  );
}

const NARROWEST = 24;

const MAX_SHOWN_LENGTH = 200;

function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  const clean = oneLine(line.slice(0, MAX_SHOWN_LENGTH));
  return clean.length < text.length ? `${clean} …` : clean;
}

function wrap(
  text: string,
  indent: string,
  { width = Number.POSITIVE_INFINITY }: ImpactPlanRenderOptions,
): string[] {
  const room = Math.max(NARROWEST, width - indent.length - 2);
  return wrapWords(text, room, 'whole').map(
    (line, index) => `${indent}${index === 0 ? '' : '  '}${line}`,
  );
}

function renderTraceNote(
  { trace, serverVersion }: ImpactPlan,
  options: ImpactPlanRenderOptions,
): string[] {
  if (trace === null) return [];
  const where = {
    beside: 'in a scratch database beside the target, without rows',
    embedded: 'in a scratch database on the embedded PostgreSQL, without rows',
    target: 'on the target itself, and rolled back',
  }[trace.where];
  const major = (version: number) => Math.floor(version / 10000);
  const other =
    major(trace.serverVersion) === major(serverVersion)
      ? ''
      : `; that is PostgreSQL ${major(trace.serverVersion)}, the target is ${major(serverVersion)}`;
  return wrap(`Traced ${where}${other}.`, '', options);
}

/** The statements of a plan that failed where they were tried, with their files. */
export function failedTraces({ steps }: ImpactPlan): (StatementImpact & { file: string })[] {
  return steps.flatMap(({ file, statements }) =>
    statements
      .filter(({ trace }) => trace?.outcome === 'failed')
      .map((statement) => ({ ...statement, file })),
  );
}

function renderFailedTraces(plan: ImpactPlan, options: ImpactPlanRenderOptions): string[] {
  const count = failedTraces(plan).length;
  if (count === 0) return [];
  const said = `The trace of ${renderCount(count, 'statement')} failed.`;
  return wrap(said, '', options).map((line) => options.style.bad(line));
}

function renderVerdict(verdict: BudgetVerdict, options: ImpactPlanRenderOptions): string[] {
  const { style } = options;
  const { isKept, violations, unknowns, budget } = verdict;
  const line = (finding: BudgetFinding, colour: keyof Style) => {
    const { location, message, details } = finding;
    const text = `${location.file}:${location.line}  ${message} (${details.limit})`;
    return wrap(text, '  ', options).map((one) => style[colour](one));
  };
  const isUnknownBad = budget.failsOnUnknown;
  const head = isKept ? style.good('within the budget') : style.bad('over the budget');
  const open = renderCount(unknowns.length, 'thing');
  const note =
    unknowns.length === 0 ? '' : `, ${open} not known${isUnknownBad ? '' : ' and allowed'}`;
  return [
    `${head}${note}${isKept && unknowns.length === 0 ? '' : ':'}`,
    ...violations.flatMap((finding) => line(finding, 'bad')),
    ...unknowns.flatMap((finding) => line(finding, isUnknownBad ? 'bad' : 'warn')),
  ];
}

/**
 * What `judgeBudget` said of a plan, for a pipeline; each migration is a test case. The plan itself
 * goes into the comment.
 */
export function pipelineOfPlan(
  plan: ImpactPlan,
  verdict: BudgetVerdict | undefined,
): PipelineReport {
  const { steps } = plan;
  const { violations = [], unknowns = [] } = verdict ?? {};
  const nameOf = (step: StepImpact) => fullName(step);
  const checkOf = ({ location }: { location: { file: string } }) => {
    const step = steps.find((one) => one.file === location.file);
    return step ? nameOf(step) : location.file;
  };
  const planned = `${countSteps(steps)} planned`;
  const failed = failedTraces(plan).map(({ file, line, column, trace }) => ({
    ...{ code: 'trace-failed', severity: 'error' as const, objects: [] },
    message: `the trace failed: ${trace?.reason}`,
    location: { file, line, column },
  }));
  const said = [
    verdict
      ? `${planned}: ${verdict.isKept ? 'within the budget' : 'over the budget'}`
      : `${planned}, not checked against a budget`,
    ...(failed.length > 0
      ? [`the trace of ${renderCount(failed.length, 'statement')} failed`]
      : []),
  ];
  return {
    command: 'migrate plan',
    checks: [...new Set(steps.map(nameOf))].map((name) => ({ name })),
    findings: [...failed, ...violations, ...unknowns].map((finding) => ({
      ...finding,
      check: checkOf(finding),
    })),
    summary: said.join('; '),
    ...(steps.length > 0 && {
      body: fence(renderImpactPlan(plan, { nothing: '', verbose: false, style: PLAIN })),
    }),
  };
}
