/** `picket explain`: who may reach whom, and which rule says so. From manifests, without kernel and root, or by what the running agent has. */
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { variableOf } from '../config/keys.ts';
import { answer } from '../explain/answer.ts';
import { answerToJson } from '../explain/json.ts';
import { printAnswer } from '../explain/print.ts';
import { readQuestion, readVia, SERVICE_FORMS } from '../explain/question.ts';
import type { Question, Read } from '../explain/question.ts';
import { readRecord } from '../explain/record-question.ts';
import { CommandError, EXIT } from './exit.ts';
import { configOption, manifestsOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { loadRunningScene } from './live-scene.ts';
import { printIssues, printJson, printLine } from './report.ts';
import { judgeOption, liveOption, loadScene } from './scene.ts';
import type { SceneFlags } from './scene.ts';
import { loadSettings } from './settings.ts';

export function explainCommand(): Command {
  return new Command('explain')
    .summary('say which rule allows or denies a connection')
    .description(
      'Judges a new connection by the manifests, or without --manifests by what the running agent has: egress at the sender, then ingress at the receiver, tier by tier and\n' +
        'policy by policy, down to the rule that decides and its line in the manifest; where no rule decides, it says who\n' +
        'selected the endpoint. At host endpoints stage by stage: untracked, pre-DNAT, forward, normal. IPv4 and IPv6 where\n' +
        'both ends have them. With --manifests it needs neither root nor a kernel.',
    )
    .argument(
      '<src>',
      'who connects: NAMESPACE/POD, an address, or host; ADDRESS@INTERFACE. Or a line of picket flows -o json, or - for one on standard input',
    )
    .argument('[dst]', 'to whom: NAMESPACE/POD, an address, or host; host@INTERFACE')
    .argument('[proto/port]', SERVICE_FORMS)
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(netnsOption())
    .addOption(judgeOption())
    .addOption(liveOption())
    .option('--via <address:port>', 'what the destination is before a service proxy replaces it')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
"host" is the node itself: that of --node, else that of the pod at the other end, else the only one. Packets come from
port 40000 (those of a flow record from its port) and are not part of a known connection. DST is where they arrive; where a Service's address or a node port
was replaced on the way, --via says what it was. @INTERFACE is the host's interface that they come in or leave by; without,
it is taken from the addresses of HostEndpoints, and asked for where the answer depends on it. --live takes interfaces and
addresses from this machine.

Examples:
  picket explain shop/web shop/db tcp/5432
  picket flows --verdict deny --last 1 -o json | picket explain -
  picket explain shop/web shop/db tcp/5432 --manifests policies
  picket explain 203.0.113.9 shop/web tcp/443 --manifests policies
  picket explain 203.0.113.9 host@eth0 tcp/22 --manifests policies --node vm --live
  picket explain 203.0.113.9@eth0 shop/web tcp/8080 --via 192.0.2.1:30080 --manifests policies
  picket explain shop/web 10.96.0.10 udp/53 --manifests policies -o json

Exit codes: 0 allowed; 3 denied, for one IP family at least; 1 a name is unknown or nothing could be read; 2 usage.`,
    )
    .action(
      async (
        src: string,
        dst: string | undefined,
        service: string | undefined,
        options: ExplainOptions,
      ) => {
        process.exitCode = await explain(await questionOf(src, dst, service, options.via), options);
      },
    );
}

/** Where the answer comes from, and how it is printed. */
export interface SceneOptions extends ConfiguredOptions, SceneFlags {}

interface ExplainOptions extends SceneOptions {
  readonly via: string | undefined;
}

/** Throws CommandError. */
async function questionOf(
  src: string,
  dst: string | undefined,
  service: string | undefined,
  via: string | undefined,
): Promise<Question> {
  if (dst !== undefined) return questionOfWords(src, dst, service, via);
  if (src !== '-' && !src.startsWith('{')) {
    throw new CommandError(
      `to whom? For example: picket explain ${src} shop/db tcp/5432`,
      EXIT.usage,
    );
  }
  const question = usable(readRecord(src === '-' ? await text(process.stdin) : src));
  return via === undefined ? question : { ...question, via: usable(readVia(via)) };
}

function questionOfWords(
  src: string,
  dst: string,
  service: string | undefined,
  via: string | undefined,
): Question {
  if (service !== undefined) return usable(readQuestion(src, dst, service, via));
  const message =
    `what does ${src} send to ${dst}? Policy is about protocols and ports, so say one after the names: ${SERVICE_FORMS}.\n` +
    `For example: picket explain ${src} ${dst} tcp/80`;
  throw new CommandError(message, EXIT.usage);
}

function usable<T>(read: Read<T>): T {
  if ('wrong' in read) throw new CommandError(read.wrong, EXIT.usage);
  return read.value;
}

/** Answers by what the running agent has unless files were named. Throws CommandError. */
async function sceneFor(options: SceneOptions): ReturnType<typeof loadScene> {
  const { manifests, config: file, netns, node, live = false } = options;
  if (manifests !== undefined || process.env[variableOf('manifests')] !== undefined) {
    return loadScene(options);
  }
  const config = loadSettings({ config: file, netns, node: undefined, manifests }, []);
  return { scene: await loadRunningScene(config, { node, live }), issues: [] };
}

/** The answer is printed. Throws CommandError. */
export async function explain(question: Question, options: SceneOptions): Promise<number> {
  const { scene, issues } = await sceneFor(options);
  printIssues(issues, options.output);
  const answered = answer(scene, question);
  if ('wrong' in answered) throw new CommandError(answered.wrong);
  const { value } = answered;
  if (options.output === 'json') printJson({ ...answerToJson(scene, value), issues });
  else for (const line of printAnswer(scene, value)) printLine(line);
  return value.verdict === 'allow' ? EXIT.good : EXIT.denied;
}
