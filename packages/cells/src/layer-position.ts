// Which layer of how many a cell is in, for cells that differ from layer to layer.
import { checkConfig, checkCount } from '@mnemix/tensor';

export interface LayerPosition {
  /** Layer that the cell is for, counted from 0. */
  readonly layer: number;
  /** Layers of the model. */
  readonly layers: number;
}

/** @throws MnemixError `config` unless there is such a layer */
export function checkLayer(cell: string, { layer, layers }: LayerPosition): void {
  checkCount(`${cell}(layers)`, layers);
  checkCount(`${cell}(layer)`, layer, 0);
  checkConfig(
    layer < layers,
    `${cell}(layer)`,
    `there is no layer ${layer} among ${layers}, counted from 0.`,
    'Pass the number of layers of the model as `layers`.',
  );
}
