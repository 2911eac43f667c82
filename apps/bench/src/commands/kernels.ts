import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { deviceTrace, type DeviceProfile, type Precision, type TraceEvent } from '@mnemix/tensor';
import { Option, type Command } from 'commander';
import { families, type Family } from '../kernels/cases/index.ts';
import { drawKernels } from '../kernels/figure.ts';
import { benchKernels, formatKernels, type KernelResult, type KernelsResult } from '../kernels/index.ts';
import { deviceTime, ratiosTo } from '../kernels/numbers.ts';
import { commandLine } from './command-line.ts';

interface Flags {
  readonly backend: 'webgpu' | 'webgpu-software';
  readonly quick: boolean;
  readonly only?: readonly Family[];
  readonly matching?: string;
  readonly precision?: readonly Precision[];
  readonly alone: boolean;
  readonly trace?: string;
  readonly out?: string;
}

/** `bench kernels`. */
export function addKernels(program: Command): void {
  program
    .command('kernels')
    .description('speed and error of the WebGPU kernels, beside portable and naive forms in the same run')
    .addOption(
      new Option('--backend <name>', 'where to compute')
        .choices(['webgpu', 'webgpu-software'])
        .default('webgpu'),
    )
    .option('--quick', 'tiny shapes, once: whether they work, not how fast they are', false)
    .addOption(new Option('--only <op...>', 'these families of ops alone').choices(Object.keys(families)))
    .option('--matching <text>', 'those alone that have this in their op or shape')
    .addOption(new Option('--precision <name...>', 'these alone').choices(['float32', 'mixed']))
    .option('--alone', 'without the portable and naive forms', false)
    .option('--trace <file>', 'write a trace of ours, which Perfetto opens (https://ui.perfetto.dev)')
    .option('--out <path>', 'write <path>.md, <path>.json and <path>.svg too, after every result')
    .action(async ({ backend, quick, only, matching, precision, alone, trace, out }: Flags) => {
      const profiles: [name: string, profile: DeviceProfile][] = [];
      const result = await benchKernels({
        command: commandLine(),
        backend,
        quick,
        only,
        matching,
        precisions: precision,
        alone,
        onResult: async (one, all) => {
          console.error(progressLine(one));
          if (out !== undefined) await write(all, out);
        },
        onProfile: (name, profile) => void (trace !== undefined && profiles.push([name, profile])),
      });
      console.log(formatKernels(result));
      if (out !== undefined) await write(result, out);
      if (trace !== undefined) await writeFile(trace, JSON.stringify(traceOf(profiles)));
    });
}

async function write(result: KernelsResult, out: string): Promise<void> {
  await mkdir(dirname(out), { recursive: true });
  await writeFile(`${out}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${out}.md`, formatKernels(result));
  await writeFile(`${out}.svg`, drawKernels(result));
}

/** E.g. `delta rule, scalar 8×2048×8×128 float32 training: 3.215 ms, 41 × portable, 5e-7`. */
function progressLine(result: KernelResult): string {
  const { op, shape, precision, pass, forms, error, gradientDifference, failures } = result;
  const name = `${op} ${shape} ${precision} ${pass}`;
  if (!forms.ours) return `${name}: ${failures.ours ?? 'not measured'}`;
  const ratios = (['portable', 'naive'] as const).flatMap((form) => {
    const ratio = ratiosTo(result, form);
    return ratio ? [`${ratio.device.toFixed(1)} × ${form}`] : [];
  });
  const found = error ?? gradientDifference;
  return [
    `${name}: ${deviceTime(forms.ours).median.toFixed(4)} ms`,
    ...ratios,
    ...(found === undefined ? [] : [found.toExponential(1)]),
  ].join(', ');
}

/** One after the other, each with a span of its own above the kernels. */
function traceOf(profiles: readonly (readonly [name: string, profile: DeviceProfile])[]): object {
  const traceEvents: TraceEvent[] = [];
  let offset = 0;
  for (const [name, profile] of profiles) {
    const length = Math.max(
      0,
      ...[...profile.device, ...profile.host].map(({ start, milliseconds }) => start + milliseconds),
    );
    for (const event of deviceTrace(profile).traceEvents) {
      if (event.ph === 'X') traceEvents.push({ ...event, ts: event.ts + 1000 * offset });
      else if (offset === 0) traceEvents.push(event);
    }
    const place = { ph: 'X', pid: 2, tid: 0, ts: 1000 * offset, dur: 1000 * length, args: {} } as const;
    traceEvents.push({ ...place, name });
    offset += 1.05 * length;
  }
  return { displayTimeUnit: 'ms', traceEvents };
}
