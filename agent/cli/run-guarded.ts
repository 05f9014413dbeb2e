/** What `picket run` keeps and asks around its agent: the gate before each change, the last good state after it, where the rules come from. */
import type { Config } from '../config/keys.ts';
import { readHostNetwork } from '../endpoints/host-network.ts';
import { hostDigestOf } from '../guard/digest.ts';
import { Gate } from '../guard/gate.ts';
import { openJudge, openReach } from '../guard/judge.ts';
import { findDeniedUpstream } from '../guard/upstream.ts';
import type { Native } from '../native/native.ts';
import type { Log } from '../obs/log.ts';
import type { Agent } from '../runner/agent.ts';
import { encodeTableInTurns, settledTable } from '../state/batch.ts';
import { StateKeeper } from '../state/keeper.ts';
import type { KeptState } from '../state/keeper.ts';
import { readLastGood } from '../state/last-good.ts';
import { noteEnforcedOrigin } from '../state/origin.ts';
import { directoriesOf, guardStarter, headerOf, undoParts, whoAmI } from './guarded.ts';
import { oracleConfig } from './scene.ts';
import { upstreamOf } from './sources.ts';

/** Who governs is a file, and pods come and go a hundred times a second: it is written no more often than this, milliseconds. */
const NOTE_PAUSE_MS = 5_000;

/** Between two looks at whether the API server can still be reached, milliseconds. */
const LOOK_PAUSE_MS = 10_000;

/** How often a held agent says so, milliseconds. */
const REPEAT_MS = 60_000;

export function openGate(config: Config, native: Native, log: Log): Gate {
  const { node, confirmHostPolicyChanges: confirmMs } = config;
  const header = () => headerOf(config, whoAmI('run', config));
  const startGuard = guardStarter(config);
  return new Gate({ ...undoParts(config, native), node, confirmMs, startGuard, header, log });
}

/** Follows the agent until it is closed. */
export function guardAgent(
  agent: Agent,
  gate: Gate,
  config: Config,
  { native, log }: { readonly native: Native; readonly log: Log },
): { close(): Promise<void> } {
  const { run, state } = directoriesOf(config);
  const keeper = new StateKeeper({
    directory: state,
    snapshot: () => snapshotOf(agent, gate, config),
    onFailure: (error) => {
      log.warn(
        { error },
        'the last good state is not kept for the next boot; what is enforced stays',
      );
    },
  });
  gate.listen({ decided: () => agent.wake(), confirmed: () => keeper.changed() });
  let notedMs = -Infinity;
  let hasKept = readLastGood(state).ok;
  agent.events.on('applied', ({ report, endedMs: sinceMs }) => {
    void gate.applied(report.transactions > 0, !report.more);
    if (report.more) return;
    const isDue = Math.abs(sinceMs - notedMs) >= NOTE_PAUSE_MS;
    if (isDue && (report.transactions > 0 || notedMs === -Infinity)) {
      notedMs = sinceMs;
      const text = whoAmI('run', config);
      void noteEnforcedOrigin(run, { source: 'run', sinceMs, stateMs: undefined, text });
    }
    if (report.transactions > 0 || !hasKept) keeper.changed();
    hasKept = true;
  });
  logHeld(agent, log, () => (notedMs = -Infinity));
  const stopLooking = warnOfUpstream(agent, config, native, log);
  return {
    async close() {
      stopLooking();
      gate.close();
      await keeper.close();
    },
  };
}

/** Only what nobody may still undo, and all of it, as it is when it is asked for. */
async function snapshotOf(
  agent: Agent,
  gate: Gate,
  config: Config,
): Promise<KeptState | undefined> {
  const { engine, state } = agent;
  if (gate.isWaiting || !state.isInSync || state.quarantined.length > 0) return undefined;
  const header = headerOf(config, whoAmI('run', config));
  const hostDigest = hostDigestOf(engine.store.resources(), config.node);
  const batch = await encodeTableInTurns(settledTable(engine.table));
  return { snapshot: { header, batch }, hostDigest };
}

/** Loud, and again every minute. */
function logHeld({ events }: Agent, log: Log, onHeld: () => void): void {
  let told: { readonly message: string; readonly atMs: number } | undefined;
  events.on('held', ({ error }) => {
    onHeld();
    const atMs = performance.now();
    if (told?.message === error.message && atMs - told.atMs < REPEAT_MS) return;
    told = { message: error.message, atMs };
    log.error({ why: error.why, since: new Date(error.sinceMs).toISOString() }, error.message);
  });
  events.on('applied', () => {
    if (told !== undefined) log.warn('no longer held: what the policies say is enforced again');
    told = undefined;
  });
}

/**
 * After policies have changed; what stands goes on, so there is time to mend it. Every object of the cluster is looked at for that, so
 * it is done only where host endpoints make the agent's own traffic a matter of policy, and not after each of many changes. Returns
 * what ends it.
 */
function warnOfUpstream(
  { engine, events }: Agent,
  config: Config,
  native: Native,
  log: Log,
): () => void {
  const upstream = upstreamOf(config);
  if (upstream === undefined) return () => undefined;
  let version = -1;
  let lookedMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const { node, netns } = config;
    const network = await readHostNetwork(native, netns);
    const { reach, close } = await openReach(native, netns);
    const oracle = oracleConfig(config);
    const { store } = engine;
    const interfaces = engine.interfaces();
    const judge = openJudge({ store, node, oracle, interfaces, reach });
    try {
      for (const denied of await findDeniedUpstream({ judge, network, reach }, upstream)) {
        log.warn(denied, 'these policies cut the agent off from where they come from');
      }
    } finally {
      close();
    }
  };
  events.on('applied', ({ report }) => {
    const { policyVersion } = engine.store;
    if (report.more || policyVersion === version || engine.hostEndpoints().length === 0) return;
    version = policyVersion;
    timer ??= setTimeout(
      () => {
        timer = undefined;
        lookedMs = performance.now();
        look().catch((error: unknown) =>
          log.debug({ error: String(error) }, 'upstream not judged'),
        );
      },
      Math.max(0, lookedMs + LOOK_PAUSE_MS - performance.now()),
    );
  });
  return () => clearTimeout(timer);
}
