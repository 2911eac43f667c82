// A phone-book: recall of many tokens by keys of many tokens (after Jelassi et al. 2024, "Repeat after me: Transformers are better
// than state space models at copying", where the symbols are those of text).
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { addTo } from './distributions.ts';
import { distinctIntegers } from './sampling.ts';
import { defineTask, type ExampleSource, type Task } from './task.ts';

export interface PhoneBookSegment {
  /** Lines n of the book. */
  readonly entries: number;
  /** Lines that are asked for after it, each another one (default 1). */
  readonly queries?: number;
  /** Share of the batches (default 1), where every example is new. */
  readonly weight?: number;
  /** Size of a fixed data set instead. The segments are then passed through in order, epoch by epoch. */
  readonly examples?: number;
}

export interface PhoneBookConfig {
  /** What to train on (default: one segment of 20 entries). A batch holds sequences of one segment. */
  readonly segments?: readonly PhoneBookSegment[];
  /** What to test on (default: the same segments, other examples). */
  readonly testSegments?: readonly PhoneBookSegment[];
  /** Tokens of a name (default 2), and symbols they are made of (default 32). */
  readonly nameTokens?: number;
  readonly nameSymbols?: number;
  /** Tokens of a number (default 10), and digits they are made of (default 10). */
  readonly numberTokens?: number;
  readonly digits?: number;
}

type LineSizes = Required<Omit<PhoneBookConfig, 'segments' | 'testSegments'>>;

/**
 * The task: n lines `name number 0`, then some of these lines again in random order. In the repeated lines every token
 * of the number is a target, at the position before it: the first digit at the name's last token. Names are distinct,
 * uniform among all sequences of their symbols, and so may share symbols; numbers are uniform. Token 0 ends a line,
 * names are of tokens 1 … S, numbers of S+1 … S+D.
 *
 * A number counts as recalled if all of its digits are right; the accuracy over labels counts single digits, with those
 * before them given.
 *
 * @throws MnemixError `config`, naming the key
 */
export function phoneBook(config: PhoneBookConfig = {}): Task {
  checkKeys('phone_book: ', config, [
    'segments',
    'testSegments',
    'nameTokens',
    'nameSymbols',
    'numberTokens',
    'digits',
  ]);
  const {
    segments = [{ entries: 20 }],
    testSegments = segments,
    nameTokens = 2,
    nameSymbols = 32,
    numberTokens = 10,
    digits = 10,
  } = config;
  const line = { nameTokens, nameSymbols, numberTokens, digits };
  for (const [key, value] of Object.entries(line)) checkInteger(`phone_book: ${key}`, value, 1);
  const names = nameSymbols ** nameTokens;
  checkConfig(
    names < 2 ** 31,
    'phone_book: nameTokens',
    `${nameSymbols}^${nameTokens} names are too many to draw from.`,
    'Choose fewer tokens or symbols: at most 2^31 names.',
  );
  const sources = (key: string, list: readonly PhoneBookSegment[]): ExampleSource[] => {
    checkConfig(
      Array.isArray(list),
      `phone_book: ${key}`,
      'expected a list.',
      'Pass e.g. [{ entries: 20 }].',
    );
    return list.map((segment, i) => {
      checkSegment(`phone_book: ${key}[${i}]`, segment, names);
      return segmentSource(segment, line);
    });
  };
  return defineTask({
    name: 'phone_book',
    config: { segments, testSegments, ...line },
    vocabSize: 1 + nameSymbols + digits,
    train: sources('segments', segments),
    test: sources('testSegments', testSegments),
  });
}

function checkSegment(where: string, segment: PhoneBookSegment, names: number): void {
  checkKeys(`${where}.`, segment, ['entries', 'queries', 'weight', 'examples']);
  const { entries, queries = 1 } = segment;
  checkInteger(`${where}.entries`, entries, 1);
  checkInteger(`${where}.queries`, queries, 1);
  checkConfig(
    entries <= names,
    `${where}.entries`,
    `${entries} entries need distinct names, of which there are ${names}.`,
    'Choose more nameTokens or nameSymbols.',
  );
  checkConfig(
    queries <= entries,
    `${where}.queries`,
    `${queries} lines are asked for, the book has ${entries}.`,
    `Choose queries ≤ ${entries}.`,
  );
}

function segmentSource(segment: PhoneBookSegment, line: LineSizes): ExampleSource {
  const { entries, queries = 1, weight, examples } = segment;
  const { nameTokens, nameSymbols, numberTokens, digits } = line;
  const lineTokens = nameTokens + numberTokens + 1;
  const tokens = (entries + queries) * lineTokens;
  return {
    name: `N${entries}-Q${queries}`,
    tokens,
    weight,
    examples,
    // A digit stands as many whole lines before its place in the repeated line as there are lines between the two.
    reaches: () => {
      const reaches = new Float64Array(tokens + 1);
      for (let q = 0; q < queries; q++) {
        for (let e = 0; e < entries; e++) {
          addTo(reaches, (entries + q - e) * lineTokens, 1 / (entries * queries));
        }
      }
      return reaches;
    },
    guess: 1 / digits,
    write(rng, inputs, targets, reach) {
      const names = distinctIntegers(rng.fold('names'), entries, 0, nameSymbols ** nameTokens);
      const numbers = rng
        .fold('numbers')
        .integers(entries * numberTokens, 1 + nameSymbols, 1 + nameSymbols + digits);
      const asked = distinctIntegers(rng.fold('queries'), queries, 0, entries);
      const writeLine = (at: number, entry: number): void => {
        let name = names[entry] as number;
        for (let i = nameTokens - 1; i >= 0; i--) {
          inputs[at + i] = 1 + (name % nameSymbols);
          name = Math.floor(name / nameSymbols);
        }
        inputs.set(numbers.subarray(entry * numberTokens, (entry + 1) * numberTokens), at + nameTokens);
      };
      names.forEach((_, entry) => writeLine(entry * lineTokens, entry));
      asked.forEach((entry, q) => {
        const at = (entries + q) * lineTokens;
        writeLine(at, entry);
        for (let i = 0; i < numberTokens; i++) {
          const label = at + nameTokens - 1 + i;
          targets[label] = inputs[label + 1] as number;
          reach[label] = at - entry * lineTokens;
        }
      });
    },
  };
}
