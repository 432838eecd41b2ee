// Package ledger keeps records in an append-only file that survives kills. The file is JSON Lines. Each line is one
// record, an object, sealed with a checksum of its JSON and its number, so that a record that is changed, cut, lost,
// doubled or moved is found.
//
// A kill can only leave the last record unfinished: the next Open cuts that record off. Any other change to the file is
// damage, and the error names file, line and offset.
//
// [Open], [Check] and [Repair] lock the file. A run folder, which has its own lock and manifest, uses [Scan] and
// [Continue].
package ledger
