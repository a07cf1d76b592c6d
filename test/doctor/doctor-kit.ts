import { type DoctorOptions, runDoctor } from '../../src/doctor/doctor.ts';
import { inspect } from '../support/sessions.ts';
import { type ToldCheck, toldChecks } from './told.ts';

/** Runs one check. */
export async function examine(
  url: string,
  check: string,
  options: DoctorOptions = {},
): Promise<ToldCheck> {
  const report = await inspect(url, (session) => runDoctor(session, { ...options, only: [check] }));
  const found = toldChecks(report).find((one) => one.check === check);
  if (!found) throw new Error(`${check} was not examined`);
  return found;
}

/** What a check finds about an object; other files work on the same server. */
export async function findingOn(url: string, check: string, object: string) {
  return (await examine(url, check)).findings.find((finding) => finding.object === object);
}
