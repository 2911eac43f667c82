// The figures of the report as SVG documents.
import { CustomChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent, VisualMapComponent } from 'echarts/components';
import { init, use, type EChartsCoreOption } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { SpeedRow } from '../speed.ts';
import type { CurvePoint, LayerRouting } from '../sweep/record.ts';
import type { Ceiling } from './ceilings.ts';
import type { Point } from './points.ts';
import type { PublishedLine } from './published.ts';

use([
  CustomChart,
  GridComponent,
  HeatmapChart,
  LegendComponent,
  LineChart,
  ScatterChart,
  SVGRenderer,
  TitleComponent,
  VisualMapComponent,
]);

/** Okabe and Ito's palette, which colour-blind readers can tell apart; shapes tell further ones apart. */
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000'];
const SYMBOLS = ['circle', 'diamond', 'triangle', 'rect', 'roundRect', 'pin'];
const DASHES = ['solid', 'dashed', 'dotted'];
const GREY = '#bbb';

/** Curves of one figure at most: more cannot be told apart. */
export const CURVES = COLOURS.length * 2;

/** Colour and shape of the i-th of many. */
const markOf = (i: number): { color: string; symbol: string } => ({
  color: COLOURS[i % COLOURS.length] as string,
  symbol: SYMBOLS[Math.floor(i / COLOURS.length) % SYMBOLS.length] as string,
});

const WIDTH = 960;
/** Of figures with few panels. */
const NARROW = 480;

function draw(option: EChartsCoreOption, height: number, width = WIDTH): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const heading = (text: string): object => ({ text, left: 'center', top: 6, textStyle: { fontSize: 14 } });

const axis = (name: string, options: object = {}): object => ({
  type: 'value',
  name,
  nameLocation: 'middle',
  nameGap: 34,
  splitLine: { lineStyle: { color: '#eee' } },
  ...options,
});

export const bytesText = (bytes: number): string => {
  if (bytes >= 2 ** 20) return `${+(bytes / 2 ** 20).toPrecision(3)} MiB`;
  if (bytes >= 2 ** 10) return `${+(bytes / 2 ** 10).toPrecision(3)} KiB`;
  return `${bytes} B`;
};

/** The legend to the right, in one column. */
const legend = (names: readonly string[]): object => ({
  data: names,
  type: 'plain',
  orient: 'vertical',
  left: 700,
  top: 36,
  itemHeight: 10,
  textStyle: { fontSize: 11 },
});

/** Powers of two around the values. */
const rangeOf = (values: readonly number[]): { min: number; max: number } => ({
  min: 2 ** Math.floor(Math.log2(Math.min(...values)) - 0.5),
  max: 2 ** Math.ceil(Math.log2(Math.max(...values)) + 0.5),
});

const heightFor = (names: number): number => Math.max(420, 60 + 20 * names);

/**
 * Accuracy against bytes of state, a line for each family: whiskers from the worst seed to the best, the ceiling of a window alone, and
 * published points in grey.
 */
