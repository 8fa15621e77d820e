// The help text of the command and the README's table, both from the table of options.
import { LEVERET_VERSION, OPTION_ROWS, type OptionRow } from './config-options.ts';

/** What `leveret --help` prints. */
export function helpText(): string {
  const rows = OPTION_ROWS.filter((row) => row.flag !== undefined);
  return [
    `leveret ${LEVERET_VERSION}: a message broker that speaks AMQP 0-9-1 as RabbitMQ does`,
    '',
    'Usage: leveret [options]',
    '',
    'Flags win over the environment, that over the configuration file, that over defaults.',
    '',
    ...rows.map(helpLine),
    '  --config FILE (LEVERET_CONFIG)\n      configuration file: a JSON object of the options in the README',
    '  -h, --help\n      print this and end',
    "  -v, --version\n      print Leveret's version and end",
    '',
    'RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS and RABBITMQ_DEFAULT_VHOST replace the default user and vhost.',
    '',
  ].join('\n');
}

function helpLine({ flag, variables, help, name, defaultText }: OptionRow): string {
  return `  ${flag} ${placeholder(name)} (${variables.join(', ')})\n      ${help} [${defaultText}]`;
}

function placeholder(name: string): string {
  if (name.endsWith('Bytes')) return 'BYTES';
  if (name.endsWith('Ms')) return 'MS';
  if (name.endsWith('Dir')) return 'FOLDER';
  return name.endsWith('Seconds') ? 'SECONDS' : 'VALUE';
}

/** The README's table of options, in Markdown. */
export function markdownTable(): string {
  const rows = OPTION_ROWS.map(({ name, flag, variables, defaultText, help }) =>
    [`\`${name}\``, code(flag), variables.map(code).join(', ') || '-', `\`${defaultText}\``, help]
      .map(escapeCell)
      .join(' | '),
  );
  const lines = ['option | flag | environment | default | what it is', '--- | --- | --- | --- | ---', ...rows];
  return `${lines.map((line) => `| ${line} |`).join('\n')}\n`;
}

function code(text: string | undefined): string {
  return text === undefined ? '-' : `\`${text}\``;
}

function escapeCell(cell: string): string {
  return cell.replaceAll('|', '\\|');
}
