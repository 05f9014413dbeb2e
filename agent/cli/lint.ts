/** `picket lint`: says what is wrong with manifests. No kernel, no root. */
import { Command } from 'commander';
import { EXIT } from './exit.ts';
import { loadManifests } from './load.ts';
import { configOption, manifestsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { loadSettings } from './settings.ts';
import { hasErrors, printIssue, printJson, printLine } from './report.ts';

export function lintCommand(): Command {
  return new Command('lint')
    .summary('check manifests without applying them')
    .description(
      'Reads the manifests and reports everything invalid, with file, line, path, value and what would be right,\n' +
        'and what Picket would do about it. Needs neither root nor a kernel.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExit codes: 0 no errors (warnings allowed); 1 errors found; 2 usage.')
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await lint(options);
    });
}

async function lint(options: ConfiguredOptions): Promise<number> {
  const { output } = options;
  const { issues, objects } = await loadManifests(loadSettings(options, ['manifests']));
  const errors = issues.filter(({ severity }) => severity === 'error').length;
  if (output === 'json') printJson({ objects, errors, warnings: issues.length - errors, issues });
  else {
    for (const issue of issues) printLine(printIssue(issue));
    printLine(`${objects} objects, ${errors} errors, ${issues.length - errors} warnings`);
  }
  return hasErrors(issues) ? EXIT.failed : EXIT.good;
}
