// A bare process that logs through the exporter and then has nothing more to do: no shutdown, no
// logger for diag. SDK says which line of the SDK to load, the exporter's variables say the rest.
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const { LoggerProvider, SimpleLogRecordProcessor } = await import(process.env.SDK);
const exporter = new FluentForwardLogExporter();
const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] });
const logger = provider.getLogger('program');
for (let i = 0; i < 3; i++) logger.emit({ body: `record ${i}` });
