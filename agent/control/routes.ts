/**
 * What the running agent can be asked by `picket status`, `get`, `wait`, `explain` and `diff`:
 *
 *   GET /v1/status                               Status
 *   GET /v1/endpoints|policies|sets?name=…       Rows of what is realised
 *   GET /v1/wait?policy=…&pod=…                  WaitAnswer, as of now
 *   GET /v1/objects                              every object in force, one line each (objects.ts)
 *   GET /v1/desired                              every object that the kernel should have, one line each
 *
 * The version of these answers is the agent's: both are one program.
 */
import type { OracleConfig } from '../../compiler/oracle/world.ts';
import type { CounterReader, Counters } from '../dataplane/counters.ts';
import type { FlowLogCounts } from '../flowlog/flow-log.ts';
import { desiredListable, tableObjects } from '../diff/table-diff.ts';
import type { AgentView } from './agent-view.ts';
import { OBJECTS_PATH, objectRows } from './objects.ts';
import { realisedEndpoints } from './realised-endpoints.ts';
import { realisedPolicies, realisedSets, rowsOf } from './realised.ts';
import { json, wrongRequest } from './route.ts';
import type { ControlRequest, Reply, Route } from './route.ts';
import { readStatus } from './status.ts';
import { isPolicyInForce } from './wait.ts';

/** The agent of this moment: one follows the other when the configuration changes. */
export interface Governing {
  readonly agent: AgentView;
  readonly node: string;
  readonly netns: string;
  readonly counters: CounterReader;
  readonly oracle: OracleConfig;
  readonly flowLog: () => FlowLogCounts | undefined;
}

/** `undefined` between two agents. */
export type Current = () => Governing | undefined;

export const STATUS_PATH = '/v1/status';
export const WAIT_PATH = '/v1/wait';
export const DESIRED_PATH = '/v1/desired';
export const REALISED_PATHS = {
  endpoints: '/v1/endpoints',
  policies: '/v1/policies',
  sets: '/v1/sets',
} as const;

export function controlRoutes(current: Current): readonly Route[] {
  const get = (
    path: string,
    answer: (governing: Governing, query: ControlRequest['query']) => Reply | Promise<Reply>,
  ): Route => ({
    method: 'GET',
    path,
    handle: ({ query }) => {
      const governing = current();
      return governing === undefined
        ? wrongRequest('the agent is starting: ask again', 503)
        : answer(governing, query);
    },
  });
  return [
    get(STATUS_PATH, ({ agent, node, netns, flowLog }) =>
      json(readStatus(agent, { node, netns, nowMs: Date.now(), flowLog: flowLog() })),
    ),
    get(REALISED_PATHS.endpoints, ({ agent }, query) => {
      const name = named(query);
      const all = realisedEndpoints(agent);
      return json(rowsOf(name === undefined ? all : all.filter((each) => each.name === name)));
    }),
    get(REALISED_PATHS.policies, async ({ agent, counters }, query) =>
      json(realisedPolicies(agent, named(query), await readOr(counters))),
    ),
    get(REALISED_PATHS.sets, ({ agent }, query) => json(realisedSets(agent, named(query)))),
    get(WAIT_PATH, ({ agent }, query) => {
      const policy = query.get('policy');
      if (policy === null || policy === '')
        return wrongRequest('say which policy: ?policy=NS/NAME');
      return json(isPolicyInForce(agent, policy, query.get('pod') ?? undefined));
    }),
    get(DESIRED_PATH, ({ agent }) => ({ kind: 'rows', rows: desiredRows(agent) })),
    get(OBJECTS_PATH, ({ agent, node, oracle }) => ({
      kind: 'rows',
      rows: objectRows(agent.engine.store, { node, oracle, interfaces: agent.engine.interfaces() }),
    })),
  ];
}

/** The last row says that it is complete. */
function* desiredRows({ engine }: AgentView): Generator {
  yield* tableObjects(desiredListable(engine.table));
  yield { end: true };
}

function named(query: URLSearchParams): string | undefined {
  return query.get('name') ?? undefined;
}

/** Rules are worth showing without what they have counted. */
async function readOr(counters: CounterReader): Promise<Counters> {
  try {
    return await counters.read();
  } catch {
    return new Map();
  }
}
