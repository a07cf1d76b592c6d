/** A day short of the furthest Date. */
const FURTHEST_MILLIS = 8.64e15 - 86_400_000;

/**
 * Local time with its offset, as `pg` writes it: the instant for a `timestamptz`, and what the clock
 * on the wall shows for a `timestamp` and a `date`, whose values are read as local time too.
 */
export function writeDate(date: Date): string {
  // At the far ends of what a Date can hold local time may be beyond them.
  const isFar = Math.abs(date.getTime()) > FURTHEST_MILLIS;
  const offset = isFar ? 0 : -date.getTimezoneOffset();
  // Shifted by whole minutes and not by local parts: old offsets have seconds, which these lack.
  const local = new Date(date.getTime() + offset * 60_000);
  const digits = local.toISOString().slice(0, -1);
  const [hours, minutes] = [Math.abs(offset) / 60, Math.abs(offset) % 60];
  const zone = `${offset < 0 ? '-' : '+'}${twoDigits(hours)}:${twoDigits(minutes)}`;
  // PostgreSQL reads neither signed years nor the year 0 of ISO 8601.
  const year = local.getUTCFullYear();
  if (year > 0) return digits.replace(/^\+0*/, '') + zone;
  return `${digits.replace(/^(-\d{6}|0000)/, String(1 - year).padStart(4, '0'))}${zone} BC`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}
