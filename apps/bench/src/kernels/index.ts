// Speed and error of the WebGPU kernels beside what the same computation costs without them, in the same run.
import '@mnemix/kernels';
import { closeBackend, openBackend, type BackendReport } from '@mnemix/tensor';
import { kernelCases, type KernelCase } from './cases.ts';
import { CAREFUL, measure, QUICK, type Timing } from './measure.ts';

export { formatKernels } from './format.ts';

export interface KernelResult {
  readonly op: string;
  readonly shape: string;
  readonly variant: string;
  readonly ours: Timing;
  readonly stock: Timing;
  /** Time of the stock form over ours, by the device's clock where it has one. */
  readonly ratio: number;
  readonly flops: number;
  readonly bytes: number;
  /** Relative RMS, of a sample of entries against float64. */
  readonly error: number;
  readonly stockError: number;
}

export interface KernelsResult {
  readonly node: string;
  readonly backend: BackendReport;
  readonly quick: boolean;
  /** Variants that this device cannot do, and why. */
  readonly left: readonly { readonly variant: string; readonly reason: string }[];
  readonly results: readonly KernelResult[];
}

export interface KernelsOptions {
  readonly backend: 'webgpu' | 'webgpu-software';
  /** Tiny shapes, once: whether it works, not how fast it is. */
  readonly quick: boolean;
  readonly onResult?: (result: KernelResult) => void;
}

/** @throws MnemixError `backend` without WebGPU */
export async function benchKernels({ backend, quick, onResult }: KernelsOptions): Promise<KernelsResult> {
  const cases = kernelCases(quick);
  const results: KernelResult[] = [];
  const left: { variant: string; reason: string }[] = [];
  let first: BackendReport | undefined;
  for (const precision of ['float32', 'mixed'] as const) {
    await closeBackend();
    const report = await openBackend(backend, { precision });
    first ??= report;
    if (report.precision !== precision) {
      left.push({ variant: precision, reason: report.rejected.map(({ reason }) => reason).join('; ') });
      continue;
    }
    for (const each of cases.filter((one) => one.precision === precision)) {
      const result = await run(each, quick);
      results.push(result);
      onResult?.(result);
    }
  }
  return { node: process.version, backend: first as BackendReport, quick, left, results };
}

async function run({ op, shape, variant, prepare }: KernelCase, quick: boolean): Promise<KernelResult> {
  const { ours, stock, flops, bytes, errorOf, dispose } = prepare();
  const [error, stockError] = [await errorOfOne(ours, errorOf), await errorOfOne(stock, errorOf)];
  const times = await measure({ ours, stock }, quick ? QUICK : CAREFUL);
  dispose();
  const median = ({ device, wall }: Timing): number => (device ?? wall).median;
  return {
    op,
    shape,
    variant,
    ...times,
    ratio: median(times.stock) / median(times.ours),
    flops,
    bytes,
    error,
    stockError,
  };
}

async function errorOfOne<T extends { dispose(): void }>(
  make: () => T,
  errorOf: (made: T) => Promise<number>,
): Promise<number> {
  const made = make();
  const error = await errorOf(made);
  made.dispose();
  return error;
}
