// The same training in Node: `node node.js wasm` prints the run as JSON.
import { run, type TrainedOn } from './ten-steps.ts';

console.log(JSON.stringify(await run(process.argv[2] as TrainedOn)));
process.exit(0);
