// The curves of one or several runs as an SVG: training loss, and accuracy on unseen data.
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { isEvaluation, isStep, type LogEntry, type StepEntry } from './log.ts';

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer]);

export interface Curve {
  /** Curves of one name, such as the seeds of one model, share a colour and a legend entry. */
  readonly name: string;
  readonly entries: readonly LogEntry[];
}

export interface FigureOptions {
  readonly title: string;
  /** An accuracy to mark. */
  readonly target?: number | undefined;
}

type Point = readonly [step: number, value: number];

/** Okabe and Ito's palette, which colour-blind readers can tell apart. */
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'];

/** Points of a curve at most: more cannot be seen. */
const POINTS = 200;

/** An SVG document of 960 × 400. */
export function drawCurves(curves: readonly Curve[], { title, target }: FigureOptions): string {
  const names = [...new Set(curves.map(({ name }) => name))];
  const series = curves.flatMap(({ name, entries }) => {
    const color = COLOURS[names.indexOf(name) % COLOURS.length] as string;
    const line = { type: 'line' as const, name, color, showSymbol: false, lineStyle: { width: 2 } };
    return [
      { ...line, xAxisIndex: 0, yAxisIndex: 0, data: lossPoints(entries) },
      {
        ...line,
        xAxisIndex: 1,
        yAxisIndex: 1,
        data: accuracyPoints(entries),
        showSymbol: true,
        symbolSize: 5,
        markLine: targetLine(target),
      },
    ];
  });
  const axis = {
    type: 'value' as const,
    nameLocation: 'middle' as const,
    nameGap: 28,
    splitLine: { lineStyle: { color: '#eee' } },
  };
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 400 });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, left: 'center', top: 8, textStyle: { fontSize: 15 } },
    legend: { data: names, top: 34 },
    grid: [
      { left: 70, width: 380, top: 75, bottom: 55 },
      { left: 540, width: 380, top: 75, bottom: 55 },
    ],
    xAxis: [0, 1].map((gridIndex) => ({ ...axis, gridIndex, name: 'step', min: 0 })),
    yAxis: [
      { ...axis, gridIndex: 0, name: 'training loss (nats)', nameGap: 40, min: 0 },
      { ...axis, gridIndex: 1, name: 'accuracy on unseen data', nameGap: 40, min: 0, max: 1 },
    ],
    series,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const targetLine = (target: number | undefined) =>
  target === undefined
    ? undefined
    : {
        silent: true,
        symbol: 'none',
        data: [{ yAxis: target }],
        lineStyle: { type: 'dashed' as const, color: '#999' },
        label: { formatter: `${100 * target} %`, position: 'insideStartTop' as const, color: '#666' },
      };

const accuracyPoints = (entries: readonly LogEntry[]): Point[] =>
  entries.filter(isEvaluation).map(({ step, unseen }) => [step, unseen.accuracy]);

/** Means over equal stretches of steps. */
function lossPoints(entries: readonly LogEntry[]): Point[] {
  const steps = entries.filter(isStep);
  const stretch = Math.ceil(steps.length / POINTS);
  const points: Point[] = [];
  for (let start = 0; start < steps.length; start += stretch) {
    const part = steps.slice(start, start + stretch);
    const loss = part.reduce((sum, step) => sum + step.loss, 0) / part.length;
    points.push([(part[part.length >> 1] as StepEntry).step, loss]);
  }
  return points;
}
