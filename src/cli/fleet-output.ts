import { hash } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EvdbError } from '../errors.ts';
import type { FleetMember } from '../fleet/members.ts';
import { renderCount } from '../text/units.ts';
import type { CliContext } from './context.ts';
import type { CommandInput } from './define.ts';
import { printable } from './output.ts';
import { isForPipeline } from './pipeline.ts';

/** Alike results are shown so many times, and counted from then on. */
const SHOWN_ALIKE = 3;

/** What a member's command prints, and its part of the context. */
export interface MemberOutput {
  context: CliContext;
  /** Prints what was collected, and `text` behind it, with the member's name before each line. */
  finish(text: string): void;
  /** Runs what the member's command wants done at an interrupt; whether it wanted anything. */
  interrupt(): boolean;
}

/** What all members print. */
export interface FleetOutput {
  open(member: FleetMember): MemberOutput;
  /** Shows how far the run is. */
  tell(state: { done: number; total: number; failed: number; running: Iterable<string> }): void;
  /** Such as `997 more like [tenant_003]`. */
  renderHidden(): string[];
}

/** Puts the name of its member before every line, and what belongs to one member together. */
export function createFleetOutput(input: CommandInput, fleet: string): FleetOutput {
  const { context, flags } = input;
  const alike = new Map<string, { first: string; count: number }>();
  const logDir = flags.logDir === undefined ? undefined : makeLogDir(context, String(flags.logDir));
  return {
    open: (member) => {
      const log = logDir === undefined ? () => undefined : openLog(logDir, member);
      const isShown = (text: string) => !isHidden(alike, text, member);
      return openMember(input, `[${member.name}] `, { log, isShown });
    },
    tell: ({ done, total, failed, running }) => {
      const bad = failed > 0 ? `, ${failed} failed` : '';
      const now = [...running].join(', ');
      context.errLine(`${fleet}: ${done} of ${total} done${bad}${now === '' ? '' : `: ${now}`}`);
    },
    renderHidden: () =>
      [...alike.values()]
        .filter(({ count }) => count > SHOWN_ALIKE)
        .map(
          ({ first, count }) => `[${first}] and ${renderCount(count - 1, 'more member')}: the same`,
        ),
  };
}

function openMember(
  { context, flags }: CommandInput,
  label: string,
  { log, isShown }: { log: (text: string) => void; isShown: (text: string) => boolean },
): MemberOutput {
  const callbacks = new Set<() => void>();
  let collected = '';
  const isShownAsText = !flags.json && !isForPipeline(flags.format as string | undefined);
  const collect = (text: string) => {
    log(text);
    if (isShownAsText) collected += text;
  };
  const tellBy = (print: (text: string) => void) => (text: string) => {
    log(text);
    context.errLine('');
    print(labelled(text, label));
  };
  const note = tellBy(context.note);
  const finish = (text: string) => {
    if (text !== '') collect(`${text}\n`);
    if (collected === '' || !isShown(collected)) return;
    context.errLine('');
    context.out(labelled(collected, label));
  };
  const interrupt = () => {
    const wanted = [...callbacks];
    for (const callback of wanted) callback();
    return wanted.length > 0;
  };
  const memberContext: CliContext = {
    ...context,
    ...{ out: collect, outWide: collect, outVerbatim: collect, err: tellBy(context.err) },
    ...{ note, noteVerbatim: note, errLine: () => undefined },
    ...{ isInteractive: false, asking: undefined, isOutTerminal: false },
    outSize: () => narrower(context.outSize(), label.length),
    onInterrupt: (callback) => {
      callbacks.add(callback);
      return () => void callbacks.delete(callback);
    },
  };
  return { context: memberContext, finish, interrupt };
}

function labelled(text: string, label: string): string {
  const lines = text.replace(/\n$/, '').split('\n');
  return `${lines.map((line) => `${label}${line}`).join('\n')}\n`;
}

function narrower(
  { columns, rows }: ReturnType<CliContext['outSize']>,
  by: number,
): ReturnType<CliContext['outSize']> {
  return { columns: columns === undefined ? undefined : Math.max(20, columns - by), rows };
}

/** How long something took does not make two results different, nor whose it is. */
function isHidden(
  alike: Map<string, { first: string; count: number }>,
  text: string,
  { name, schema }: FleetMember,
): boolean {
  const names = [name, schema ?? name];
  const plain = names
    .reduce((rest, one) => rest.replaceAll(one, '…'), text)
    .replace(/\b\d[\d.,]* ?(ms|s|min|h)\b/g, '…');
  const key = hash('sha256', plain, 'base64');
  const seen = alike.get(key) ?? { first: name, count: 0 };
  seen.count += 1;
  alike.set(key, seen);
  return seen.count > SHOWN_ALIKE;
}

function makeLogDir({ cwd }: CliContext, given: string): string {
  const path = resolve(cwd, given);
  return writing(path, () => {
    mkdirSync(path, { recursive: true });
    return path;
  });
}

/** Each run begins a log anew; nothing is held back, so that it is there whatever happens. */
function openLog(directory: string, { name }: FleetMember): (text: string) => void {
  const path = join(directory, `${encodeURIComponent(name).slice(0, 200)}.log`);
  let isBegun = false;
  return (text) =>
    writing(path, () => {
      const clean = printable(text, false);
      if (isBegun) appendFileSync(path, clean);
      else writeFileSync(path, clean);
      isBegun = true;
    });
}

function writing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `cannot write the log ${path}`, {
      hint: 'Check the permissions and the space of the folder.',
      cause,
    });
  }
}
