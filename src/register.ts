/**
 * Loaded before an application, sends what it logs through OpenTelemetry to Fluent:
 * `node --import opentelemetry-exporter-fluent-forward/register app.js`, or `--require`. Environment
 * variables say the rest.
 *
 * It is built as CommonJS only, which both flags take: `--require` waits for no promise, and so the
 * SDK, which may be missing, can only be required.
 */
import { register } from './register/register.ts';

register(process.env);
