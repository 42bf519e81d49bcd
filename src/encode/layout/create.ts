import { CustomLayout, type LayoutFunction } from './custom.ts';
import type { Layout, LayoutOptions } from './layout.ts';
import { LAYOUTS, type LayoutName } from './layouts.ts';

export interface CreateOptions extends LayoutOptions {
  readonly layout: LayoutName | LayoutFunction;
}

/**
 * Makes the layout that the options ask for.
 * @throws RangeError when a static field has the name of one that the layout writes itself.
 */
export function createLayout(options: CreateOptions, warn: (cause: string, message: string) => void): Layout {
  const { layout } = options;
  // A layout function gets the entry of the default layout.
  const name = typeof layout === 'function' ? 'default' : layout;
  for (const field of Object.keys(options.fields)) {
    if (LAYOUTS[name].isOwnField(field, options)) {
      throw new RangeError(
        `option fields: got one with the name ${JSON.stringify(field)}, which the layout ${name} writes itself`,
      );
    }
  }
  return typeof layout === 'function' ? new CustomLayout(layout, options) : LAYOUTS[layout].create(options, warn);
}
