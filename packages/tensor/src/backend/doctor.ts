// What works on this machine: every backend is opened, made to multiply two matrices, and closed again.
import { engine, getKernel, type KernelBackend, type TensorInfo } from '@tensorflow/tfjs-core';
import type { BackendName } from '../define-op.ts';
import { availableCores, isNode } from './environment.ts';
import { openedBackend, openers, type BackendOptions } from './open.ts';
import { reasonOf, type BackendChoice, type BackendReport, type Opened } from './report.ts';

export interface Finding {
  readonly name: BackendChoice;
  /** It opened, and its product was right. */
  readonly works: boolean;
  /** Why it does not work. */
  readonly reason?: string;
  /** What it offers, where it opened. */
  readonly report?: BackendReport;
}

export interface Diagnosis {
  readonly runtime: string;
  readonly cores: number;
  /** What `openBackend()` would choose. */
  readonly automatic: BackendChoice | undefined;
  /** In order of preference; the software adapter, which is never chosen, comes last. */
  readonly findings: readonly Finding[];
}

/** Tries every backend without changing the current one. */
export async function doctor(options: BackendOptions = {}): Promise<Diagnosis> {
  const findings: Finding[] = [];
  // One after the other: they share what they register.
  for (const name of Object.keys(openers) as BackendChoice[]) findings.push(await examine(name, options));
  const automatic = findings.find(({ name, works }) => works && name !== 'webgpu-software')?.name;
  return { runtime: describeRuntime(), cores: availableCores(), automatic, findings };
}

async function examine(name: BackendChoice, options: BackendOptions): Promise<Finding> {
  const kernels: BackendName = name === 'webgpu-software' ? 'webgpu' : name;
  const known = await openedBackend(kernels);
  const inUse = known?.report.software === (name === 'webgpu-software') ? known : undefined;
  let opened: Opened | undefined;
  try {
    opened = inUse ?? (await openers[name](options));
    const error = await productError(kernels, opened.instance, opened !== inUse);
    const { report } = opened;
    return error === 0
      ? { name, works: true, report }
      : { name, works: false, reason: `a product is off by ${error}`, report };
  } catch (error) {
    return { name, works: false, reason: reasonOf(error) };
  } finally {
    if (opened && opened !== inUse) {
      opened.instance.dispose();
      opened.close?.();
      // A kernel belongs to the instance that it was last set up with.
      const current = engine().registry[kernels];
      if (current) getKernel('BatchMatMul', kernels)?.setupFunc?.(current as never);
    }
  }
}

/** Largest error of a product of small integers, run on a backend that need not be tfjs's current one. */
async function productError(kernels: BackendName, backend: KernelBackend, isNew: boolean): Promise<number> {
  const [m, k, n] = [9, 17, 5];
  const a = Float32Array.from({ length: m * k }, (_, i) => (i % 7) - 3);
  const b = Float32Array.from({ length: k * n }, (_, i) => (i % 5) - 2);
  const kernel = getKernel('BatchMatMul', kernels);
  if (!kernel) throw new Error(`tfjs has no matrix product for ${kernels}`);
  if (isNew) kernel.setupFunc?.(backend as never);
  const input = (values: Float32Array, shape: number[]): TensorInfo => ({
    dataId: backend.write(values, shape, 'float32'),
    shape,
    dtype: 'float32',
  });
  const inputs = { a: input(a, [1, m, k]), b: input(b, [1, k, n]) };
  const made = kernel.kernelFunc({
    inputs,
    attrs: { transposeA: false, transposeB: false },
    backend: backend as never,
  }) as TensorInfo;
  const found = (await backend.read(made.dataId)) as Float32Array;
  for (const { dataId } of [inputs.a, inputs.b, made]) backend.disposeData(dataId);
  const expected = (i: number): number =>
    Array.from(
      { length: k },
      (_, j) => (a[Math.floor(i / n) * k + j] as number) * (b[j * n + (i % n)] as number),
    ).reduce((x, y) => x + y, 0);
  return Math.max(...Array.from(found, (value, i) => Math.abs(value - expected(i))));
}

function describeRuntime(): string {
  if (isNode()) return `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
  return globalThis.navigator?.userAgent ?? 'unknown runtime';
}

/** The diagnosis as lines for a terminal. */
export function formatDoctor({ runtime, cores, automatic, findings }: Diagnosis): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, works, reason, report }) => [
    `  ${works ? '✓' : '✗'} ${name.padEnd(width)}  ${works && report ? describeReport(report) : reason}${name === automatic ? ' (default)' : ''}`,
    ...(report?.rejected ?? []).map(({ name: part, reason: why }) => `    no ${part}: ${why}`),
  ]);
  return [`${runtime}, ${cores} cores`, ...lines].join('\n');
}

function describeReport({ adapter, features, simd, threads, name }: BackendReport): string {
  if (adapter) {
    return (
      [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(' ') +
      `; ${features.join(', ') || 'no optional features'}`
    );
  }
  return name === 'wasm'
    ? `${simd ? 'SIMD, ' : ''}${threads} ${threads === 1 ? 'thread' : 'threads'}`
    : 'plain JavaScript, slow';
}
