// The same as `through-api.mjs`, in CommonJS.
const { logs } = require('@opentelemetry/api-logs');
const { run } = require('./load.cjs');

const logger = logs.getLogger('load');
run((number) => logger.emit({ body: number }));
