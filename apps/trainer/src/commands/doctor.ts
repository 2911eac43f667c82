// mnemix doctor: what this machine can compute with.
import { Command } from 'commander';

export function doctorCommand(): Command {
  return new Command('doctor').description('Tell which backends work here, and why the others do not.');
}
