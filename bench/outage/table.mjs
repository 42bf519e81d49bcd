/** The results as a table in Markdown. */
export function markdown(scenarios, subjects, outcomes) {
  const heads = ['', ...scenarios.map(({ title }) => title), 'an application sees losses by'];
  const rows = subjects.map(({ name, title, channel }) => [
    title,
    ...scenarios.map((scenario) => cell(outcomes[scenario.name][name])),
    channel,
  ]);
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cell({ lost, reported, duplicated }) {
  const parts = [lost === 0 ? '**0** lost' : `${number(lost)} lost, ${reportedPart(lost, reported)}`];
  if (duplicated > 0) parts.push(`${number(duplicated)} twice`);
  return parts.join('; ');
}

function reportedPart(lost, reported) {
  if (reported === 0) return 'none reported';
  return reported === lost ? 'all reported' : `${number(reported)} reported`;
}

function number(value) {
  return value.toLocaleString('en-US');
}
