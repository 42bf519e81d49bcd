import { max, quantile } from 'd3-array';

const RECORDS = 30_000;
const RECORDS_PER_MILLI = 20;
/** Those of more milliseconds, after a stall, are left out. Made up for, they would be a burst. */
const MAX_MILLIS = 5;
const WINDOW_MILLIS = 250;

/**
 * Logs at an even pace, while there is room, in an event loop that never waits. Returns the percentiles of the
 * microseconds of `emit()`, and for each window of time the longest that the event loop was kept from logging, in
 * milliseconds.
 */
export async function timeEmits(load, hasRoom) {
  const micros = new Float64Array(RECORDS);
  const stretches = new Stretches();
  const pace = new Pace();
  let count = 0;
  await new Promise((resolve) => {
    const look = () => {
      stretches.end();
      const due = pace.due();
      const end = due > 0 && hasRoom(load.emitted) ? Math.min(RECORDS, count + due) : count;
      while (count < end) micros[count++] = load.workAndTime();
      stretches.start();
      if (count < RECORDS) setImmediate(look);
      else resolve();
    };
    stretches.start();
    look();
  });
  return { ...percentiles(micros), stretches: stretches.longest };
}

/** How many records are due: those of whole milliseconds. */
class Pace {
  #last = performance.now();

  due() {
    const now = performance.now();
    const millis = Math.floor(now - this.#last);
    this.#last += millis;
    return Math.min(millis, MAX_MILLIS) * RECORDS_PER_MILLI;
  }
}

/**
 * The longest stretch of each window of time. The time that a stretch takes does not count beyond the CPU time of the
 * process: other processes may have been running meanwhile.
 */
class Stretches {
  longest = [];
  #start = performance.now();
  #from = this.#start;
  #cpu = process.cpuUsage();

  start() {
    this.#from = performance.now();
    this.#cpu = process.cpuUsage();
  }

  end() {
    const now = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    const stretch = Math.min(now - this.#from, (user + system) / 1_000);
    const window = Math.floor((now - this.#start) / WINDOW_MILLIS);
    while (this.longest.length <= window) this.longest.push(0);
    this.longest[window] = Math.max(this.longest[window], stretch);
  }
}

function percentiles(micros) {
  micros.sort();
  const of = (part) => quantile(micros, part);
  return { p50: of(0.5), p99: of(0.99), p999: of(0.999), max: max(micros) };
}
