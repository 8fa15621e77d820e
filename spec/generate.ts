// Writes codec/generated/ from the protocol's description: `npm run generate`. The same input gives the same output, byte
// for byte, and test/spec/generated-is-current.test.ts fails when the committed files are not what it gives.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { constantsModule } from './emit-constants.ts';
import { methodsModule } from './emit-methods.ts';
import { type Extensions, mergeExtensions, type Protocol } from './model.ts';

const OUTPUT = new URL('../codec/generated/', import.meta.url);

/** The generated files: name in codec/generated/ to text. */
export function generate(protocol: Protocol, extensions: Extensions): Map<string, string> {
  const merged = mergeExtensions(protocol, extensions);
  return new Map([
    ['constants.ts', constantsModule(merged)],
    ['methods.ts', methodsModule(merged)],
  ]);
}

/** The two descriptions as they are in this folder. */
export async function readSpecification(): Promise<{ protocol: Protocol; extensions: Extensions }> {
  const [protocol, extensions] = await Promise.all([readJson('amqp-0-9-1.json'), readJson('extensions.json')]);
  return { protocol: protocol as Protocol, extensions: extensions as Extensions };
}

async function readJson(name: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(name, import.meta.url), 'utf8'));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { protocol, extensions } = await readSpecification();
  await mkdir(OUTPUT, { recursive: true });
  for (const [name, text] of generate(protocol, extensions)) await writeFile(new URL(name, OUTPUT), text);
}
