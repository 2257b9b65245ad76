// Phone numbers as people read them: +7 921 555-01-87 in both languages, E.164 when copied. Pure text, no locale.
// The server normalises; this only groups digits for the eye and never decides who is calling.

/** Country codes we group by hand: code, length of what follows it, sizes of its groups; maybe only for some areas. */
const GROUPS: readonly (readonly [code: string, national_length: number, groups: readonly number[], area?: string])[] = [
  ['7', 10, [3, 3, 2, 2]],
  ['1', 10, [3, 3, 4]],
  ['375', 9, [2, 3, 2, 2]],
  ['380', 9, [2, 3, 2, 2]],
  ['998', 9, [2, 3, 2, 2]],
  ['996', 9, [3, 3, 3]],
  ['995', 9, [3, 2, 2, 2]],
  ['374', 8, [2, 3, 3]],
  ['44', 10, [2, 4, 4], '20'],
  ['44', 10, [4, 3, 3]],
  ['49', 11, [4, 3, 4]],
  ['33', 9, [1, 2, 2, 2, 2]],
  ['86', 11, [3, 4, 4]],
  ['90', 10, [3, 3, 2, 2]],
  ['972', 9, [2, 3, 4]],
];

/** `+79215550187` → `+7 921 555-01-87`. What is not E.164 comes back as it was. A mask (`·`) counts as a digit. */
export function formatPhone(number: string): string {
  if (!/^\+[\d·]{5,15}$/.test(number)) return number;
  const digits = number.slice(1);
  for (const [code, length, groups, area = ''] of GROUPS) {
    if (digits.startsWith(code + area) && digits.length === code.length + length) {
      return `+${code} ${joinGroups(split(digits.slice(code.length), groups))}`;
    }
  }
  const code = digits.slice(0, digits.length > 11 ? 3 : 2);
  return `+${code} ${joinGroups(split(digits.slice(code.length), evenGroups(digits.length - code.length)))}`;
}

/** The first group stands apart (the area), the rest hang together by hyphens. */
function joinGroups(groups: string[]): string {
  const [area = '', ...rest] = groups;
  return rest.length ? `${area} ${rest.join('-')}` : area;
}

function split(digits: string, sizes: readonly number[]): string[] {
  const groups: string[] = [];
  let at = 0;
  for (const size of sizes) {
    groups.push(digits.slice(at, at + size));
    at += size;
  }
  if (at < digits.length) groups.push(digits.slice(at));
  return groups.filter(Boolean);
}

function evenGroups(length: number): number[] {
  const groups: number[] = [];
  for (let left = length; left > 0;) {
    const size = left === 4 || left === 2 ? 2 : Math.min(3, left);
    groups.push(size);
    left -= size;
  }
  return groups;
}

/** Something a person typed or pasted that may be dialled: digits with the usual dressing. */
export function looksLikePhone(text: string): boolean {
  const trimmed = text.trim();
  const digits = trimmed.replace(/\D/g, '');
  return digits.length >= 3 && /^[+\d][\d\s().-]*$/.test(trimmed);
}

/** Only what is dialled: `8 (495) 123-45-67` → `84951234567`, a leading plus is kept. */
export function dialable(text: string): string {
  const digits = text.replace(/\D/g, '');
  return text.trim().startsWith('+') ? `+${digits}` : digits;
}
