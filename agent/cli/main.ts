/** The command line: the only place, with the commands beside it, that reads arguments and chooses implementations. */
import { Command, CommanderError } from 'commander';
import { AgentError } from '../errors.ts';
import { ApplyError } from '../engine/engine.ts';
import { applyCommand } from './apply.ts';
import { cleanupCommand } from './cleanup.ts';
import { compileCommand } from './compile.ts';
import { configCommand } from './config.ts';
import { CommandError, EXIT } from './exit.ts';
import { explainCommand } from './explain.ts';
import { lintCommand } from './lint.ts';
import { printLine } from './report.ts';
import { runCommand } from './run.ts';
import { testCommand } from './test.ts';

function program(): Command {
  const root = new Command('picket')
    .description(
      'Picket enforces network policies on this machine with nftables, and says why a packet was dropped.\n' +
        'Policies: Kubernetes NetworkPolicy, Calico projectcalico.org/v3, ClusterNetworkPolicy.',
    )
    .addHelpText(
      'after',
      `
Start here:
  picket lint    --manifests DIR                       is it valid?
  picket compile --manifests DIR --node NAME --emit ir what would be enforced?
  picket apply   --manifests DIR --node NAME           enforce it
  picket run     --manifests DIR --node NAME           enforce it and follow changes
  picket explain NS/POD NS/POD tcp/80 --manifests DIR  who may, and which rule says so?
  picket test    FILE… --manifests DIR                 is everybody allowed and denied as expected?
  picket config  --print-default                       what can be configured?

Exit codes: 0 good, 1 failed, 2 usage, 3 denied (explain) or not as expected (test), 4 applied but degraded.`,
    );
  for (const command of [
    applyCommand(),
    runCommand(),
    compileCommand(),
    lintCommand(),
    explainCommand(),
    testCommand(),
    configCommand(),
    cleanupCommand(),
  ]) {
    root.addCommand(command);
  }
  for (const command of [root, ...root.commands]) {
    command.exitOverride().showHelpAfterError('(add --help for what can be said)');
  }
  return root;
}

/** The command that was given was told to answer as JSON. */
function wantsJson(root: Command): boolean {
  const command = root.commands.find((each) => each.name() === root.args[0]);
  return command?.opts()['output'] === 'json';
}

/** Exit code and text of anything that ends a command early. */
function ending(error: unknown): { exitCode: number; message: string | undefined } {
  if (error instanceof CommanderError) {
    return { exitCode: error.exitCode === 0 ? EXIT.good : EXIT.usage, message: undefined };
  }
  if (error instanceof CommandError) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof AgentError) return { exitCode: EXIT.failed, message: error.message };
  if (error instanceof ApplyError) {
    const message = `the kernel refused the transaction, the rules in force are unchanged: ${error.message}`;
    return { exitCode: EXIT.failed, message };
  }
  throw error;
}

// Whoever reads our output may stop early, like `picket compile … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

const root = program();
try {
  if (process.argv.length <= 2) {
    root.outputHelp();
    process.exitCode = EXIT.usage;
  } else await root.parseAsync();
} catch (error) {
  const { exitCode, message } = ending(error);
  if (message !== undefined) {
    process.stderr.write(`picket: ${message}\n`);
    const details = error instanceof CommandError ? error.details : {};
    // One line, so that it fits behind the log of `run` too.
    if (wantsJson(root)) printLine(JSON.stringify({ error: message, ...details }));
  }
  process.exitCode = exitCode;
}
