import type { Argument, Command, Option } from 'commander';
import { DOCTOR_CHECK_NAMES } from '../../doctor/doctor.ts';
import { LINT_RULES } from '../../lint/rules.ts';
import type { CliContext } from '../context.ts';
import { buildProgram } from '../run.ts';

/** A word that can stand there, with a text about it. */
export type Candidate = readonly [value: string, about?: string | undefined];

/** What an option or an argument takes: words that are known, or what the project is asked for. */
export type Values =
  | readonly Candidate[]
  | 'file'
  | 'folder'
  | 'version'
  | 'environment'
  | 'nothing';

/** An option as completion knows it. */
export interface DescribedOption {
  long: string;
  short?: string;
  about: string;
  /** Absent where it takes no value. */
  values?: Values;
  /** Whether several may stand in one value, separated by commas. */
  isList?: boolean;
  /** Whether it may be given again. */
  isRepeated?: boolean;
}

/** A command as completion knows it; evdb itself is one too. */
export interface DescribedCommand {
  name: string;
  about: string;
  commands: DescribedCommand[];
  options: DescribedOption[];
  /** What each argument takes; the last one counts for all that follow where it may be repeated. */
  args: Values[];
  isLastRepeated?: boolean;
}

const words = (text: string): Candidate[] => text.split(' ').map((word) => [word]);
const rules = (): Candidate[] => LINT_RULES.map(({ name, summary }) => [name, summary]);
const checks = (): Candidate[] => DOCTOR_CHECK_NAMES.map(({ name, group }) => [name, group]);
const groups = (): Candidate[] =>
  [...new Set(DOCTOR_CHECK_NAMES.map(({ group }) => group))].map((group) => [
    group,
    'all of the group',
  ]);
const sources = () => words('live migrations file:');

/**
 * What is taken where no choices are declared, by the syntax of the option or the argument as a whole,
 * else of its value. Made once, by the build.
 */
const TAKEN: Record<string, () => Values> = {
  '<path>': () => 'file',
  '--migrations-dir <path>': () => 'folder',
  '--seeds-dir <path>': () => 'folder',
  '--from-dir <path>': () => 'folder',
  '--log-dir <path>': () => 'folder',
  '--write-to <path>': () => 'folder',
  '[files...]': () => 'file',
  '--to <file>': () => 'file',
  '--out <file>': () => 'file',
  '<version>': () => 'version',
  '[version]': () => 'version',
  '<versions...>': () => 'version',
  '--env <name>': () => 'environment',
  '--rule <name>': rules,
  '<rule>': rules,
  '--only <name>': () => [...groups(), ...checks()],
  '<check[:object]>': checks,
  '--fail-on <status>': () => words('warning unknown'),
  '--server-version <major>': () => words('14 15 16 17 18'),
  '<format=file>': () => words('sarif= github= gitlab= junit= markdown='),
  '--by <list>': () => words('day table operation actor'),
  '<source>': sources,
  '<limits>': () => words('rewrite-rows= scan-rows= access-exclusive= block-writes= unknown=fail'),
};

/** Those that take a list with commas. */
const LISTS = new Set(['--rule', '--only', '--fail-on', '--by', '--budget']);
const REPEATED = new Set(['--rule', '--only', '--fail-on', '--ignore', '--report', '--schema']);

/** Values of which nothing can be known beforehand. */
const UNKNOWN = new Set([
  ...['<url>', '<duration>', '<n>', '<text>', '<time>', '<cursor>', '<id>', '<ref>', '<words>'],
  ...['--schema <name>', '--table <name>', '--actor <name>', '<name>', '<event>', '<user...>'],
  ...['<words...>', '[rule...]', '<times>', '<name=value>', '<build>', '<expression>', '<type>'],
  ...[
    '<label=value>',
    '<members>',
    '<check>',
    '<fleet>',
    '<member>',
    '<database>',
    '<when>',
    '<column>',
    '<columns>',
    '<table>',
    '<references>',
    '<condition>',
  ],
]);

/**
 * The whole command line as data, from the program itself: the build writes it into a file, because a
 * shell asks at each Tab and building the program takes longer than that may.
 */
export function describeCommands(): DescribedCommand {
  const silent = { out() {}, err() {} } as unknown as CliContext;
  return describe(buildProgram(silent, { exitCode: 0, command: '' }));
}

function describe(command: Command): DescribedCommand {
  const args = command.registeredArguments;
  return {
    name: command.name(),
    about: command.summary(),
    commands: command.commands.map(describe),
    options: command.options.filter(({ hidden }) => !hidden).map(describeOption),
    args: args.map((one) => valuesOf(syntaxOf(one), one.argChoices)),
    ...(args.at(-1)?.variadic && { isLastRepeated: true }),
  };
}

function describeOption(option: Option): DescribedOption {
  const { flags, short, description: about, argChoices } = option;
  const long = option.long ?? '';
  // A word behind one whose value may be left out is an argument as well.
  const takesValue = option.required;
  return {
    long,
    ...(short && { short }),
    about,
    ...(takesValue && { values: valuesOf(flags.replace(/^-\w, /, ''), argChoices) }),
    ...(LISTS.has(long) && takesValue && { isList: true }),
    ...(REPEATED.has(long) && { isRepeated: true }),
  };
}

function syntaxOf(argument: Argument): string {
  const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${word}>` : `[${word}]`;
}

function valuesOf(syntax: string, choices: readonly string[] | undefined): Values {
  if (choices) return choices.map((choice): Candidate => [choice]);
  const value = syntax.replace(/^--\S+ /, '');
  return (TAKEN[syntax] ?? TAKEN[value])?.() ?? 'nothing';
}

/** Whether somebody has said what an option or an argument without choices takes; a test asks this. */
export function isDescribed(syntax: string): boolean {
  const value = syntax.replace(/^--\S+ /, '');
  return [syntax, value].some((one) => Object.hasOwn(TAKEN, one) || UNKNOWN.has(one));
}
