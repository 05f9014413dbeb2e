/**
 * Bash completion from the command tree: commands, options, the values of options that have choices, files and directories for the
 * others. Out: a script that needs bash alone, bash-completion or not.
 */
import type { Command, Option } from 'commander';
import { visibleCommands } from './man.ts';

export function bashCompletion(root: Command): string {
  const visible = visibleCommands(root);
  const commands = visible.map((command) => command.name());
  return `# Completion of picket(8) for bash; made from the command tree by scripts/package/completion.ts.
_picket() {
    local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]:-}
    local words=() values=
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        words=(${[...commands, 'help', ...flagsOf(root)].join(' ')})
        COMPREPLY=($(compgen -W "\${words[*]}" -- "$word"))
        return
    fi
    case $command in
${visible.map(commandCase).join('')}    help)
        words=(${commands.join(' ')})
        ;;
    esac
    case $values in
    '') COMPREPLY=($(compgen -W "\${words[*]}" -- "$word")) ;;
    @dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    @file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    @text) ;;
    *) COMPREPLY=($(compgen -W "$values" -- "$word")) ;;
    esac
    [ "\${#COMPREPLY[@]}" != 0 ] || [ -n "$values" ] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
}
complete -F _picket picket
`;
}

function commandCase(command: Command): string {
  const subcommands = visibleCommands(command).map((each) => each.name());
  const cases = optionsOf(command).flatMap((option) => {
    if (!option.required && !option.optional) return [];
    const flags = [option.short, option.long].filter((flag) => flag !== undefined);
    return `        ${flags.join('|')}) values='${valuesOf(option)}' ;;\n`;
  });
  const values =
    cases.length === 0 ? '' : `        case $before in\n${cases.join('')}        esac\n`;
  return `    ${command.name()})
        words=(${[...subcommands, ...flagsOf(command)].join(' ')})
${values}        ;;
`;
}

function optionsOf(command: Command): Option[] {
  return command.options.filter(({ hidden }) => !hidden);
}

function flagsOf(command: Command): string[] {
  const flags = optionsOf(command).flatMap(({ short, long }) =>
    [short, long].filter((flag) => flag !== undefined),
  );
  return [...flags, '-h', '--help'];
}

/** Choices where there are any; else what the placeholder in `--manifests <dir>` promises. */
function valuesOf(option: Option): string {
  if (option.argChoices !== undefined) return option.argChoices.join(' ');
  const placeholder = /[<[](.+)[>\]]$/.exec(option.flags)?.[1] ?? '';
  if (/dir/.test(placeholder)) return '@dir';
  return /file|path/.test(placeholder) ? '@file' : '@text';
}
