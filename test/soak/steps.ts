/** Everything that happens to a host, a row each: to what the sources say, to the agent, to tables, to disks; to links in link-steps.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { LINK_STEPS } from './link-steps.ts';
import { acceptAnew, inSync, onTheWay, withChanges } from './model.ts';
import type { Model } from './model.ts';
import { arbitraryChanges, onTheWayAnew, printChanges } from './step.ts';
import type { Step, StepKind } from './step.ts';

const pause = fc.nat(300);
const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;
const LONG = ['--confirm', '10m'] as const;
const SHORT = ['--confirm', '1s'] as const;
const DONE = [0, 4] as const;

/** Tables of others: near to ours by name, by hook and by kind. They decide nothing. */
const FOREIGN: Readonly<Record<string, string>> = {
  'ip picket': 'chain input { type filter hook input priority 0; counter accept; }',
  'bridge picket': 'chain forward { type filter hook forward priority 0; }',
  'inet picket2':
    'set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }; chain input { ip saddr @s counter accept; }',
  'inet nat':
    'map m { type inet_service : verdict; elements = { 9 : accept }; }; chain c { type nat hook postrouting priority 100; tcp dport vmap @m; }',
  'arp filter': 'chain input { type filter hook input priority 0; policy accept; }',
};

/** What others do to our table, one nft command each. */
const MEDDLING: readonly string[] = [
  'flush ruleset',
  'delete table inet picket',
  'flush table inet picket',
  'insert rule inet picket input accept',
  'insert rule inet picket forward-egress accept',
  'add chain inet picket theirs',
  'add table inet picket { flags dormant; }',
  'reset counters table inet picket',
];

function ifRunning(of: (model: Model) => Arbitrary<Step>): StepKind['of'] {
  return (model) => (model.isRunning ? of(model) : undefined);
}

/** No agent, a directory, and nothing else in the way. */
function ifStopped(of: (model: Model) => Arbitrary<Step> | undefined): StepKind['of'] {
  return (model) => (model.isRunning ? undefined : of(model));
}

function started(model: Model): Model {
  return inSync({ ...model, isRunning: true, accepted: acceptAnew(model) });
}

