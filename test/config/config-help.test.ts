// The help and the README follow from the table of options.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { helpText, markdownTable } from '../../lib/config-help.ts';
import { OPTION_ROWS } from '../../lib/config-options.ts';

t.test('the help names every flag, its variables and its default', async (t) => {
  const help = helpText();
  for (const { flag, variables, defaultText } of OPTION_ROWS) {
    if (flag === undefined) continue;
    const lines = help
      .slice(help.indexOf(`  ${flag} `))
      .split('\n', 2)
      .join('\n');
    for (const variable of variables) t.ok(lines.includes(variable), `${flag}: ${variable}`);
    t.ok(lines.includes(`[${defaultText}]`), `${flag}: ${defaultText}`);
  }
});

t.test("the README's table of options is the table of options", async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  t.ok(readme.includes(markdownTable()), `README.md must hold this table:\n${markdownTable()}`);
});
