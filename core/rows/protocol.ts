/**
 * The version of the protocol by which processes agree over rows and objects: what a write asks for, what it rests on and for how
 * long, what compaction may replace and remove, and when. docs/aws.md.
 *
 * A release that speaks another one must not work beside this one. What was counted over schedules of this one says nothing of
 * another: a change of it begins that count anew, docs/records/soak.json.
 */
export const rowProtocolVersion = 1;
