// mnemix schema: what editors need to know of a configuration file.
import { Command } from 'commander';
import { configJsonSchema } from '../config.ts';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('Print the JSON schema of configuration files; config.schema.json holds the same.')
    .action(() => console.log(JSON.stringify(configJsonSchema(), undefined, 2)));
}
