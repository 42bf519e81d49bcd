// Logs at a steady rate, writes the number of each record to standard output once it is logged, and then ends the process
// in the way that ENDING names, END_AFTER milliseconds after the first record.
const { writeSync } = require('node:fs');
const { createServer } = require('node:http');

const ROUND_MILLIS = 4;
const RECORDS_PER_ROUND = 5;
const STANDARD_OUTPUT = 1;

/** What each ending does before the load begins, and when it is time. `stop` ends the load. */
const ENDINGS = {
  natural: { end: (stop) => stop() },
  exit: { end: () => process.exit(3) },
  uncaught: {
    end: () => {
      throw new Error('an error of the application');
    },
  },
  unhandled: { end: () => void Promise.reject(new Error('a rejection of the application')) },
  signal: { end: kill },
  'signal and exit': { prepare: () => process.on('SIGTERM', () => process.exit(0)), end: kill },
  'signal and close': {
    prepare: () => {
      const server = createServer().listen(0, '127.0.0.1');
      process.on('SIGTERM', () => server.close(() => process.exit(0)));
    },
    end: kill,
  },
};

function kill() {
  process.kill(process.pid, 'SIGTERM');
}

/** `emit` logs the record with a number. */
exports.run = (emit) => {
  const { prepare, end } = ENDINGS[process.env.ENDING];
  prepare?.();
  let logged = 0;
  const round = () => {
    for (let i = 0; i < RECORDS_PER_ROUND; i++) emit(logged + 1 + i);
    logged += RECORDS_PER_ROUND;
    writeSync(STANDARD_OUTPUT, `${logged}\n`);
  };
  round();
  const timer = setInterval(round, ROUND_MILLIS);
  setTimeout(() => end(() => clearInterval(timer)), Number(process.env.END_AFTER));
};
