/**
 * The command tree: every command with its options and help. The command line runs it; the man page and the completion are made
 * from it. Refuses to know: what ends a command, and how that is told.
 */
import { Command, Help } from 'commander';
import type { Option } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { applyCommand } from './apply.ts';
import { bootCommand } from './boot.ts';
import { checkCommand } from './check.ts';
import { cleanupCommand } from './cleanup.ts';
import { compileCommand } from './compile.ts';
import { configCommand } from './config.ts';
import { confirmCommand } from './confirm.ts';
import { diffCommand } from './diff.ts';
import { explainCommand } from './explain.ts';
import { getCommand } from './get.ts';
import { guardCommand } from './guard.ts';
import { flowsCommand } from './flows.ts';
import { lintCommand } from './lint.ts';
import { panicOpenCommand } from './panic-open.ts';
import { runCommand } from './run.ts';
import { statusCommand } from './status.ts';
import { testCommand } from './test.ts';
import { waitCommand } from './wait.ts';
import { whyCommand } from './why.ts';

/** A tree of its own for each caller: commander keeps what it parsed. */
export function program(): Command {
  const root = new Command('picket')
    .description(
      'Picket enforces network policies on this machine with nftables, and says why a packet was dropped.\n' +
        'Policies: Kubernetes NetworkPolicy, Calico projectcalico.org/v3, ClusterNetworkPolicy.',
    )
    .version(manifest.version, '-V, --version', 'print the version')
    .addHelpText(
      'after',
      `
Start here:
  picket check                                         can this machine enforce, is anything in the way?
  picket lint    --manifests DIR                       is it valid?
  picket compile --manifests DIR --node NAME --emit ir what would be enforced?
  picket apply   --manifests DIR --node NAME           enforce it
  picket apply   … --confirm 60s, then picket confirm  enforce it, undone unless you can still say so
  picket run     --manifests DIR --node NAME           enforce it and follow changes
  picket status                                        what is enforced, how old is it, what is wrong?
  picket explain NS/POD NS/POD tcp/80 [--manifests DIR]  who may, and by which rule?
  picket flows   --follow                              who is being denied, and by which rule?
  picket test    FILE… --manifests DIR                 is everybody allowed and denied as expected?
  picket config  --print-default                       what can be configured?
  picket panic-open                                    emergency: open everything at once

Exit codes: 0 good, 1 failed, 2 usage, 3 the answer is no (explain, test, diff, apply: their --help says what that is),
            4 applied but degraded.`,
    );
  for (const command of [
    applyCommand(),
    confirmCommand(),
    runCommand(),
    statusCommand(),
    getCommand(),
    waitCommand(),
    flowsCommand(),
    whyCommand(),
    diffCommand(),
    compileCommand(),
    lintCommand(),
    explainCommand(),
    testCommand(),
    configCommand(),
    checkCommand(),
    bootCommand(),
    panicOpenCommand(),
    cleanupCommand(),
  ]) {
    root.addCommand(command);
  }
  root.addCommand(guardCommand(), { hidden: true });
  for (const command of [root, ...root.commands]) {
    command
      .exitOverride()
      .showHelpAfterError('(add --help for what can be said)')
      .configureHelp({
        commandDescription: (each) => unwrapped(each.description()),
        optionDescription: describeOption,
      });
  }
  return root;
}

/** As one paragraph, to be wrapped at the width of the terminal; indented lines stay lines. */
function unwrapped(text: string): string {
  return text.replaceAll(/\n(?! )/g, ' ');
}

/** That a flag is off unless given goes without saying. */
function describeOption(option: Option): string {
  if (option.defaultValue === false) return option.description;
  return new Help().optionDescription(option);
}
