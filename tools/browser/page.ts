// The page's script: offers what is to be run to the test that drives the browser.
import { compareFusedOps, type Compared } from './fused-ops.ts';
import { run, type Run, type TrainedOn } from './ten-steps.ts';

declare global {
  var train: (backend: TrainedOn) => Promise<Run>;
  var compareOps: () => Promise<Compared[]>;
}

globalThis.train = (backend) => run(backend, { wasmPaths: '/wasm' });
globalThis.compareOps = () => compareFusedOps('webgpu-software');
