// Logs through the API. `register` sends the records; without it, nothing does.
import { logs } from '@opentelemetry/api-logs';
import { run } from './load.cjs';

const logger = logs.getLogger('load');
run((number) => logger.emit({ body: number }));
