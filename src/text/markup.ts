import { harmlessCharacter } from './harmless.ts';

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/**
 * Text for HTML and SVG, also in an attribute. Characters that XML has no place for are shown as
 * pictures, as are those that turn the direction.
 */
export function escapeXml(text: string): string {
  return text
    .replace(/[\t\n\r\ufffe\uffff]/g, ' ')
    .replace(/[^\x20-\x7e]/gu, harmlessCharacter)
    .replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
