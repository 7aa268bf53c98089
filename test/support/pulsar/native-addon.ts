/** Why the addon of the official client does not load here; undefined where it does. It is fetched from a place that not every machine reaches. */
export const missingAddon = await reasonWhyNot();

/** The title of the skipped test that says so. */
export const WITHOUT_ADDON = `the native transport is not checked: pulsar-client does not load here (${missingAddon}); npm install --no-save pulsar-client brings it`;

async function reasonWhyNot(): Promise<string | undefined> {
  const name = 'pulsar-client';
  try {
    await import(name);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n', 1)[0] ?? error.name) : String(error);
  }
}