export function accuracyAgainstState(
  title: string,
  points: readonly Point[],
  { ceiling, published = [] }: { ceiling?: Ceiling | undefined; published?: readonly PublishedLine[] } = {},
): string {
  const families = [...new Set(points.map(({ family }) => family))];
  const ceilingName = ceiling && `window of width ${ceiling.width}, by formula`;
  const series = families.flatMap((name, i) => {
    const { color, symbol } = markOf(i);
    const own = points.filter(({ family }) => family === name).sort((a, b) => a.stateBytes - b.stateBytes);
    return [
      {
        type: 'line',
        name,
        color,
        symbol,
        symbolSize: 9,
        lineStyle: { width: 1.5 },
        data: own.map(({ stateBytes, mean }) => [stateBytes, mean]),
      },
      ...own
        .filter(({ accuracy }) => accuracy.max > accuracy.min)
        .map(({ stateBytes, accuracy: { min, max } }) => ({
          type: 'line',
          color,
          symbol: 'none',
          silent: true,
          lineStyle: { width: 1 },
          data: [
            [stateBytes, min],
            [stateBytes, max],
          ],
        })),
    ];
  });
  const theirs = published.map(({ model, points: line }) => ({
    type: 'line',
    color: GREY,
    symbol: 'emptyCircle',
    symbolSize: 5,
    lineStyle: { width: 1, color: GREY },
    endLabel: { show: true, formatter: model, color: '#888', fontSize: 10 },
    labelLayout: { hideOverlap: true },
    data: line,
  }));
  const names = [...families, ...(ceilingName ? [ceilingName] : [])];
  return draw(
    {
      title: heading(title),
      legend: legend(names),
      grid: { left: 64, width: 600, top: 40, bottom: 56 },
      xAxis: axis('bytes of state of one sequence', {
        type: 'log',
        logBase: 2,
        ...rangeOf([
          ...points.map(({ stateBytes }) => stateBytes),
          ...theirs.flatMap(({ data }) => data.map(([x]) => x)),
        ]),
        axisLabel: { formatter: bytesText, fontSize: 10, hideOverlap: true },
      }),
      yAxis: axis('accuracy', { min: 0, max: 1, nameGap: 38 }),
      series: [
        ...theirs,
        ...series,
        ...(ceiling
          ? [
              {
                type: 'line',
                name: ceilingName,
                color: '#444',
                symbol: 'none',
                lineStyle: { type: 'dashed', width: 1.5 },
                data: ceiling.line,
              },
            ]
          : []),
      ],
    },
    heightFor(names.length),
  );
}

export interface Curve {
  readonly name: string;
  readonly points: readonly CurvePoint[];
}

/** Training loss and accuracy on unseen data over steps. Curves of one name share a colour. */
export function learningCurves(title: string, curves: readonly Curve[]): string {
  const names = [...new Set(curves.map(({ name }) => name))];
  const series = curves.flatMap(({ name, points }) => {
    const i = names.indexOf(name);
    const { color } = markOf(i);
    const dashes = DASHES[Math.floor(i / COLOURS.length) % DASHES.length];
    const line = { type: 'line', name, color, showSymbol: false, lineStyle: { width: 1.5, type: dashes } };
    return [
      { ...line, xAxisIndex: 0, yAxisIndex: 0, data: points.map(({ step, loss }) => [step, loss]) },
      { ...line, xAxisIndex: 1, yAxisIndex: 1, data: points.map(({ step, accuracy }) => [step, accuracy]) },
    ];
  });
  return draw(
    {
      title: heading(title),
      legend: legend(names),
      grid: [
        { left: 56, width: 260, top: 40, bottom: 56 },
        { left: 400, width: 260, top: 40, bottom: 56 },
      ],
      xAxis: [0, 1].map((gridIndex) => axis('step', { gridIndex, min: 0 })),
      yAxis: [
        axis('training loss, nats', { gridIndex: 0, min: 0 }),
        axis('accuracy', { gridIndex: 1, min: 0, max: 1 }),
      ],
      series,
    },
    heightFor(names.length),
  );
}

/** Share of the choices that each memory got, over training; a panel for each layer. */
export function memoryLoads(title: string, layers: readonly LayerRouting[]): string {
  const width = Math.min(360, (WIDTH - 60 - 70 * layers.length) / layers.length);
  const memories = Math.max(...layers.map((layer) => layer.memories));
  const names = Array.from({ length: memories }, (_, i) => `memory ${i}`);
  return draw(
    {
      title: heading(title),
      legend: { data: names, top: 28, textStyle: { fontSize: 11 } },
      grid: layers.map((_, i) => ({ left: 60 + i * (width + 70), width, top: 60, bottom: 56 })),
      xAxis: layers.map(({ layer }, gridIndex) => axis(`step, layer ${layer}`, { gridIndex, min: 0 })),
      yAxis: layers.map((_, gridIndex) =>
        axis(gridIndex === 0 ? 'share of choices' : '', { gridIndex, min: 0, max: 1, nameGap: 38 }),
      ),
      series: layers.flatMap(({ load }, i) =>
        names.map((name, memory) => ({
          type: 'line',
          name,
          color: markOf(memory).color,
          showSymbol: false,
          xAxisIndex: i,
          yAxisIndex: i,
          data: load.map(({ step, shares }) => [step, shares[memory] ?? 0]),
        })),
      ),
    },
    300,
    Math.max(NARROW, 60 + layers.length * (width + 70)),
  );
}

