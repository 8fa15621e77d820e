import { readdir, readFile } from 'node:fs/promises';
import t from 'tap';
import { generate, readSpecification } from '../../spec/generate.ts';

const folder = new URL('../../codec/generated/', import.meta.url);

t.test('codec/generated holds what spec/generate.ts writes; `npm run generate` brings it up to date', async (t) => {
  const { protocol, extensions } = await readSpecification();
  const files = generate(protocol, extensions);
  t.same((await readdir(folder)).sort(), [...files.keys()].sort());
  for (const [name, text] of files) t.equal(await readFile(new URL(name, folder), 'utf8'), text, name);
});

t.test('the generator gives the same text for the same specification', async (t) => {
  const { protocol, extensions } = await readSpecification();
  t.same(generate(protocol, extensions), generate(structuredClone(protocol), structuredClone(extensions)));
});
