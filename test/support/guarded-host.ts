/** A host whose policy changes, for tests of confirmation, boot and emergencies: manifests, what is kept where, and the guard's process. */
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { directoryOf } from '../../agent/state/files.ts';
import { asPending, readPending } from '../../agent/guard/pending.ts';
import type { PendingSnapshot } from '../../agent/guard/pending.ts';
import { Bench, NODE, picket, until } from './cli.ts';
import type { Ended } from './cli.ts';
import type { Netns } from './netns.ts';

/** Every interface of NODE is governed; TCP to `ports` is let in, of everybody or from `nets` only, and what IPv6 needs to work. */
export function hostPolicy(ports: string, nets?: string): string {
  const source = nets === undefined ? '' : `source: {nets: [${nets}]}, `;
  return `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: all, labels: {is: host}}
spec: {node: ${NODE}, interfaceName: '*'}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: services}
spec:
  selector: is == 'host'
  types: [Ingress, Egress]
  egress: [{action: Allow}]
  ingress:
  - {action: Allow, protocol: ICMPv6}
  - {action: Allow, protocol: TCP, ${source}destination: {ports: [${ports}]}}
`;
}

/** A bench whose run and state directories are its own. */
export class GuardedHost {
  readonly bench: Bench;
  readonly #root: string;

  constructor(bench: Bench) {
    this.bench = bench;
    this.#root = join(bench.manifests, '..');
    mkdirSync(this.#top('run'), { recursive: true });
    mkdirSync(this.#top('state'), { recursive: true });
  }

  static with(
    files: Readonly<Record<string, string>>,
    use: (host: GuardedHost) => Promise<void>,
    netns?: Netns,
  ): Promise<void> {
    const guarded = async (bench: Bench): Promise<void> => {
      const host = new GuardedHost(bench);
      try {
        await use(host);
      } finally {
        host.killGuards();
      }
    };
    return Bench.with(files, guarded, netns);
  }

  get env(): Record<string, string> {
    return { PICKET_RUN_DIRECTORY: this.#top('run'), PICKET_STATE_DIRECTORY: this.#top('state') };
  }

  /** Where the files of the bench's namespace are. */
  directory(name: 'run' | 'state'): string {
    return directoryOf(this.#top(name), this.bench.netns.path);
  }

  /** `picket apply` with these arguments more. */
  apply(...args: readonly string[]): Promise<Ended> {
    return picket(['apply', ...this.bench.options(), ...args], [], this.env);
  }

  /** Any other command that has `--netns`. */
  run(...args: readonly string[]): Promise<Ended> {
    return this.runWith({}, ...args);
  }

  runWith(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Ended> {
    const all = { ...this.env, ...env };
    return picket([...args, '--netns', this.bench.netns.path], [], all);
  }

  pending(): PendingSnapshot | undefined {
    return asPending(readPending(this.directory('run')));
  }

  /** Waits until nothing waits and nothing is being undone. */
  async untilDecided(): Promise<void> {
    await until('the change is decided', () => {
      return this.#names().every((name) => name !== 'pending' && name !== 'undoing');
    });
  }

  /** Everything in the namespace's ruleset but counts, in an order of its own: sets list their elements in any. */
  async ruleset(): Promise<string> {
    const text = await this.bench.nft('--stateless', 'list', 'ruleset');
    return text
      .split(/[\s,]+/)
      .toSorted()
      .join(' ');
  }

  /** Process ids of the guards of this host. */
  guards(): number[] {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .filter((pid) => commandLine(pid).join(' ').includes(`guard --id`))
      .filter((pid) => commandLine(pid).includes(this.#top('run')))
      .map(Number);
  }

  /** One that ends by itself meanwhile is none to signal. */
  signalGuards(signal: NodeJS.Signals): void {
    for (const pid of this.guards()) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  killGuards(): void {
    this.signalGuards('SIGKILL');
  }

  #names(): string[] {
    try {
      return readdirSync(this.directory('run'));
    } catch {
      return [];
    }
  }

  #top(name: string): string {
    return join(this.#root, name);
  }
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
