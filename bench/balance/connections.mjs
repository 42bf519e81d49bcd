/** Says in a facet's header which it is. */
export const connectionsHeader = {
  title: null,
  labelExpr: "datum.value + (datum.value == 1 ? ' connection' : ' connections') + ' of each exporter'",
  labelAnchor: 'start',
};

export function exporterWith(connections) {
  return `exporter, ${connections} connection${connections > 1 ? 's' : ''}`;
}
