// The times of ours at the main shape as a figure, beside the portable form, the target and the reference.
import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { KernelsResult } from './index.ts';
import { deviceTime, withForms } from './numbers.ts';
import { targetOf } from './targets.ts';

use([BarChart, GridComponent, LegendComponent, SVGRenderer, TitleComponent]);

const ROW_HEIGHT = 46;

/** An SVG document. */
export function drawKernels({ backend, results }: KernelsResult): string {
  const rows = results.filter(({ isMain, forms }) => isMain && forms.ours);
  const names = rows.map(
    ({ op, precision, pass }) => `${op}, ${precision}${pass === 'training' ? ', with backward' : ''}`,
  );
  const series: readonly [name: string, colour: string, values: readonly (number | null)[]][] = [
    ['ours', '#0072B2', rows.map(({ forms }) => forms.ours && deviceTime(forms.ours).median)],
    [
      'portable form',
      '#bbbbbb',
      rows.map((row) => {
        const { portable } = withForms(row, results).forms;
        return portable && deviceTime(portable).median;
      }),
    ],
    ['target on an H200', '#E69F00', rows.map((row) => targetOf(row.op, row.precision, row.pass)?.ours)],
    [
      'reference on an H200 (bf16)',
      '#009E73',
      rows.map((row) => targetOf(row.op, row.precision, row.pass)?.reference),
    ],
  ].map(([name, colour, values]) => [
    name as string,
    colour as string,
    (values as (number | undefined)[]).map((value) =>
      value !== undefined && Number.isFinite(value) ? value : null,
    ),
  ]);
  const height = 110 + ROW_HEIGHT * rows.length;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 960, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: `Kernels on ${backend.adapter?.description || backend.adapter?.vendor || backend.name}: milliseconds, logarithmic`,
      left: 'center',
      top: 6,
      textStyle: { fontSize: 14 },
    },
    legend: { top: 30, data: series.map(([name]) => name) },
    grid: { left: 300, right: 30, top: 62, bottom: 30 },
    xAxis: { type: 'log', axisLabel: { fontSize: 10 } },
    yAxis: { type: 'category', inverse: true, data: names, axisLabel: { fontSize: 11, width: 285 } },
    series: series.map(([name, color, data]) => ({
      type: 'bar',
      name,
      color,
      data,
      label: {
        show: true,
        position: 'right',
        fontSize: 9,
        formatter: ({ value }: { value: number | null }) => (value === null ? '' : value.toPrecision(3)),
      },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
