// Text that came from outside (caller-ID, names, SIP) before it is drawn: cut, stripped of control characters.
// Components put it in <bdi>, so that a right-to-left name cannot turn the line around.

const LONGEST = 64;

/** At most 64 characters, without control and direction characters. */
export function outside(text: string | null | undefined): string {
  if (!text) return '';
  // eslint-disable-next-line no-control-regex -- control characters are what is being removed
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '').trim();
  const characters = Array.from(clean);
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : clean;
}

/** One or two letters for the round picture: «Ольга Тимофеева» → «ОТ», «ООО «Полярис»» → «П»; none of a number. */
export function initials(name: string): string {
  const words = name
    .replace(/[«»"'„“]/g, ' ')
    .split(/\s+/)
    .filter((word) => /^\p{L}/u.test(word) && !/^(ООО|ИП|АО|ЗАО|ПАО|LLC|Ltd|Inc)\.?$/u.test(word));
  const letters = words.slice(0, 2).map((word) => Array.from(word)[0]?.toLocaleUpperCase() ?? '');
  return letters.join('');
}
