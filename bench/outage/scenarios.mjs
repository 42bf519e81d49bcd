/** What happens to each client, and to its receiver meanwhile. */
export function scenarios(isQuick) {
  const all = isQuick
    ? [resets({ count: 2, records: 2_500 }), outage({ seconds: 3, records: 2_500 }), burst(8_000), exit(1_000)]
    : [resets({ count: 7, records: 10_000 }), outage({ seconds: 14, records: 10_000 }), burst(20_000), exit(10_000)];
  return all.map((scenario) => ({
    end: 'finish',
    ...scenario,
    finishLimitMillis: isQuick ? 10_000 : FINISH_LIMIT_MILLIS,
  }));
}

/** Above the 190 s after which `fluent-logger` gives up an acknowledgement. */
const FINISH_LIMIT_MILLIS = 200_000;
const RECORDS_PER_SECOND = 500;
const FIRST_FAULT_MILLIS = 1_000;
const BETWEEN_RESETS_MILLIS = 2_700;
const HANG_MILLIS = 230;
/** Every other time the receiver first reads for a while without answering: what it has then read, clients send again. */
const MUTE_MILLIS = 200;

function resets({ count, records }) {
  const faults = Array.from({ length: count }, (_, i) => {
    const hangMillis = FIRST_FAULT_MILLIS + i * BETWEEN_RESETS_MILLIS;
    return [
      ...(i % 2 === 0 ? [{ atMillis: hangMillis - MUTE_MILLIS, action: 'mute' }] : []),
      { atMillis: hangMillis, action: 'hang' },
      { atMillis: hangMillis + HANG_MILLIS, action: 'reset' },
    ];
  }).flat();
  const seconds = records / RECORDS_PER_SECOND;
  const title = `${count} hangs and resets in ${seconds} s`;
  return { name: 'resets', title, records, recordsPerSecond: RECORDS_PER_SECOND, faults, isSerial: false };
}

function outage({ seconds, records }) {
  const faults = [
    { atMillis: FIRST_FAULT_MILLIS, action: 'close' },
    { atMillis: FIRST_FAULT_MILLIS + seconds * 1_000, action: 'open' },
  ];
  const title = `an outage of ${seconds} s`;
  return { name: 'outage', title, records, recordsPerSecond: RECORDS_PER_SECOND, faults, isSerial: false };
}

/** Nothing fails, but the process ends at once after the last record. */
function exit(records) {
  const title = '`process.exit()` under load';
  return {
    name: 'exit',
    title,
    records,
    recordsPerSecond: RECORDS_PER_SECOND,
    faults: [],
    isSerial: false,
    end: 'exit',
  };
}

/** All in one turn. One client after the other, as it is the processor's time that is short. */
function burst(records) {
  const title = `${records.toLocaleString('en-US')} records at once`;
  return { name: 'burst', title, records, recordsPerSecond: 0, faults: [], isSerial: true };
}
