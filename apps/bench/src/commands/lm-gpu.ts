import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { deviceTrace } from '@mnemix/tensor';
import { Option, type Command } from 'commander';
import { formatLmGpu } from '../lm-gpu/format.ts';
import { benchLmGpu, CHOICES, type Choice, type LmGpuResult } from '../lm-gpu/index.ts';
import { commandLine } from './command-line.ts';

interface Flags {
  readonly backend: 'webgpu' | 'webgpu-software';
  readonly quick: boolean;
  readonly only?: readonly Choice[];
  readonly trace?: string;
  readonly out?: string;
}

/** `bench lm-gpu`. */
export function addLmGpu(program: Command): void {
  program
    .command('lm-gpu')
    .description(
      'training and decoding of a Mixture-of-Memories language model on a GPU, beside the portable path',
    )
    .addOption(
      new Option('--backend <name>', 'where to compute')
        .choices(['webgpu', 'webgpu-software'])
        .default('webgpu'),
    )
    .option('--quick', 'a tiny model, once: whether it works, not how fast it is', false)
    .addOption(
      new Option('--only <what...>', 'a part alone, such as `ours mixed decoding`').choices(
        Object.values(CHOICES).flat(),
      ),
    )
    .option(
      '--trace <file>',
      'write a trace of one training step, which Perfetto opens (https://ui.perfetto.dev)',
    )
    .option('--out <path>', 'write <path>.md and <path>.json too, after every result')
    .action(async ({ backend, quick, only, trace, out }: Flags) => {
      const write = async (result: LmGpuResult): Promise<void> => {
        if (out === undefined) return;
        await mkdir(dirname(out), { recursive: true });
        await writeFile(`${out}.json`, `${JSON.stringify(result, null, 2)}\n`);
        await writeFile(`${out}.md`, formatLmGpu(result));
      };
      let traced: object | undefined;
      const result = await benchLmGpu({
        command: commandLine(),
        backend,
        quick,
        only,
        onResult: async (line, all) => {
          console.error(line);
          await write(all);
        },
        onProfile: (profile) => {
          traced ??= deviceTrace(profile);
        },
      });
      console.log(formatLmGpu(result));
      await write(result);
      if (trace !== undefined && traced) await writeFile(trace, JSON.stringify(traced));
    });
}
