/**
 * Files as a power cut may leave them, cut off at every length or ending in zeros, through the code that the commands run: nothing is opened that
 * was closed, nothing throws, and whatever cannot be used is told.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { bootFrom } from '../../../agent/cli/boot.ts';
import { readStanding } from '../../../agent/cli/standing.ts';
import { DEFAULT_CONFIG } from '../../../agent/config/keys.ts';
import type { Config } from '../../../agent/config/keys.ts';
import { guard } from '../../../agent/guard/guard.ts';
import { noteUndone, putPending, readConfirmed, readUndone } from '../../../agent/guard/pending.ts';
import { settleOverdue } from '../../../agent/guard/undo.ts';
import type { UndoParts } from '../../../agent/guard/undo.ts';
import { governedHost, readLastGood } from '../../../agent/state/last-good.ts';
import { noteEnforcedOrigin, readEnforcedOrigin } from '../../../agent/state/origin.ts';
import { testAddon } from '../../support/addon.ts';
import { CrashHost, makeWorld } from '../../support/crash-world.ts';
import type { World } from '../../support/crash-world.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

/** Every length up to here, which is behind all that has a form, and some of those beyond. */
const EVERY_BYTES = 400;
const SOME = 40;

/** All of them are read, and so many are booted from: a table takes its time to go. */
const BOOT_EVERY = 19;

interface Damage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Without the file as it was. */
function damages(whole: Uint8Array): readonly Damage[] {
  return lengthsOf(whole.length).flatMap((length): Damage[] => {
    const cut = whole.subarray(0, length);
    const zeros = Buffer.concat([cut, Buffer.alloc(whole.length - length)]);
    const damage = [
      { name: `cut off after ${length}`, bytes: cut },
      { name: `zeros after ${length}`, bytes: zeros },
    ];
    return damage.filter(({ bytes }) => !Buffer.from(whole).equals(bytes));
  });
}

function lengthsOf(sizeBytes: number): readonly number[] {
  const every = Math.min(sizeBytes, EVERY_BYTES);
  const stride = Math.max(1, Math.ceil((sizeBytes - every) / SOME));
  const lengths = Array.from({ length: every }, (_, at) => at);
  for (let at = every; at < sizeBytes; at += stride) lengths.push(at);
  return [...new Set([...lengths, sizeBytes - 1])];
}

function partsOf({ host }: CrashHost): UndoParts {
  const directories = { run: host.directory('run'), state: host.directory('state') };
  return { native: testAddon(), netns: host.bench.netns.path, directories, now: Date.now };
}

function configOf({ host }: CrashHost): Config {
  const { PICKET_RUN_DIRECTORY: runDirectory = '', PICKET_STATE_DIRECTORY: stateDirectory = '' } =
    host.env;
  return { ...DEFAULT_CONFIG, netns: host.bench.netns.path, runDirectory, stateDirectory };
}

/** `before` and `after` have policies of one name. */
async function enforced({ host }: CrashHost): Promise<string> {
  return (await host.bench.policies()).join() || 'nothing';
}

function inWorld(use: (crash: CrashHost, world: World) => Promise<void>): Promise<void> {
  return made().then((world) => CrashHost.with((crash) => use(crash, world)));
}

let world: Promise<World> | undefined;

function made(): Promise<World> {
  world ??= makeWorld();
  return world;
}

for (const { name, file, others, out } of [
  { name: 'the state', file: 'state', others: [], out: 'fallback' },
  { name: 'the mark of host policy', file: 'host-policy', others: [], out: 'services' },
  {
    name: 'the mark of host policy, and no state',
    file: 'host-policy',
    others: ['state'],
    out: 'fallback',
  },
  { name: 'the state, and an empty mark', file: 'state', others: ['host-policy'], out: 'fallback' },
]) {
  kernelTest(`boot after a power cut: ${name}`, CAPS, (t) =>
    inWorld(async (crash, found) => {
      await crash.quiet(found);
      const { directories, native } = partsOf(crash);
      for (const other of others) writeFileSync(join(directories.state, other), '');
      const path = join(directories.state, file);
      const all = damages(readFileSync(path));
      for (const [at, { name: how, bytes }] of all.entries()) {
        writeFileSync(path, bytes);
        t.true(governedHost(directories.state), how);
        t.is(readLastGood(directories.state).ok, out === 'services', how);
        if (at % BOOT_EVERY !== 0) continue;
        await crash.restart();
        writeFileSync(path, bytes);
        const booted = await bootFrom(configOf(crash), directories, native);
        t.is(booted.loaded, out === 'fallback' ? 'fallback' : 'state', `${how}: ${booted.why}`);
        t.is(await enforced(crash), out, how);
      }
      t.true(all.length > 20, `${all.length} ways`);
      t.log(`${all.length} ways`);
    }),
  );
}

