import { InvalidArgumentError, type Command } from 'commander';
import { publish } from '../publish.ts';
import { benchSpeed, formatSpeed, speedMixers } from '../speed.ts';
import { wholeNumber } from '../whole-number.ts';

interface Flags {
  readonly rounds: number;
  readonly contexts: readonly number[];
  readonly only?: readonly string[];
  readonly out?: string;
}

const mixerNames = (name: string, earlier: readonly string[] = []): readonly string[] => {
  const known = speedMixers();
  if (!known.includes(name)) throw new InvalidArgumentError(`Choose among: ${known.join(', ')}.`);
  return [...earlier, name];
};

/** `bench speed`. */
export function addSpeed(program: Command): void {
  program
    .command('speed')
    .description('training, prompt and decoding of every mixer on the CPU, beside softmax attention')
    .option('--rounds <n>', 'rounds of each measurement', wholeNumber, 7)
    .option(
      '--contexts <list>',
      'tokens before the one that is decoded, e.g. 64,1024',
      (list: string) => list.split(',').map(wholeNumber),
      [64, 256, 1024, 4096],
    )
    .option('--only <mixer>', 'measure this mixer alone; may be repeated', mixerNames)
    .option('--out <path>', 'write <path>.md and <path>.json too')
    .action(async ({ rounds, contexts, only, out }: Flags) => {
      const result = await benchSpeed({
        rounds,
        contexts,
        only,
        onMixer: ({ mixer, training, decode }) =>
          console.error(
            `${mixer.padEnd(24)}${training.overAttention.median.toFixed(2)} × attention in training, ` +
              `${decode.at(-1)?.overAttention.median.toFixed(2)} × in decoding`,
          ),
      });
      await publish(result, formatSpeed(result), out);
    });
}
