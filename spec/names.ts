// The specification's hyphenated names in the three cases that the generated code uses.

/** `no-wait` -> `noWait` */
export function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** `declare-ok` -> `DeclareOk` */
export function pascalCase(name: string): string {
  return camelCase(`-${name}`);
}

/** `declare-ok` -> `DECLARE_OK` */
export function constantCase(name: string): string {
  return name.replaceAll('-', '_').toUpperCase();
}
