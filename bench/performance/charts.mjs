/** The charts of a whole run: what a record costs, by who sends it. */
export function chartsOf(results) {
  const [endToEnd] = results['end-to-end'];
  return [
    bars(
      'End to end with acknowledgements, batches of 512: records a second; median, 10th to 90th percentile',
      endToEnd.recordsPerSecond,
      'records a second',
    ),
    bars('The same: CPU time of the sending process', endToEnd.cpuNanos, 'nanoseconds a record'),
    bars('Encoding alone, records that are new', results.encode[0].fresh, 'nanoseconds a record'),
  ];
}

function bars(text, figures, title) {
  const subject = { field: 'subject', type: 'nominal', sort: null, axis: { title: null, labelLimit: 250 } };
  const x = (field) => ({ field, type: 'quantitative', axis: { title } });
  return {
    title: { text },
    width: 560,
    height: { step: 22 },
    data: { values: figures.map(({ subject, median, p10, p90 }) => ({ subject, median, p10, p90 })) },
    layer: [
      {
        mark: 'bar',
        encoding: {
          y: subject,
          x: x('median'),
          color: {
            condition: { test: "datum.subject == 'exporter'", value: '#2171b5' },
            value: '#bdbdbd',
          },
        },
      },
      { mark: { type: 'rule', color: '#333333' }, encoding: { y: subject, x: x('p10'), x2: { field: 'p90' } } },
    ],
  };
}
