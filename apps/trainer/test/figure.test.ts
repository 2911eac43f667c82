import { describe, expect, it } from 'vitest';
import { drawCurves } from '../src/figure.ts';
import type { LogEntry } from '../src/log.ts';

const entries: LogEntry[] = Array.from({ length: 1000 }, (_, i) => i + 1).flatMap((step): LogEntry[] => [
  { step, tokens: 1, loss: 4 / step, accuracy: 0, learningRate: 1, gradientNorm: 1, seconds: step },
  ...(step % 100 === 0 ? [{ step, unseen: { loss: 1, accuracy: step / 1000 } }] : []),
]);

describe('the figure of the curves', () => {
  const svg = drawCurves(
    [
      { name: 'mom', entries },
      { name: 'mom', entries },
      { name: 'single', entries },
    ],
    { title: 'recall <3', target: 0.99 },
  );

  it('is an SVG document with title, legend, axes and target', () => {
    expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    for (const text of [
      'recall &lt;3',
      'training loss (nats)',
      'accuracy on unseen data',
      'step',
      '>single<',
      '99 %',
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg.match(/>mom</g)).toHaveLength(1);
  });

  it('has two curves for each run, in the colour of its model', () => {
    const lines = (colour: string) =>
      svg.match(new RegExp(`<path [^>]*fill="none" [^>]*stroke="${colour}"`, 'g'))?.length;
    expect([lines('#0072B2'), lines('#D55E00')]).toEqual([4, 2]);
  });

  it('stays small, however long the run', () => {
    expect(svg.length).toBeLessThan(60_000);
  });

  it('can be drawn of a run that has no evaluation yet', () => {
    expect(drawCurves([{ name: 'mom', entries: entries.slice(0, 3) }], { title: 'short' })).toContain(
      '</svg>',
    );
    expect(drawCurves([{ name: 'mom', entries: [] }], { title: 'empty' })).toContain('</svg>');
  });
});
