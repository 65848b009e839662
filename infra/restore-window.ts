/**
 * How far back a stage can be restored, in days: the table by point-in-time recovery, the bucket by versions that are kept
 * after their removal. One number for both, because one without the other restores nothing: a table of last month refers
 * to segments that compaction has replaced since. Erased bytes outlive their erasure as long, so it is not the 35 days that
 * DynamoDB would give: two weeks to notice a loss, and erasures are over within a month.
 */
export const restoreWindowDays = 14;
