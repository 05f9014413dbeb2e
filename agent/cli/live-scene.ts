/** What the running agent has in force, as a scene for questions. The judging is ours: the agent only tells its objects. */
import type { Config } from '../config/keys.ts';
import { OBJECTS_PATH, readObjects } from '../control/objects.ts';
import type { RunningObjects } from '../control/objects.ts';
import { unknownNode } from '../explain/ends.ts';
import { sceneOf } from '../explain/scene.ts';
import type { Scene } from '../explain/scene.ts';
import { askRows } from './ask.ts';
import { CommandError } from './exit.ts';

/** Throws CommandError. */
export async function askObjects(config: Config, hint: string): Promise<RunningObjects> {
  const running = readObjects(await askRows(config, OBJECTS_PATH, hint));
  if (running === undefined) throw new CommandError('the agent ended while it answered: ask again');
  return running;
}

export interface LiveOptions {
  /** The only node that judges; `undefined` = each node its own. */
  readonly node: string | undefined;
  /** Only the node of the agent judges. */
  readonly live: boolean;
}

/** Throws CommandError, also where the agent knows nothing. */
export async function loadRunningScene(
  config: Config,
  { node: flag, live }: LiveOptions,
): Promise<Scene> {
  const hint = 'start one with picket run, or judge by files: --manifests DIR';
  const { objects, oracle, node: own, interfaces } = await askObjects(config, hint);
  const node = live ? own : flag;
  const scene = sceneOf(objects, { config: oracle, node, live: { node: own, interfaces } });
  if (scene.resources.length === 0) {
    throw new CommandError('the running agent has no objects yet: picket status says why');
  }
  const unknown = unknownNode(scene);
  if (unknown !== undefined) throw new CommandError(unknown);
  return scene;
}
