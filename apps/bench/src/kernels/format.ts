// The result as Markdown.
import type { Spread } from '../statistics.ts';
import type { KernelResult, KernelsResult } from './index.ts';
import { deviceTime, ratiosTo, rooflineShare, withForms } from './numbers.ts';
import { linearTargets, productTargets, targetOf } from './targets.ts';

export function formatKernels(result: KernelsResult): string {
  const { command, node, backend, quick, ceilings, left, results } = result;
  const { vendor = '', architecture = '', description = '' } = backend.adapter ?? {};
  const ordinary = results.filter(({ family }) => family !== 'linearity');
  return [
    `Kernels on ${[vendor, architecture, description].filter(Boolean).join(' ')}${backend.software ? ', a software adapter' : ''}, Node ${node}: \`${command}\`.`,
    quick
      ? 'Tiny shapes, run once: this says that the kernels work, and nothing about their speed.'
      : 'Milliseconds on the device, of what was recorded once and is replayed without JavaScript in between: the median of the rounds (fastest – slowest). On the wall: with JavaScript.',
    `Measured on the device: a copy moves ${(ceilings.bytesPerSecond / 1e9).toFixed(0)} GB/s, multiply-adds in float32 run at ` +
      `${(ceilings.flopsPerSecond / 1e12).toFixed(2)} TFLOP/s. The share of the roofline is held against these; matrix units in half precision may exceed it.`,
    '',
    ...left.map(({ variant, reason }) => `- Not measured: ${variant}: ${reason}.`),
    ...results.flatMap(({ op, shape, precision, pass, failures }) =>
      Object.entries(failures).map(
        ([form, reason]) => `- ${op} ${shape}, ${precision}, ${pass}: no ${form} form: ${reason}`,
      ),
    ),
    '',
    ...targetTable(ordinary),
    ...fullTable(ordinary, result),
    ...linearityTable(results.filter(({ family }) => family === 'linearity')),
  ].join('\n');
}

const tableOf = (title: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  rows.length === 0
    ? []
    : [
        `## ${title}`,
        '',
        `| ${head.join(' | ')} |`,
        `| ${head.map(() => '---').join(' | ')} |`,
        ...rows.map((row) => `| ${row.join(' | ')} |`),
        '',
      ];

const finite = (value: number, digits: number): string =>
  Number.isFinite(value) ? value.toFixed(digits) : '–';

const PASSES = { forward: 'forward', training: 'forward and backward' } as const;

/** The targets beside what was measured; they are for an H200. */
function targetTable(results: readonly KernelResult[]): string[] {
  const rows = results.flatMap(({ op, precision, pass, isMain, forms, shape, cost }) => {
    if (!forms.ours) return [];
    const { median } = deviceTime(forms.ours);
    if (op === 'matMul' && shape === '4096×4096 · 4096×4096') {
      const rate = cost.flops / median / 1e9;
      const target = productTargets[precision];
      return [
        [
          op,
          precision,
          pass,
          `${rate.toFixed(1)} TFLOP/s`,
          `${target} TFLOP/s`,
          '–',
          rate >= target ? 'yes' : `no, ${(target / rate).toFixed(2)} ×`,
        ],
      ];
    }
    const target = isMain ? targetOf(op, precision, pass) : undefined;
    if (!target) return [];
    return [
      [
        op,
        precision,
        PASSES[pass],
        median.toFixed(3),
        target.ours.toFixed(2),
        finite(target.reference, 3),
        median <= target.ours ? 'yes' : `no, ${(median / target.ours).toFixed(2)} ×`,
      ],
    ];
  });
  return tableOf(
    'Targets (NVIDIA H200)',
    ['op', 'precision', 'pass', 'ms', 'target', 'reference, bf16', 'reached'],
    rows,
  );
}

function fullTable(results: readonly KernelResult[], { ceilings }: KernelsResult): string[] {
  const rows = results.map((result) => {
    const { op, shape, precision, pass, forms, cost, error, gradientDifference } = result;
    const start = [op, shape, precision, PASSES[pass]];
    if (!forms.ours) return [...start, ...Array.from({ length: 9 }, () => '–')];
    const { median } = deviceTime(forms.ours);
    const compared = withForms(result, results);
    const ratio = (form: 'portable' | 'naive'): string => {
      const ratios = ratiosTo(compared, form);
      return ratios ? `${ratios.device.toFixed(1)}; ${ratios.wall.toFixed(1)}` : '–';
    };
    return [
      ...start,
      spreadOf(deviceTime(forms.ours)),
      spreadOf(forms.ours.wall),
      String(forms.ours.dispatches ?? '–'),
      (cost.flops / median / 1e9).toFixed(2),
      (cost.bytes / median / 1e6).toFixed(0),
      `${(100 * rooflineShare(result, ceilings)).toFixed(0)} %`,
      ratio('portable'),
      ratio('naive'),
      error === undefined ? (gradientDifference?.toExponential(1) ?? '–') : error.toExponential(1),
    ];
  });
  return tableOf(
    'All',
    [
      'op',
      'shape',
      'precision',
      'pass',
      'ms',
      'ms on the wall',
      'dispatches',
      'TFLOP/s',
      'GB/s',
      'roofline',
      'portable ÷ ours (device; wall)',
      'naive ÷ ours (device; wall)',
      'error',
    ],
    rows,
  );
}

/** Each row beside the first of its op: the tokens are as many in all of them. */
function linearityTable(results: readonly KernelResult[]): string[] {
  const kindOf = ({ op, pass }: KernelResult): string => `${op.replace(/, \d+ memories$/, '')} ${pass}`;
  const rows = results.flatMap((result) => {
    const first = results.find((other) => kindOf(other) === kindOf(result));
    if (!result.forms.ours || !first?.forms.ours) return [];
    const { median } = deviceTime(result.forms.ours);
    return [
      [
        result.op,
        result.shape,
        PASSES[result.pass],
        spreadOf(deviceTime(result.forms.ours)),
        (median / deviceTime(first.forms.ours).median).toFixed(2),
        (kindOf(result) === `${result.op} ${result.pass}`
          ? linearTargets.tokens
          : linearTargets.memories
        ).toFixed(2),
      ],
    ];
  });
  return tableOf('Linear cost', ['op', 'shape', 'pass', 'ms', 'times the first', 'at most'], rows);
}

const spreadOf = ({ median, min, max }: Spread): string => {
  const digits = median < 1 ? 4 : 2;
  return `${median.toFixed(digits)} (${min.toFixed(digits)} – ${max.toFixed(digits)})`;
};
