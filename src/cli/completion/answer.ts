import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Candidate, DescribedCommand, DescribedOption, Values } from './describe.ts';
import { type GivenOptions, listEnvironments, listVersions } from './project-values.ts';

/** What the scripts of the shells know, as in the protocol of Go's Cobra, whose numbers these are. */
const DIRECTIVE = { noSpace: 2, noFiles: 4, folders: 16, keepOrder: 32, default: 0 } as const;

/** What a shell is told. */
export interface Answer {
  candidates: readonly Candidate[];
  /** The sum of what it is to do with them. */
  directive: number;
}

/** Where the shell stands. */
export interface AskedFrom {
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Answers a shell that completes a word, on stdout, with one candidate a line and a directive at the
 * end. Reads a few files and never asks a database; whatever goes wrong, there are no candidates.
 *
 * @param words all behind `evdb`, as they are typed; the last one is to be completed
 */
export function answerShell(words: readonly string[], from: AskedFrom): void {
  let answer: Answer = { candidates: [], directive: DIRECTIVE.noFiles };
  try {
    const file = join(import.meta.dirname, '../completion/commands.json');
    const program = JSON.parse(readFileSync(file, 'utf8')) as DescribedCommand;
    answer = complete(words, program, from);
  } catch {
    // Nobody can read an error here.
  }
  try {
    // Making `process.stdout` takes a few milliseconds.
    writeSync(STDOUT, renderAnswer(answer));
  } catch {
    // The shell may have lost interest.
  }
}

const STDOUT = 1;

function renderAnswer({ candidates, directive }: Answer): string {
  const lines = candidates.map(([value, about]) => (about ? `${value}\t${about}` : value));
  return [...lines, `:${directive}`, ''].join('\n');
}

/**
 * Finds what can stand in the place of the last word.
 *
 * @param typed all behind `evdb`; quotes may be in it, and `npx evdb` gives the name once more
 */
export function complete(
  typed: readonly string[],
  program: DescribedCommand,
  from: AskedFrom,
): Answer {
  const words = typed.map(withoutQuotes);
  if (words[0] === program.name && words.length > 1) words.shift();
  const current = words.pop() ?? '';
  const line = readLine(words, program);
  if (line === undefined) return nothing();
  if (line.pending) return completeValue(current, line.pending, line, from);
  if (line.isBehindDashes) return completeArgument(current, line, from);
  const [, long, value] = /^(--[^=]+)=(.*)$/s.exec(current) ?? [];
  if (long !== undefined && value !== undefined) {
    const option = line.command.options.find((one) => one.long === long);
    return option?.values ? completeValue(value, option, line, from) : nothing();
  }
  if (current.startsWith('-')) return completeOption(current, line);
  if (line.command.commands.length > 0) return completeCommand(current, line);
  const answer = completeArgument(current, line, from);
  const isEmpty = answer.candidates.length === 0 && answer.directive === DIRECTIVE.noFiles;
  return isEmpty && current === '' && !line.isHelp ? completeOption('--', line) : answer;
}

/** What stands in front of the word. */
interface Line {
  command: DescribedCommand;
  /** How many arguments there are. */
  args: number;
  /** With their values; `true` for one without. */
  given: Map<string, string | true>;
  /** The option whose value comes next. */
  pending: DescribedOption | undefined;
  isBehindDashes: boolean;
  /** Whether only the name of a command is wanted. */
  isHelp: boolean;
}

/** @returns undefined where nothing can be known of such a line */
function readLine(words: readonly string[], program: DescribedCommand): Line | undefined {
  const line: Line = {
    command: program,
    args: 0,
    given: new Map(),
    pending: undefined,
    isBehindDashes: false,
    isHelp: false,
  };
  for (const word of words) {
    const { command, pending } = line;
    const isOption = word.startsWith('-') && word !== '-';
    if (pending) {
      line.given.set(pending.long, word);
      line.pending = undefined;
    } else if (line.isBehindDashes || (!isOption && command.commands.length === 0)) {
      line.args += 1;
    } else if (word === '--') {
      line.isBehindDashes = true;
    } else if (isOption) {
      const [name = '', value] = word.split(/=(.*)/s);
      const option = command.options.find(({ long, short }) => long === name || short === name);
      if (option) line.given.set(option.long, value ?? true);
      if (option?.values && value === undefined) line.pending = option;
    } else if (word === 'help' && !line.isHelp) {
      line.isHelp = true;
    } else {
      const child = command.commands.find(({ name }) => name === word);
      if (!child) return undefined;
      line.command = child;
    }
  }
  return line;
}

const nothing = (): Answer => ({ candidates: [], directive: DIRECTIVE.noFiles });

function completeCommand(current: string, { command, isHelp }: Line): Answer {
  const names = command.commands.map(({ name, about }): Candidate => [name, about]);
  const help: Candidate = ['help', 'display help for a command'];
  return choose(current, isHelp ? names : [...names, help]);
}

function completeOption(current: string, { command, given, isHelp }: Line): Answer {
  if (isHelp) return nothing();
  const isLeft = (option: DescribedOption) => !given.has(option.long) || option.isRepeated;
  const names = command.options.filter(isLeft).map(({ long, about }): Candidate => [long, about]);
  return choose(current, [...names, ['--help', 'display help for command']]);
}

function completeArgument(current: string, line: Line, from: AskedFrom): Answer {
  const { args, isLastRepeated } = line.command;
  const values = args[line.args] ?? (isLastRepeated ? args.at(-1) : undefined);
  if (line.isHelp || values === undefined) return nothing();
  return completeFrom(current, values, line, from);
}

function completeValue(
  current: string,
  option: DescribedOption,
  line: Line,
  from: AskedFrom,
): Answer {
  const { values = 'nothing', isList } = option;
  const end = isList ? current.lastIndexOf(',') + 1 : 0;
  const [before, last] = [current.slice(0, end), current.slice(end)];
  // Behind `sarif=` stands a file.
  if (option.long === '--report' && last.includes('=')) return completeFrom('', 'file', line, from);
  const answer = completeFrom(last, values, line, from);
  if (before === '') return answer;
  const listed = before.split(',');
  const candidates = answer.candidates
    .filter(([value]) => !listed.includes(value))
    .map(([value, about]): Candidate => [before + value, about]);
  return { ...answer, candidates };
}

function completeFrom(current: string, values: Values, line: Line, from: AskedFrom): Answer {
  if (typeof values === 'object') return choose(current, values);
  const asked: GivenOptions = Object.fromEntries(line.given);
  switch (values) {
    case 'version':
      return choose(
        current,
        orNone(() => listVersions(asked, from)),
        DIRECTIVE.keepOrder,
      );
    case 'environment':
      return choose(
        current,
        orNone(() => listEnvironments(asked, from)),
      );
    case 'file':
      return { candidates: [], directive: DIRECTIVE.default };
    case 'folder':
      return { candidates: [], directive: DIRECTIVE.folders };
    default:
      return nothing();
  }
}

/** A folder may be missing and a config file broken; at a Tab that is nothing to tell of. */
function orNone(list: () => Candidate[]): Candidate[] {
  try {
    return list();
  } catch {
    return [];
  }
}

function choose(current: string, all: readonly Candidate[], order = 0): Answer {
  const candidates = all.filter(([value]) => value.startsWith(current));
  const isOpen = candidates.length > 0 && candidates.every(([value]) => /[=:]$/.test(value));
  const space = isOpen ? DIRECTIVE.noSpace : 0;
  return { candidates, directive: DIRECTIVE.noFiles + (candidates.length > 0 ? order + space : 0) };
}

/** Shells give words as they are typed. */
function withoutQuotes(word: string): string {
  return word.replace(/\\(.)|["']/gs, '$1');
}
