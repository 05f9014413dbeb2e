/**
 * picket(8), from the command tree and the table of configuration keys, so that it cannot go stale. Out: man(7) text in ASCII.
 * Refuses to know: what the commands do.
 */
import type { Command, Option } from 'commander';
import { CONFIG_NAMES, rowOf, variableOf } from '../../agent/config/keys.ts';

export function manPage(root: Command, version: string, date: Date): string {
  const day = date.toISOString().slice(0, 10);
  return [
    `.TH PICKET 8 "${day}" "picket ${version}" "System administration"`,
    // Long values and paths would leave holes in adjusted lines, and are not words to be hyphenated.
    '.ad l',
    '.nh',
    '.SH NAME',
    'picket \\- network policies, enforced with nftables',
    '.SH SYNOPSIS',
    ...visibleCommands(root).flatMap((command) => [
      '.br',
      `.B picket ${escape(command.name())}`,
      escape(command.usage()),
    ]),
    '.SH DESCRIPTION',
    ...paragraph(root.description()),
    ...literal(textAfter(root)),
    '.SH OPTIONS',
    ...root.options.flatMap(optionLines),
    '.SH COMMANDS',
    ...visibleCommands(root).flatMap(commandLines),
    '.SH CONFIGURATION',
    'Keys of the configuration file, each with its default. The environment variable beats the file, the option beats both.',
    ...CONFIG_NAMES.flatMap(keyLines),
    '.SH FILES',
    ...FILES.flatMap(([path, meaning]) => entry(escape(path), escape(meaning))),
    '.SH SEE ALSO',
    '.BR nft (8)',
    '',
  ].join('\n');
}

const FILES = [
  ['/etc/picket/picket.yaml', 'The configuration.'],
  ['/etc/picket/policies/', 'The manifests, where the configuration says no other directory.'],
  ['/var/lib/picket/', 'What was enforced last, for the next boot.'],
  ['/usr/share/doc/picket/', 'Changes, licences and examples.'],
] as const;

function commandLines(command: Command): string[] {
  return [
    `.SS picket ${escape(command.name())} ${escape(command.usage())}`,
    ...paragraph(command.description()),
    ...command.registeredArguments.flatMap((argument) => {
      return entry(escape(argument.name()), escape(argument.description));
    }),
    ...command.options.filter(({ hidden }) => !hidden).flatMap(optionLines),
    ...literal(textAfter(command)),
    ...visibleCommands(command).flatMap(commandLines),
  ];
}

function optionLines(option: Option): string[] {
  const extra = [
    option.argChoices === undefined ? [] : `choices: ${option.argChoices.join(', ')}`,
    hasDefault(option)
      ? `default: ${option.defaultValueDescription ?? String(option.defaultValue)}`
      : [],
  ].flat();
  const more = extra.length === 0 ? '' : ` (${extra.join('; ')})`;
  return entry(escape(option.flags), escape(option.description + more));
}

/** That a flag is off unless given goes without saying. */
function hasDefault({ defaultValue }: Option): boolean {
  return defaultValue !== undefined && defaultValue !== false;
}

function keyLines(name: (typeof CONFIG_NAMES)[number]): string[] {
  const row = rowOf(name);
  const flag = row.flag === undefined ? '' : `, ${row.flag}`;
  const said = `Default: ${row.type.print(row.default)}. Also: ${variableOf(name)}${flag}.`;
  return entry(escape(name), `${escape(row.doc)} ${escape(said)}`);
}

/** A term and what it means. */
function entry(term: string, meaning: string): string[] {
  return ['.TP', `.B ${term}`, meaning];
}

function paragraph(text: string): string[] {
  return ['.PP', ...text.split('\n').map(escape)];
}

/** Lines that keep their breaks. */
function literal(text: string): string[] {
  const lines = text.trim() === '' ? [] : text.replace(/^\n+|\n+$/g, '').split('\n');
  return lines.length === 0 ? [] : ['.PP', '.nf', ...lines.map(escape), '.fi'];
}

/** Those that help lists too, but for help itself. */
export function visibleCommands(command: Command): readonly Command[] {
  const listed = new Set(command.createHelp().visibleCommands(command));
  return command.commands.filter((each) => listed.has(each));
}

/** What `addHelpText('after', …)` has added. */
function textAfter(command: Command): string {
  let all = '';
  command.configureOutput({ writeOut: (text) => (all += text) }).outputHelp();
  return all.slice(command.helpInformation().length);
}

/** Text as roff source: backslashes and hyphens as they are, no line taken for a request, ASCII only. */
function escape(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&')
    .replace(
      /[^\n -~]/gu,
      (char) => `\\[u${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
