// The same training in Node: `node node.js wasm` prints the run as JSON.
import { closeBackend } from '@mnemix/tensor';
import { run, type TrainedOn } from './ten-steps.ts';

console.log(JSON.stringify(await run(process.argv[2] as TrainedOn)));
// Closed, not cut off: Dawn may crash where a process exits with a device at work.
await closeBackend();
