/** One text for one forecast row, whoever spells its key. */
export function rowName(key: Readonly<Record<string, unknown>>): string {
  return [key['provider'], key['unitType'], key['unitNo'], key['deliveryStart']].map(String).join('/');
}
