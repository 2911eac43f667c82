// --backend of the commands that take no configuration.
import { Option } from 'commander';
import { configSchema, type Config } from '../config.ts';

export const backendOption = (): Option =>
  new Option('--backend <name>', 'where to compute')
    .choices(configSchema.shape.backend.unwrap().options)
    .default('auto');

export type BackendOption = { readonly backend: Config['backend'] };
