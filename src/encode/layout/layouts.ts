import { defaultLayout } from './default.ts';
import { flatLayout } from './flat.ts';
import type { NamedLayout } from './layout.ts';
import { otlpLayout } from './otlp.ts';

/** Every layout that has a name. The option's values and the trials of doctor are derived from this table. */
export const LAYOUTS: { readonly [Name in 'default' | 'flat' | 'otlp']: NamedLayout } = {
  default: defaultLayout,
  flat: flatLayout,
  otlp: otlpLayout,
};

export type LayoutName = keyof typeof LAYOUTS;

export const LAYOUT_NAMES: readonly LayoutName[] = Object.keys(LAYOUTS) as LayoutName[];
