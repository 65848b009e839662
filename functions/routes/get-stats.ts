import { json, type Handle } from "./route.ts";

/** GET …/stats: numbers of one tenant, kept up to date by each commit, so that asking costs nothing. */
export const getStats: Handle = async (_context, { tenant }, store) => json(await store.stats({ tenant }));
