import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AdoptableTool } from '../../adopt/foreign.ts';
import {
  holdsOwnMigrations,
  type InitOptions,
  type InitProjectResult,
  initProject,
} from '../../migrate/files/init.ts';
import { commandLine } from '../../text/command-line.ts';
import { ADOPTABLE_TOOLS } from '../commands/migrate.ts';
import type { CliContext } from '../context.ts';
import type { CommandInput, CommandResult, Flags } from '../define.ts';
import { loadPrompts, type Prompts } from '../prompts.ts';

type Start = 'empty' | 'eventSchema' | AdoptableTool;

interface Answers {
  start: Start;
  npmScripts: boolean;
  pipeline: InitOptions['pipeline'];
}

/** Sets a project up as flags say; what they leave open is asked on a terminal. */
export async function handleInit({ context, flags }: CommandInput): Promise<CommandResult> {
  const asksNothing = flags.yes === true || flags.json === true;
  const prompts = asksNothing ? undefined : await loadPrompts(context);
  const answers = prompts ? await ask(prompts, context, flags) : answersOf(flags);
  const { start, npmScripts, pipeline } = answers;
  const result = initProject(context.cwd, {
    empty: start !== 'eventSchema',
    npmScripts,
    pipeline,
    configFormat: flags.configFormat as InitOptions['configFormat'],
  });
  return {
    data: result,
    text: describe(result, answers, {
      configFormat: flags.configFormat as string | undefined,
      hasSql: readdirSync(join(context.cwd, 'migrations')).some((name) => name.endsWith('.sql')),
    }),
  };
}

/** Without a terminal the event schema is what comes along. */
function answersOf(flags: Flags): Answers {
  const start = startOf(flags) ?? 'eventSchema';
  return { start, npmScripts: flags.npmScripts === true, pipeline: pipelineOf(flags) };
}

function startOf(flags: Flags): Start | undefined {
  if (flags.from !== undefined) return flags.from as AdoptableTool;
  if (flags.empty === true) return 'empty';
  return flags.eventSchema === true ? 'eventSchema' : undefined;
}

const pipelineOf = ({ ci }: Flags) => (ci === 'none' ? undefined : (ci as Answers['pipeline']));

async function ask(prompts: Prompts, { cwd }: CliContext, flags: Flags): Promise<Answers> {
  const has = (path: string) => existsSync(join(cwd, path));
  const start = startOf(flags) ?? (await askStart(prompts, holdsOwnMigrations(cwd)));
  const npmScripts =
    flags.npmScripts === true ||
    (has('package.json') && (await prompts.confirm('Add npm scripts to package.json?', true)));
  if (flags.ci !== undefined) return { start, npmScripts, pipeline: pipelineOf(flags) };
  const pipeline = await prompts.select(
    'Write a pipeline that checks the migrations?',
    [
      { value: 'none', label: 'No' },
      { value: 'github', label: 'GitHub Actions' },
      { value: 'gitlab', label: 'GitLab CI' },
    ],
    has('.github') ? 'github' : has('.gitlab-ci.yml') ? 'gitlab' : 'none',
  );
  return { start, npmScripts, pipeline: pipelineOf({ ci: pipeline }) };
}

async function askStart(prompts: Prompts, hasMigrations: boolean): Promise<Start> {
  const start = await prompts.select('What do you start with?', [
    hasMigrations
      ? { value: 'empty', label: 'The migrations that are here', hint: 'they stay as they are' }
      : { value: 'empty', label: 'An empty folder', hint: 'for migrations of your own' },
    ...(hasMigrations
      ? []
      : [
          {
            value: 'eventSchema',
            label: 'The event schema',
            hint: 'users, events, registrations and an audit log',
          },
        ]),
    { value: 'other', label: 'The migrations of another tool', hint: 'dbmate, Flyway, Prisma, …' },
  ]);
  if (start !== 'other') return start as Start;
  const tools = ADOPTABLE_TOOLS.map((tool) => ({ value: tool, label: LABELS[tool] ?? tool }));
  return (await prompts.select('Which tool?', tools)) as AdoptableTool;
}

const LABELS: Record<string, string> = {
  pairs: 'none: pairs of .up.sql and .down.sql',
};

function describe(
  result: InitProjectResult,
  answers: Answers,
  { configFormat, hasSql }: { configFormat: string | undefined; hasSql: boolean },
): string {
  const { created, changed, kept, eventSchema } = result;
  return [
    ...created.map((path) => `created  ${path}`),
    ...changed.map((path) => `changed  ${path} (${CHANGES[path] ?? 'scripts that call evdb'})`),
    ...kept.map((path) => `kept     ${path} (already there)`),
    ...notFollowed(kept, configFormat),
    ...created
      .filter(isNotRead)
      .map((path) => `${path} needs Node 22.18 or later: this one is ${process.version}`),
    ...(eventSchema === 'notCopied'
      ? [
          `The event schema was not copied: migrations/ holds ${hasSql ? 'migrations of its own' : 'what seems to be migrations of another tool'}`,
        ]
      : []),
    ...created
      .filter((path) => path.startsWith('.gitlab/'))
      .map((path) => `To use ${path}, include it in .gitlab-ci.yml: include: [{ local: ${path} }]`),
    `Next: ${next(result, answers, hasSql)}`,
  ].join('\n');
}

const CHANGES: Record<string, string> = { '.gitignore': '.env is ignored' };

/** A second config file would hide the first one, so the format that was asked for may come to nothing. */
function notFollowed(kept: readonly string[], format: string | undefined): string[] {
  const found = kept.find((path) => /^(evdb\.config\.|\.evdbrc$)/.test(path));
  if (format === undefined || found === undefined) return [];
  return [`No config file in ${format} was written: ${found} is there already`];
}

/** Node says from 22.10 on whether it takes types away. */
function isNotRead(path: string): boolean {
  const { typescript } = process.features as { typescript?: unknown };
  return /^evdb\.config\.[mc]?ts$/.test(path) && !typescript;
}

function next({ eventSchema }: InitProjectResult, { start }: Answers, hasSql: boolean): string {
  if (start !== 'empty' && start !== 'eventSchema') {
    return commandLine('migrate adopt', { from: start, 'dry-run': true });
  }
  if (eventSchema === 'copied') return commandLine('migrate up', { embedded: true });
  if (eventSchema === 'notCopied')
    return hasSql ? commandLine('migrate validate') : commandLine('migrate adopt', { help: true });
  return commandLine('migrate create', {}, { args: ['first table'] });
}