for (const { name, leftMs, file } of [
  { name: 'a change that waits', leftMs: 600_000, file: 'pending' },
  { name: 'a change that is overdue', leftMs: 0, file: 'pending' },
  { name: 'an undoing that was begun', leftMs: 600_000, file: 'undoing' },
] as const) {
  kernelTest(`after a power cut, nobody throws and all is told: ${name}`, CAPS, (t) =>
    inWorld(async (crash, found) => {
      await crash.waiting(found, leftMs);
      const parts = partsOf(crash);
      const { run } = parts.directories;
      const whole = readFileSync(join(run, 'pending'));
      rmSync(join(run, 'pending'));
      const path = join(run, file);
      const generation = await crash.host.bench.generation();
      for (const { name: how, bytes } of damages(whole)) {
        writeFileSync(path, bytes, { mode: 0o600 });
        readStanding(configOf(crash));
        const settled = await settleOverdue(parts);
        t.is(settled.kind, 'unusable', how);
        t.deepEqual(await settleOverdue(parts), { kind: 'nothing' }, `${how}: the way is free`);
      }
      t.is(await crash.host.bench.generation(), generation, 'never a part of a state');
      writeFileSync(path, whole, { mode: 0o600 });
      const kind = file === 'pending' && leftMs > 0 ? 'waiting' : 'undone';
      t.is((await settleOverdue(parts)).kind, kind, 'what is whole counts');
      t.is(await crash.state(found), kind === 'waiting' ? 'after' : 'before');
    }),
  );
}

const MINUTE_MS = 60_000;

kernelTest('notes that cannot be read are none', CAPS, (t) =>
  inWorld(async (crash, found) => {
    await crash.waiting(found);
    const { run } = partsOf(crash).directories;
    const tried = { host: 'h', policy: 'p' };
    const undone = { id: 'a', atMs: 1, why: 'deadline', scope: 'all', tried, origin: 'b' } as const;
    const origin = { source: 'run', sinceMs: MINUTE_MS, stateMs: 1, text: 'x' } as const;
    await noteUndone(run, undone);
    await noteEnforcedOrigin(run, origin);
    renameSync(join(run, 'pending'), join(run, 'confirmed'));
    const notes = [
      { file: 'undone.json', read: () => readUndone(run) },
      { file: 'origin.json', read: () => readEnforcedOrigin(run) },
      { file: 'confirmed', read: () => readConfirmed(run) },
    ];
    for (const { file, read } of notes) {
      t.not(read(), undefined, file);
      const path = join(run, file);
      for (const { name, bytes } of damages(readFileSync(path))) {
        writeFileSync(path, bytes);
        t.is(read(), undefined, `${file}, ${name}`);
      }
    }
  }),
);

kernelTest('a guard undoes what it was told of, whatever becomes of the file', CAPS, async (t) => {
  const found = await made();
  const sample = await sampleOf(found);
  await Promise.all(sample.map((damage) => undoneAnyway(t, found, damage)));
  t.true(sample.length > 10);
});

async function sampleOf(found: World): Promise<readonly (Damage | undefined)[]> {
  return CrashHost.with(async (crash) => {
    await crash.waiting(found);
    const all = damages(readFileSync(join(partsOf(crash).directories.run, 'pending')));
    return all.filter((_, at) => at % Math.ceil(all.length / 12) === 0);
  });
}

async function undoneAnyway(
  t: ExecutionContext,
  found: World,
  damage: Damage | undefined,
): Promise<void> {
  await CrashHost.with(async (crash) => {
    await crash.waiting(found, 400);
    const parts = partsOf(crash);
    const { run } = parts.directories;
    const bytes = damage?.bytes ?? new Uint8Array();
    const onReady = (): void => writeFileSync(join(run, 'pending'), bytes);
    const end = await guard(parts, 'change', onReady);
    t.is(end, 'undone', damage?.name);
    t.is(await crash.state(found), 'before', damage?.name);
    t.is(readUndone(run)?.id, 'change', damage?.name);
    t.deepEqual(await settleOverdue(parts), { kind: 'nothing' });
  });
}

kernelTest('a change of the boot before is forgotten, begun or not', CAPS, (t) =>
  inWorld(async (crash, found) => {
    await crash.waiting(found, 0);
    const parts = partsOf(crash);
    const { run } = parts.directories;
    rmSync(join(run, 'pending'));
    for (const file of ['pending', 'undoing']) {
      const fields = { id: 'old', bootId: 'another', deadlineMs: 0, scope: 'all' } as const;
      const pending = { ...fields, tried: { host: 'h', policy: 'p' } };
      const state = readLastGood(parts.directories.state);
      if (!state.ok) throw new Error(state.message);
      await putPending(run, {
        header: { ...state.snapshot.header, pending },
        batch: found.before.batch,
      });
      renameSync(join(run, 'pending'), join(run, file));
      t.deepEqual(await settleOverdue(parts), { kind: 'nothing' });
      t.deepEqual(await settleOverdue(parts), { kind: 'nothing' });
      t.is(await crash.state(found), 'after', 'what this boot has loaded stays');
    }
  }),
);
