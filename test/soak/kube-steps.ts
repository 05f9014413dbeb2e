/** What happens to a host that follows the Kubernetes API, a row each. */
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { Fault, FaultTarget } from '../support/api-server/faults.ts';
import { inSync, onTheWay, withChanges } from './model.ts';
import type { Model } from './model.ts';
import { arbitraryChanges, printChanges } from './step.ts';
import type { Step, StepKind } from './step.ts';

const pause = fc.nat(500);

const FAULTS: readonly Fault[] = [
  { kind: 'status', code: 410 },
  { kind: 'status', code: 429, headers: { 'retry-after': '1' } },
  { kind: 'status', code: 500 },
  { kind: 'status', code: 503 },
  { kind: 'status', code: 401 },
  { kind: 'reset' },
  { kind: 'tear', afterBytes: 10 },
  { kind: 'tear', afterBytes: 700 },
  { kind: 'chop' },
  { kind: 'drip', bytes: 200, everyMs: 1 },
  { kind: 'garbage', text: '{"type":"ADDED","object":{' },
  { kind: 'garbage', text: '<html>502</html>\n' },
];
const VERBS: readonly FaultTarget['verb'][] = ['list', 'watch', 'discovery', 'any'];
const PLURALS = [
  'pods',
  'namespaces',
  'networkpolicies',
  'globalnetworkpolicies',
  'tiers',
  'hostendpoints',
];

type ServerOf = Parameters<Step['run']>[0]['server'] & object;

function server(rig: Parameters<Step['run']>[0]): ServerOf {
  if (rig.server === undefined) throw new Error('no API server');
  return rig.server;
}

/** With changes that the agent hears of sooner or later. */
function changing(
  of: (model: Model, changes: Parameters<typeof printChanges>[0]) => Arbitrary<Step>,
): StepKind['of'] {
  return (model) =>
    model.isRunning ? arbitraryChanges(model).chain((changes) => of(model, changes)) : undefined;
}

export const KUBE_STEPS: Readonly<Record<string, StepKind>> = {
  fault: {
    weight: 8,
    storm: 'once',
    of: changing((model, changes) =>
      fc
        .tuple(
          fc.constantFrom(...FAULTS),
          fc.constantFrom(...VERBS),
          fc.constantFrom(undefined, ...PLURALS),
          fc.integer({ min: 1, max: 3 }),
        )
        .map(([fault, verb, plural, times]) => ({
          title: `${times} times ${JSON.stringify(fault)} to ${verb} ${plural ?? 'anything'}, ${printChanges(changes)}`,
          after: withChanges(model, changes),
          between: onTheWay(model, changes),
          run: async (rig) => {
            server(rig).faults.add(
              { verb, ...(plural === undefined ? {} : { plural }) },
              fault,
              times,
            );
            server(rig).cutConnections();
            await rig.change(changes);
          },
        })),
    ),
  },
  'server restart': {
    weight: 4,
    storm: 'once',
    of: changing((model, changes) =>
      pause.map((ms) => ({
        title: `gone for ${ms} ms, ${printChanges(changes)}`,
        after: withChanges(model, changes),
        between: onTheWay(model, changes),
        run: (rig) =>
          rig.restartServer(async () => {
            await rig.change(changes);
            await delay(ms);
          }),
      })),
    ),
  },
  'rights lost': {
    weight: 3,
    of: changing((model, changes) =>
      fc.tuple(fc.constantFrom(...PLURALS), pause).map(([plural, ms]) => ({
        title: `to ${plural} for ${ms} ms, ${printChanges(changes)}`,
        after: inSync(withChanges(model, changes)),
        between: onTheWay(model, changes),
        run: async (rig) => {
          server(rig).forbidden.add(plural);
          server(rig).cutConnections();
          await rig.change(changes);
          await delay(ms);
          server(rig).forbidden.delete(plural);
        },
      })),
    ),
  },
};