/** Which memories each token of one sequence went to: dark for the first choice, light for the others. */
export function tokenAssignment(title: string, layers: readonly LayerRouting[]): string {
  const panel = 120;
  const { ids } = (layers[0] as LayerRouting).example;
  return draw(
    {
      title: heading(title),
      grid: layers.map((_, i) => ({ left: 90, right: 30, top: 40 + i * (panel + 50), height: panel })),
      xAxis: layers.map((_, gridIndex) => ({
        type: 'category',
        gridIndex,
        data: ids.map(String),
        axisLabel: { fontSize: 8, rotate: 90, interval: 0 },
      })),
      yAxis: layers.map(({ layer, memories }, gridIndex) => ({
        type: 'category',
        gridIndex,
        name: `layer ${layer}`,
        nameLocation: 'end',
        nameGap: 6,
        data: Array.from({ length: memories }, (_, i) => `memory ${i}`),
        axisLabel: { fontSize: 10 },
        splitArea: { show: true, areaStyle: { color: ['#fafafa', '#f0f0f0'] } },
      })),
      visualMap: {
        show: false,
        min: 0,
        max: Math.max(1, ...layers.map(({ topK }) => topK - 1)),
        inRange: { color: ['#0072B2', '#9ecae1'] },
        seriesIndex: layers.map((_, i) => i),
      },
      series: layers.map(({ example }, i) => ({
        type: 'heatmap',
        xAxisIndex: i,
        yAxisIndex: i,
        data: example.chosen.flatMap((memories, token) =>
          memories.map((memory, rank) => [token, memory, rank]),
        ),
      })),
    },
    60 + layers.length * (panel + 50),
  );
}

/** Of the distinct tokens that went to one memory, the share that another one was sent too. */
export function memoryOverlap(title: string, layers: readonly LayerRouting[]): string {
  const side = Math.min(220, (WIDTH - 80 * layers.length) / layers.length);
  const names = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));
  return draw(
    {
      title: heading(title),
      grid: layers.map((_, i) => ({ left: 60 + i * (side + 80), width: side, top: 50, height: side })),
      xAxis: layers.map(({ layer, memories }, gridIndex) => ({
        type: 'category',
        gridIndex,
        data: names(memories),
        name: `also in memory, layer ${layer}`,
        nameLocation: 'middle',
        nameGap: 26,
      })),
      yAxis: layers.map(({ memories }, gridIndex) => ({
        type: 'category',
        gridIndex,
        data: names(memories),
        name: gridIndex === 0 ? 'of memory' : '',
        nameLocation: 'middle',
        nameGap: 30,
      })),
      visualMap: {
        show: false,
        min: 0,
        max: 1,
        inRange: { color: ['#ffffff', '#009E73'] },
        seriesIndex: layers.map((_, i) => i),
      },
      series: layers.map(({ overlap }, i) => ({
        type: 'heatmap',
        xAxisIndex: i,
        yAxisIndex: i,
        label: { show: true, formatter: ({ value }: { value: number[] }) => (value[2] as number).toFixed(2) },
        data: overlap.flatMap((row, of) => row.map((share, other) => [other, of, share])),
      })),
    },
    side + 110,
    Math.max(NARROW, 60 + layers.length * (side + 80)),
  );
}

/** Milliseconds of one decoded token against the tokens before it. */
export function decodeLatency(title: string, rows: readonly SpeedRow[]): string {
  const names = rows.map(({ mixer }) => mixer);
  return draw(
    {
      title: heading(title),
      legend: legend(names),
      grid: { left: 64, width: 600, top: 40, bottom: 56 },
      xAxis: axis('tokens before', { type: 'log', logBase: 2 }),
      yAxis: axis('ms a token', { type: 'log', nameGap: 44 }),
      series: rows.map(({ mixer, decode }, i) => ({
        type: 'line',
        name: mixer,
        ...markOf(i),
        symbolSize: 6,
        data: decode.map(({ context, milliseconds }) => [context, milliseconds.median]),
      })),
    },
    heightFor(names.length),
  );
}
