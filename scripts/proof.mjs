// Runs the long proofs: `npm run proof`, or `npm run proof -- --help`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { paint } from './terminal.mjs';

/** Each proof is an npm script. `short` has the arguments with which CI runs it, `full` those for a proof. */
const PROOFS = [
  {
    name: 'fuzz',
    claim: 'No record and no answer of a server breaks the exporter or puts unreadable bytes on the wire.',
    full: { takes: '12 minutes', args: ['1000000'] },
    // The seed of the unit tests: CI must fail only for what the last change broke.
    short: { takes: '1 minute', args: ['50000', '20231114'] },
  },
  {
    name: 'accounting',
    claim: 'The processor accounts for every record, whatever happens to its receivers.',
    full: { takes: '5 minutes', args: ['60000'] },
    short: { takes: '30 seconds', args: ['4000', '20231114'] },
  },
  {
    name: 'exits',
    claim: 'No end of a process that JavaScript can notice loses a record.',
    full: { takes: '6 minutes', args: ['200'] },
    short: { takes: '20 seconds', args: ['10', '20231114'] },
  },
  {
    name: 'outage',
    claim: 'An outage of a receiver loses no record of the processor (needs Fluentd).',
    full: { takes: '2 minutes', args: ['60,14'] },
    short: { takes: '30 seconds', args: ['14'] },
  },
  {
    name: 'soak',
    claim: 'Killed receivers and rotating connections lose no record (needs Fluentd).',
    full: { takes: '5 minutes', args: ['--seconds', '300'] },
    short: { takes: '30 seconds', args: ['--seconds', '30'] },
  },
];

const USAGE = `Usage: npm run proof [-- [--short] [<name> ...]]

Runs the proofs that take too long for the tests, one after the other.

${PROOFS.map(({ name, claim, full, short }) => `  ${name}  ${claim}\n        Takes ${full.takes}, with --short ${short.takes}.`).join('\n')}

  --short  the short form of each proof, which CI runs
  --help   show this text

Exit code: 0 when all proofs succeeded; 1 when one failed; 2 for bad arguments.`;

function readArguments() {
  const options = { short: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const unknown = positionals.find((name) => PROOFS.every((proof) => proof.name !== name));
  if (unknown !== undefined) throw new RangeError(`There is no proof '${unknown}'`);
  const proofs = PROOFS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return { ...values, proofs };
}

/** Resolves with whether the proof succeeded. Its output goes to ours. */
async function prove(name, claim, { takes, args }) {
  console.log(`\n${paint('bold', `=== ${name}: ${claim}`)}\n    Takes about ${takes}.\n`);
  const child = spawn('npm', ['run', '--silent', name, '--', ...args], { stdio: 'inherit' });
  const [code] = await once(child, 'close');
  return code === 0;
}

async function main() {
  let given;
  try {
    given = readArguments();
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (given.help) {
    console.log(USAGE);
    return 0;
  }
  const results = [];
  for (const { name, claim, full, short } of given.proofs) {
    const start = performance.now();
    const isProved = await prove(name, claim, given.short ? short : full);
    results.push({ name, isProved, seconds: Math.round((performance.now() - start) / 1000) });
  }
  console.log();
  for (const { name, isProved, seconds } of results) {
    console.log(`${isProved ? paint('green', 'proved') : paint('red', 'FAILED')}  ${name}  ${seconds} s`);
  }
  return results.every(({ isProved }) => isProved) ? 0 : 1;
}

process.exitCode = await main();
