// The result as Markdown.
import { formatDeviceKernelTimes } from '@mnemix/tensor';
import type { Spread } from '../statistics.ts';
import type { LmForm, LmGpuResult } from './index.ts';

const MOST_KERNELS = 25;

export function formatLmGpu({
  command,
  node,
  backend,
  quick,
  shape,
  training,
  decode,
  left,
}: LmGpuResult): string {
  const { vendor = '', architecture = '', description = '' } = backend.adapter ?? {};
  const { model, batch, tokens, decoded } = shape;
  const ratio = <T extends { readonly form: LmForm; readonly precision: string }>(
    rows: readonly T[],
    row: T,
    of: (row: T) => number,
  ): string => {
    const other = rows.find(({ form }) => form === 'portable');
    return other && row.form === 'ours' ? (of(row) / of(other)).toFixed(1) : '–';
  };
  return [
    `A Mixture-of-Memories language model on ${[vendor, architecture, description].filter(Boolean).join(' ')}` +
      `${backend.software ? ', a software adapter' : ''}, Node ${node}: width ${model.width}, ${model.layers} layers, ` +
      `${model.vocabSize} tokens in the vocabulary, ${batch} sequences of ${tokens} tokens: \`${command}\`.`,
    quick ? 'A tiny model, once: this says that it works, and nothing about its speed.' : '',
    ...left.map(({ what, reason }) => `- Not measured: ${what}: ${reason}.`),
    ...training.flatMap(({ form, precision, failures }) =>
      failures.map(
        ({ batch: tried, reason }) => `- ${form}, ${precision}: ${tried} sequences failed: ${reason}`,
      ),
    ),
    '',
    '## Training',
    '',
    '| form | precision | sequences | tokens/s | ÷ portable | ms a step | ms to encode | ms of kernels | dispatches | a block | reads in a step | loss |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...training.map((row) =>
      line([
        row.form,
        row.precision,
        row.batch,
        spreadOf(row.tokensPerSecond, 0),
        ratio(training, row, ({ tokensPerSecond }) => tokensPerSecond.median),
        spreadOf(row.wall, 1),
        spreadOf(row.encoding, 1),
        row.kernelMilliseconds?.toFixed(1) ?? '–',
        row.dispatches ?? '–',
        row.dispatchesPerBlock ?? '–',
        row.reads,
        row.losses.map((loss) => loss.toFixed(3)).join(' → '),
      ]),
    ),
    '',
    ...training.flatMap(({ form, precision, warmUpMilliseconds, firstStepMilliseconds }) =>
      warmUpMilliseconds === undefined
        ? []
        : [
            `- ${form}, ${precision}: compiling ahead took ${warmUpMilliseconds.toFixed(0)} ms, the first step after it ` +
              `${firstStepMilliseconds.toFixed(0)} ms.`,
          ],
    ),
    '',
    `## Decoding a token for each of ${decoded} sequences`,
    '',
    '| form | precision | ms a token | portable ÷ this | ms of kernels | dispatches |',
    '| --- | --- | --- | --- | --- | --- |',
    ...decode.map((row) =>
      line([
        row.form,
        row.precision,
        spreadOf(row.wall, 2),
        ratio(decode, row, ({ wall }) => 1 / wall.median),
        row.kernelMilliseconds?.toFixed(2) ?? '–',
        row.dispatches ?? '–',
      ]),
    ),
    '',
    ...training.flatMap(({ form, precision, kernels }) =>
      kernels && form === 'ours'
        ? [
            `## Where a step's time goes (${form}, ${precision})`,
            '',
            formatDeviceKernelTimes(kernels.slice(0, MOST_KERNELS)),
          ]
        : [],
    ),
  ].join('\n');
}

const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;

const spreadOf = ({ median, min, max }: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} – ${max.toFixed(digits)})`;
