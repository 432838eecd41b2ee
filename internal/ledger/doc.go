// Package ledger keeps records in an append-only file that survives kills. The file is JSON Lines. Each line is one
// record, an object, sealed with a checksum of its JSON and its number, so that a record that is changed, cut, lost,
// doubled or moved is found.
//
// A kill can only leave the last record unfinished: whoever opens the file next cuts that record off. Anything else
// that is not as it was written is damage, which is refused by file, line and offset.
//
// [Open], [Check] and [Repair] are for a file that has a process to itself. A run folder, which has a lock and a
// manifest of its own, uses [Scan] and [Continue] below them.
package ledger
