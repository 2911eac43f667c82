// The page's script: offers the training to the test that drives the browser.
import { run, type Run, type TrainedOn } from './ten-steps.ts';

declare global {
  var train: (backend: TrainedOn) => Promise<Run>;
}

globalThis.train = (backend) => run(backend, { wasmPaths: '/wasm' });