export const STEPS: Readonly<Record<string, StepKind>> = {
  ...LINK_STEPS,
  change: {
    weight: 12,
    storm: 'once',
    of: (model) =>
      fc.tuple(arbitraryChanges(model), fc.boolean(), pause).map(([changes, isSlow, ms]) => ({
        title: `${isSlow && !model.isKube ? 'slowly ' : ''}${printChanges(changes)}`,
        after: withChanges({ ...model, isHeld: false }, changes),
        between: onTheWay(model, changes),
        run: (rig) => rig.change(changes, isSlow ? ms : 0),
      })),
  },
  stop: {
    weight: 3,
    of: ifRunning((model) =>
      fc.constantFrom('SIGTERM' as const, 'SIGKILL' as const).map((signal) => ({
        title: signal,
        after: {
          ...model,
          isRunning: false,
          kept: signal === 'SIGTERM' && !model.isDiskFull ? model.inForce : undefined,
        },
        between: [],
        run: (rig) => rig.stop(signal),
      })),
    ),
  },
  start: {
    weight: 6,
    of: ifStopped((model) =>
      model.isHeld
        ? undefined
        : fc.constantFrom(0, 0, TEN_YEARS_MS, -TEN_YEARS_MS).map((shiftMs) => ({
            title: shiftMs === 0 ? '' : `with the clock ${shiftMs} ms wrong`,
            after: started(model),
            between: [],
            run: async (rig) => void rig.start(shiftMs),
          })),
    ),
  },
  crash: {
    weight: 5,
    storm: 'once',
    of: ifRunning((model) =>
      fc
        .tuple(
          arbitraryChanges(model),
          pause,
          fc.constantFrom('SIGKILL' as const, 'SIGTERM' as const),
          fc.boolean(),
        )
        .map(([changes, ms, signal, isStarting]) => {
          const before = { ...model, isRunning: true };
          const changed = withChanges(before, changes);
          return {
            title: `${signal} ${ms} ms after ${isStarting ? 'a start with ' : ''}${printChanges(changes)}`,
            after: started(changed),
            between: onTheWayAnew(before, changes, started(before)),
            run: async (rig) => {
              if (isStarting) {
                await rig.stop('SIGKILL');
                rig.start();
              }
              await rig.change(changes);
              await delay(ms);
              await rig.stop('SIGKILL');
              rig.start();
              await delay(ms);
              if (signal !== 'SIGTERM') return;
              await rig.agent.logged(/^in sync/);
              await rig.stop(signal);
              rig.start();
            },
          };
        }),
    ),
  },
  reload: {
    weight: 2,
    storm: 'often',
    of: ifRunning((model) =>
      fc.constant({
        title: 'SIGHUP',
        after: model,
        between: [],
        run: (rig) => rig.reload(),
      }),
    ),
  },
  freeze: {
    weight: 3,
    storm: 'often',
    of: ifRunning((model) =>
      fc.nat(1500).map((ms) => ({
        title: `the agent for ${ms} ms`,
        after: model,
        between: [],
        run: async (rig) => {
          rig.freeze(ms);
        },
      })),
    ),
  },
  apply: {
    weight: 4,
    of: ifStopped((model) => {
      if (model.isKube) return undefined;
      const after = { ...inSync({ ...model, accepted: acceptAnew(model) }), isHeld: false };
      return fc.constant({
        title: '',
        after: { ...after, kept: model.isDiskFull ? undefined : after.inForce },
        between: [],
        run: async (rig) => void (await rig.apply(DONE)),
      });
    }),
  },
  confirm: {
    weight: 4,
    of: ifStopped((model) => {
      if (model.isKube || model.isDiskFull) return undefined;
      const after = inSync({ ...model, accepted: acceptAnew(model), isHeld: false });
      return fc.constant({
        title: 'in time',
        after: { ...after, kept: after.inForce },
        between: [],
        run: async (rig) => {
          await rig.apply(DONE, ...LONG);
          if (rig.host.pending() !== undefined) await rig.say([0], 'confirm');
        },
      });
    }),
  },
  undo: {
    weight: 4,
    of: ifStopped((model) => {
      if (model.isKube || model.isDiskFull) return undefined;
      const { inForce } = inSync({ ...model, accepted: acceptAnew(model) });
      const how = fc.constantFrom(
        'said' as const,
        'too late' as const,
        'too late, guard killed' as const,
      );
      return how.map((way) => ({
        title: way,
        after: { ...model, kept: undefined, isHeld: true },
        between: [inForce],
        run: async (rig) => {
          await rig.apply(DONE, ...(way === 'said' ? LONG : SHORT));
          if (rig.host.pending() === undefined && way === 'said') return;
          if (way === 'said') await rig.say([0], 'confirm', '--undo');
          if (way === 'too late') return rig.host.untilDecided();
          if (way === 'said') return;
          rig.host.killGuards();
          await delay(1500);
          await rig.say([1], 'confirm');
        },
      }));
    }),
  },
  boot: {
    weight: 3,
    of: ifStopped((model) =>
      model.kept === undefined
        ? undefined
        : fc.constant({
            title: '',
            after: { ...model, inForce: model.kept, isHeld: false },
            between: undefined,
            run: async (rig) => {
              await rig.forgetBoot();
              await rig.say([0], 'boot');
            },
          }),
    ),
  },
  'panic-open': {
    weight: 3,
    of: (model) => {
      if (!model.isRunning && model.kept === undefined) return undefined;
      return fc.tuple(pause, fc.boolean()).map(([ms, isKilled]) => ({
        title: model.isRunning && isKilled ? `, a new agent after ${ms} ms` : `for ${ms} ms`,
        after: model.isRunning
          ? isKilled
            ? started(model)
            : model
          : { ...model, inForce: model.kept ?? model.inForce },
        between: undefined,
        run: async (rig) => {
          await rig.say([0], 'panic-open');
          await rig.untilOpen();
          if (model.isRunning && isKilled) {
            await rig.stop('SIGKILL');
            rig.start();
            await rig.agent.logged(/panic-open/);
          }
          await delay(ms);
          await rig.untilOpen();
          await rig.say([0], 'panic-open', '--undo');
        },
      }));
    },
  },
  meddle: {
    weight: 5,
    storm: 'often',
    of: ifRunning((model) =>
      fc
        .tuple(fc.constantFrom(...MEDDLING), fc.integer({ min: 1, max: 3 }))
        .map(([command, times]) => ({
          title: `nft ${command}, ${times} times`,
          after: command === 'flush ruleset' ? { ...model, foreign: new Set<string>() } : model,
          between: undefined,
          run: async (rig) => {
            // What is to be deleted may be gone by then, or an empty host may have no such chain.
            for (let i = 0; i < times; i++) await rig.nft(command).catch(() => undefined);
          },
        })),
    ),
  },
  neighbour: {
    weight: 3,
    storm: 'often',
    of: (model) =>
      fc.constantFrom(...Object.keys(FOREIGN)).map((name) => {
        const isThere = model.foreign.has(name);
        const others = [...model.foreign].filter((each) => each !== name);
        return {
          title: `${isThere ? 'delete' : 'add'} table ${name}`,
          after: { ...model, foreign: new Set(isThere ? others : [...others, name]) },
          between: [],
          run: async (rig) => {
            await rig.nft(
              isThere ? `delete table ${name}` : `table ${name} { ${FOREIGN[name] ?? ''}; }`,
            );
          },
        };
      }),
  },
  'fill disks': {
    weight: 2,
    storm: 'often',
    of: (model) =>
      model.isDiskFull
        ? undefined
        : fc.constant({
            title: '',
            after: { ...model, isDiskFull: true },
            between: [],
            run: async (rig) => rig.fillDisks(),
          }),
  },
  'free disks': {
    weight: 5,
    storm: 'often',
    of: (model) =>
      model.isDiskFull
        ? fc.constant({
            title: '',
            after: { ...model, isDiskFull: false },
            between: [],
            run: async (rig) => rig.freeDisks(),
          })
        : undefined,
  },
};
