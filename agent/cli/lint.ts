/** `picket lint`: says what is wrong with manifests. No kernel, no root. */
import { Command } from 'commander';
import { lint } from '../../compiler/lint/lint.ts';
import { printPath } from '../../compiler/model/issue.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import type { Store } from '../store/store.ts';
import { EXIT } from './exit.ts';
import { loadManifests } from './load.ts';
import { configOption, manifestsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { hasErrors, printIssue, printJson, printLine } from './report.ts';
import type { ReportedIssue } from './report.ts';
import { loadSettings } from './settings.ts';

export function lintCommand(): Command {
  return new Command('lint')
    .summary('check manifests without applying them')
    .description(
      'Reads the manifests and reports everything invalid, with file, line, path, value and what would be right, and what\n' +
        'Picket would do about it; and warns of what is legal but surely not meant: policies and rules that nothing meets,\n' +
        'that an earlier one shadows, or that name what is not there. Needs neither root nor a kernel.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExit codes: 0 no errors (warnings allowed); 1 errors found; 2 usage.')
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await lintManifests(options);
    });
}

async function lintManifests(options: ConfiguredOptions): Promise<number> {
  const { output } = options;
  const loaded = await loadManifests(loadSettings(options, ['manifests']));
  const { engine, objects } = loaded;
  const issues = [...loaded.issues, ...findWarnings(engine.store)].sort(compareIssues);
  const errors = issues.filter(({ severity }) => severity === 'error').length;
  const warnings = issues.length - errors;
  if (output === 'json') printJson({ objects, errors, warnings, issues });
  else {
    for (const issue of issues) printLine(printIssue(issue));
    printLine(`${many(objects, 'object')}: ${many(errors, 'error')}, ${many(warnings, 'warning')}`);
  }
  return hasErrors(issues) ? EXIT.failed : EXIT.good;
}

/** What is legal and surely not meant, with its places. */
function findWarnings(store: Store): ReportedIssue[] {
  const resources = store.resources().map(([key, resource]) => ({ key, resource }));
  return lint(resources).map(({ code, key, path, message }): ReportedIssue => {
    const place = store.locate(key, path);
    return {
      severity: 'warning',
      file: place?.source ?? '',
      line: place?.line,
      object: key,
      path: printPath(path),
      got: undefined,
      code,
      message,
    };
  });
}

function compareIssues(a: ReportedIssue, b: ReportedIssue): number {
  return compareUtf8(a.file, b.file) || (a.line ?? 0) - (b.line ?? 0);
}

function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
