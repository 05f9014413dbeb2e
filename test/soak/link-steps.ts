/** What happens to the interfaces of a host and their addresses, a row each. */
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { HostInterfaceSpec } from '../support/fabric.ts';
import { HOST_FABRIC } from '../support/host-flows.ts';
import { runIp } from '../support/netns.ts';
import { WIRE_SPECS } from '../support/world-table.ts';
import { inSync, worldOf } from './model.ts';
import type { Addresses, Model } from './model.ts';
import type { Step, StepKind } from './step.ts';

const pause = fc.nat(300);
const HOST_WIRES = HOST_FABRIC.hostInterfaces ?? [];

function wireOf(name: string, addresses: Addresses): HostInterfaceSpec {
  const spec = HOST_WIRES.find((each) => each.name === name);
  if (spec === undefined) throw new Error(`no host interface ${name}`);
  return { ...spec, addresses: addresses[name] ?? [] };
}

const hostWire = fc.constantFrom(...HOST_WIRES.map(({ name }) => name));

export const LINK_STEPS: Readonly<Record<string, StepKind>> = {
  'replug workload': {
    weight: 3,
    storm: 'often',
    of: (model) =>
      fc.tuple(fc.constantFrom(...WIRE_SPECS), pause).map(([spec, ms]) => ({
        title: `${spec.ifname} for ${ms} ms`,
        after: model,
        between: [],
        hasCuts: true,
        run: (rig) => rig.fabric.replugWorkload(spec, () => delay(ms)),
      })),
  },
  'replug host': {
    weight: 3,
    storm: 'often',
    of: (model) =>
      fc.tuple(hostWire, pause).map(([name, ms]) => ({
        title: `${name} for ${ms} ms`,
        after: afterLinks(model, model.addresses),
        between: withoutSome(model, name),
        hasCuts: true,
        run: (rig) =>
          rig.fabric.replugHostInterface(wireOf(name, model.addresses), () => delay(ms)),
      })),
  },
  bounce: {
    weight: 3,
    storm: 'often',
    of: (model) =>
      fc.tuple(hostWire, pause).map(([name, ms]) => ({
        title: `${name} down for ${ms} ms`,
        after: afterLinks(model, model.addresses),
        between: withoutSome(model, name),
        hasCuts: true,
        run: async (rig) => {
          await runIp(rig.fabric.router, [`link set ${name} down`]);
          await delay(ms);
          await runIp(rig.fabric.router, [`link set ${name} up`]);
          await rig.fabric.restoreHostInterface(wireOf(name, model.addresses));
        },
      })),
  },
  rename: {
    weight: 2,
    storm: 'often',
    of: (model) =>
      fc.tuple(hostWire, pause).map(([name, ms]) => ({
        title: `${name} away and back after ${ms} ms`,
        after: afterLinks(model, model.addresses),
        between: withoutSome(model, name),
        hasCuts: true,
        unwatched: name,
        run: async (rig) => {
          await runIp(rig.fabric.router, [`link set ${name} name away`]);
          await delay(ms);
          await runIp(rig.fabric.router, [`link set away name ${name}`]);
        },
      })),
  },
  'move address': {
    weight: 3,
    storm: 'often',
    of: (model) =>
      fc.nat(1).map((count) => {
        const [from, to] =
          model.addresses['eth1']?.length === 0 ? ['eth2', 'eth1'] : ['eth1', 'eth2'];
        const moving = (model.addresses[from] ?? []).slice(count);
        const staying = (model.addresses[from] ?? []).slice(0, count);
        const there = model.addresses[to] ?? [];
        const addresses = { ...model.addresses, [from]: staying, [to]: [...there, ...moving] };
        return {
          title: `${moving.join(', ')} from ${from} to ${to}`,
          after: afterLinks(model, addresses),
          between: [...withoutSome(model, from), ...withoutSome({ ...model, addresses }, to)],
          hasCuts: true,
          run: async (rig) => {
            await runIp(
              rig.fabric.router,
              moving.map((each) => `addr del ${each} dev ${from}`),
            );
            for (const name of [from, to])
              await rig.fabric.restoreHostInterface(wireOf(name, addresses));
          },
        };
      }),
  },
};

/** An agent that runs follows; otherwise what was placed stays placed. */
function afterLinks(model: Model, addresses: Addresses): Model {
  const next = { ...model, addresses };
  return model.isRunning ? inSync(next) : next;
}

/** Worlds in which the interface lacks some of its addresses: a host endpoint found by one has no interface then. */
function withoutSome(model: Model, name: string): Step['between'] & object {
  if (!model.isRunning) return [];
  let partly: string[][] = [[]];
  for (const own of model.addresses[name] ?? [])
    partly = partly.flatMap((some) => [some, [...some, own]]);
  return partly.map((some) => worldOf(model.accepted, { ...model.addresses, [name]: some }));
}
