/** Loaded into a `picket` process ahead of it (`node --import`): the addon is for another machine. */
import { Module } from 'node:module';

const extensions = Reflect.get(Module, '_extensions') as Record<string, () => never>;

extensions['.node'] = () => {
  throw Object.assign(new Error('invalid ELF header'), { code: 'ERR_DLOPEN_FAILED' });
};
