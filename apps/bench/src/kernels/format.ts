// The result as Markdown.
import type { KernelResult, KernelsResult } from './index.ts';
import type { Timing } from './measure.ts';

export function formatKernels({ node, backend, quick, left, results }: KernelsResult): string {
  const { vendor = '', architecture = '', description = '' } = backend.adapter ?? {};
  return [
    `Kernels on ${[vendor, architecture, description].filter(Boolean).join(' ')}${backend.software ? ', a software adapter' : ''}, Node ${node}.`,
    quick
      ? 'Tiny shapes, run once: this says that the kernels work, and nothing about their speed.'
      : 'Median of the rounds by the device’s own clock (slowest and fastest), beside tfjs’s own kernels in the same run.',
    ...left.map(({ variant, reason }) => `No ${variant}: ${reason}.`),
    '',
    '| op | shape | variant | ms | stock, ms | times as fast | TFLOP/s | GB/s | error | stock error |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...results.map(row),
    '',
  ].join('\n');
}

function row({
  op,
  shape,
  variant,
  ours,
  stock,
  ratio,
  flops,
  bytes,
  error,
  stockError,
}: KernelResult): string {
  const { median } = ours.device ?? ours.wall;
  const cells = [
    op,
    shape,
    variant,
    milliseconds(ours),
    milliseconds(stock),
    ratio.toFixed(2),
    (flops / median / 1e9).toFixed(2),
    (bytes / median / 1e6).toFixed(0),
    error.toExponential(1),
    stockError.toExponential(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

function milliseconds({ device, wall }: Timing): string {
  const { median, min, max } = device ?? wall;
  return `${median.toFixed(4)} (${min.toFixed(4)} – ${max.toFixed(4)})`;
}
