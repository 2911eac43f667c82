// mnemix doctor: what this machine can compute with.
import { Command } from 'commander';
import { doctor, formatDoctor } from '@mnemix/tensor';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Tell which backends work here, which one is used, and why the others are not.')
    .action(async () => console.log(formatDoctor(await doctor())));
}
