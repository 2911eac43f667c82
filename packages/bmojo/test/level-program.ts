// A process that writes to a store until it is killed, or until the disk is full. Run by level-store.test.ts.
import { openLevelStore } from '../src/level-store.ts';

const [, , location, task] = process.argv as [string, string, string, string];
const store = await openLevelStore(location);
const filled = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value);
const outcome = (put: Promise<void>): Promise<string> =>
  put.then(
    () => 'ok',
    (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
  );

if (task === 'until killed') {
  for (let i = 0; ; i++) {
    await store.put([
      [`left/${i}`, filled(i % 256, 3000)],
      [`right/${i}`, filled(i % 256, 3000)],
    ]);
    process.stdout.write(`${i}\n`);
  }
} else {
  // More than a file may hold here, between two writes that fit.
  const results = [
    await outcome(store.put([['before', filled(1, 1000)]])),
    await outcome(store.put([['far too large', filled(2, 4_000_000)]])),
    await outcome(
      store.put([
        ['after', filled(3, 1000)],
        ['and after', filled(4, 1000)],
      ]),
    ),
  ];
  const found = await store.get(['before', 'far too large', 'after']);
  process.stdout.write(JSON.stringify({ results, found: found.map((value) => value?.[0] ?? null) }));
  process.kill(process.pid, 'SIGKILL');
}
