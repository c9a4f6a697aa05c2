// Known bugs, to be put back into copies of the program to see whether the tests notice them. What is expected to
// notice each was written down before its first run; what did stands in docs/MUTANTS.md.
import { elections } from "./elections.mjs"
import { replication } from "./replication.mjs"
import { service } from "./service.mjs"
import { sessions } from "./sessions.mjs"

/**
 * @typedef {object} Mutant
 * @property {string} id A short name of its own.
 * @property {string} bug The published bug that it re-enacts, by the catalogue that this project is measured by.
 * @property {string} what What the program does wrong.
 * @property {ReadonlyArray<string> | { test: string }} expect The invariants by which simulated runs should name it,
 *   any of which is right, or a file of tests that should fail.
 * @property {ReadonlyArray<Edit>} edits
 * @property {string} [note] What the first runs taught: a wrong expectation, or why it took another mutant's place.
 */

/**
 * @typedef {object} Edit Replaces a text that occurs once in a file of `packages/core/src`.
 * @property {string} file
 * @property {string} from
 * @property {string} to
 */

/** @type {ReadonlyArray<Mutant>} */
export const mutants = [...elections, ...replication, ...service, ...sessions]
