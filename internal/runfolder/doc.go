// Package runfolder keeps a long job in a folder, so that it survives being killed at any moment:
//
//	manifest.json    settings, and for every stage its state, count, seconds, key and the hash of its file
//	NAME.jsonl       the records of the stage NAME, in order, each written once
//	lock             held by the process that works on the run; holds its number
//
// A stage's key is a SHA-256 over its own settings and the hashes of the files that it reads. [Folder.Begin] goes on
// with a stage whose key is the same, and starts it anew where it is not: what did not change is not redone.
//
// A stage's file is a ledger, see package ledger:
//
//	{"passage":"p1","queries":[],"crc32c":"5d40e7a1"}
//
// [Open] cuts off and reports what a kill left unfinished at the end of the file. Damage elsewhere is an ErrDamaged,
// which [Repair] removes together with the records after it.
package runfolder
