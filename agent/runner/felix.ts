/**
 * Calico's settings in the cluster, as they change. Comes in: a running agent. Goes out: defaults for our configuration, once all sources are
 * complete and whenever a FelixConfiguration or this node's labels change. Refuses to know: what is done with them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { FelixConfiguration, Node } from '../../compiler/model/cluster.ts';
import { felixDefaults } from '../config/felix.ts';
import type { FelixDefaults } from '../config/felix.ts';
import type { Agent } from './agent.ts';

/** `onChange` is called while a batch is taken, before anything of it is applied. */
export function followFelix(
  { events, engine, state }: Agent,
  node: string,
  onChange: (defaults: FelixDefaults) => void,
): void {
  const isOfInterest = new RegExp(`/(?:FelixConfiguration/|Node//${RegExp.escape(node)}$)`);
  let isDirty = false;
  let last: FelixDefaults = { values: new Map(), problems: [] };
  events.on('taken', ({ batch }) => {
    isDirty ||= batch.events.some(({ key }) => isOfInterest.test(key));
    if (!isDirty || !state.sources.every(({ isSynced }) => isSynced)) return;
    isDirty = false;
    const next = defaultsOf(
      engine.store.resources().map(([, resource]) => resource),
      node,
    );
    if (isDeepStrictEqual(next, last)) return;
    last = next;
    onChange(next);
  });
}

function defaultsOf(resources: readonly { readonly kind: string }[], node: string): FelixDefaults {
  const objects = resources.filter(
    (resource): resource is FelixConfiguration => resource.kind === 'FelixConfiguration',
  );
  const own = resources.find(
    (resource): resource is Node => resource.kind === 'Node' && (resource as Node).name === node,
  );
  return felixDefaults(objects, node, own?.labels ?? {});
}
