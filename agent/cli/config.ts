/** `picket config`: shows what can be configured, checks a configuration, says what is set where. */
import { Command } from 'commander';
import { printConfigIssue } from '../config/config.ts';
import { CONFIG_NAMES, rowOf, variableOf } from '../config/keys.ts';
import { printDefaultConfig, printSettings } from '../config/print.ts';
import { EXIT } from './exit.ts';
import { configOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { readSettings } from './settings.ts';

interface ConfigOptions extends ConfiguredOptions {
  readonly printDefault: boolean | undefined;
}

export function configCommand(): Command {
  return new Command('config')
    .summary('check the configuration, or print the default one')
    .description(
      'Checks the configuration file and the PICKET_ variables of the environment, and prints every setting that is\n' +
        'not left at its default, with the place it comes from. The environment beats the file, flags beat both.',
    )
    .addOption(configOption())
    .option('--print-default', 'print a file with every key, its meaning and its default')
    .addOption(outputOption())
    .addHelpText(
      'after',
      () => `\nKeys:\n${listKeys()}\n\nExit codes: 0 good; 2 something is wrong.`,
    )
    .action((options: ConfigOptions) => {
      process.exitCode = options.printDefault === true ? printDefault() : check(options);
    });
}

function listKeys(): string {
  const width = Math.max(...CONFIG_NAMES.map((name) => name.length));
  return CONFIG_NAMES.map((name) => {
    const { type, default: value } = rowOf(name);
    const shown = `${name.padEnd(width)}  ${type.expected}; default ${type.print(value)}`;
    return `  ${shown}\n  ${' '.repeat(width)}  ${variableOf(name)}`;
  }).join('\n');
}

function printDefault(): number {
  process.stdout.write(printDefaultConfig());
  return EXIT.good;
}

function check(options: ConfigOptions): number {
  const resolved = readSettings(options);
  const { config, file, issues, sources } = resolved;
  const isGood = issues.length === 0;
  if (options.output === 'json') {
    printJson({ valid: isGood, file, issues, config, sources });
  } else {
    for (const issue of issues) process.stderr.write(`${printConfigIssue(issue)}\n`);
    for (const line of isGood ? printSettings(resolved) : []) printLine(line);
    printLine(
      isGood
        ? `${file ?? 'no file, the defaults'}: valid`
        : `${issues.length} wrong: nothing of it is used`,
    );
  }
  return isGood ? EXIT.good : EXIT.usage;
}
