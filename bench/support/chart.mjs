import { parse, View } from 'vega';
import { compile } from 'vega-lite';

/** Draws charts below one another; gives SVG. */
export async function renderChart(charts, { name, date, node, quick }) {
  const { spec } = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: `${name}${quick ? ', a quick run' : ''}`,
      subtitle: `${date}, Node.js ${node}, real sockets on the loopback interface`,
      anchor: 'start',
      fontSize: 16,
      offset: 20,
    },
    background: 'white',
    padding: 20,
    spacing: 40,
    vconcat: charts,
    resolve: { scale: { color: 'independent', x: 'independent', y: 'independent' } },
    config: {
      font: 'sans-serif',
      title: {
        anchor: 'start',
        frame: 'group',
        fontSize: 13,
        subtitleFontSize: 11,
        subtitleColor: '#555',
        subtitlePadding: 4,
      },
      axis: { labelFontSize: 11, labelLimit: 250, titleFontSize: 11, titleFontWeight: 'normal', gridColor: '#e8e8e8' },
      legend: { labelFontSize: 11, titleFontSize: 11, titleFontWeight: 'normal', labelLimit: 300 },
      view: { stroke: null },
    },
  });
  return new View(parse(spec), { renderer: 'none' }).toSVG();
}
